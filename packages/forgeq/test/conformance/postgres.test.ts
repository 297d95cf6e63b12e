// The PostgreSQL store keeps the contract, and every statement that it sends while it does so has its index.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openStopped, testDatabase } from '../postgres/database.ts'
import { gatherStatements, walks } from '../postgres/plans.ts'
import { runConformance } from './run-conformance.ts'

const database = await testDatabase()
const statements = gatherStatements()

runConformance('postgres', () => openStopped(database), ['notify', 'shared'])

test('no statement of the PostgreSQL store walks the jobs', async (t) => {
  const { schema, ...opened } = await openStopped(database)
  await opened.close()
  const walk = 'SELECT 1 FROM forgeq.job WHERE payload = $1'
  for (const sql of [walk, `${walk} ORDER BY id LIMIT 1`, 'SELECT 1 FROM forgeq.job ORDER BY id']) {
    assert.equal((await walks(t, database, schema, sql)).length, 1, 'the check does not see a walk')
  }
  assert.deepEqual(await walks(t, database, schema, 'SELECT 1 FROM forgeq.job ORDER BY id LIMIT 1'), [])
  const found: string[] = []
  for (const sql of statements) found.push(...(await walks(t, database, schema, sql)))
  assert.ok(statements.size > 80, `only ${statements.size} statements were seen`)
  assert.deepEqual(found, [])
})
