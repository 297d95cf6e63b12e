// The PostgreSQL store keeps the contract, and every statement that it sends while it does so has its index.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openStopped, testDatabase } from '../postgres/database.ts'
import { believe, fill } from '../postgres/fill.ts'
import { Statements } from '#src/postgres/statements.js'
import { gatherStatements, pagesOf, walks } from '../postgres/plans.ts'
import { runConformance } from './run-conformance.ts'

const database = await testDatabase()
const statements = gatherStatements()

runConformance('postgres', () => openStopped(database), ['notify', 'shared'])

/** Sums of all states of all queues, and who runs just now: held has a row for each exchange whose jobs run. */
const isBounded = (line: string, sql: string): boolean =>
  (line.includes('on tally ') && sql.includes('GROUP BY queue, state')) ||
  (line.includes('on held ') && sql.includes('FROM forgeq.running'))

test('no statement of the PostgreSQL store walks the jobs, however many there are and whatever the planner believes', async (t) => {
  const { schema, ...opened } = await openStopped(database)
  await opened.close()
  const { client } = database
  const walk = 'SELECT 1 FROM forgeq.job WHERE payload = $1'
  for (const sql of [walk, `${walk} ORDER BY id LIMIT 1`, 'SELECT 1 FROM forgeq.job ORDER BY id']) {
    assert.equal((await walks(database, schema, sql)).length, 1, 'the check does not see a walk')
  }
  assert.deepEqual(await walks(database, schema, 'SELECT 1 FROM forgeq.job ORDER BY id LIMIT 1'), [])
  const sort = 'SELECT id FROM forgeq.job WHERE id > $1::uuid ORDER BY payload LIMIT 1'
  assert.equal((await walks(database, schema, sort)).length, 1, 'the check does not see a sort')
  assert.ok(statements.size > 80, `only ${statements.size} statements were seen`)
  const claim = [...statements].find((sql) => sql.includes('WITH head') && sql.includes('sized'))!
  const found: string[] = []
  const pages: number[] = []
  let before = 0
  for (const size of [10, 10_000, 1_000_000]) {
    await fill(client, schema, [before + 1, size], size > 10_000 ? 'common' : 'all')
    before = size
    for (const belief of ['unknown', 'empty', 'known'] as const) {
      await believe(client, schema, belief)
      for (const sql of statements) {
        const lines = (await walks(database, schema, sql)).filter((line) => !isBounded(line, sql))
        found.push(...lines.map((line) => `${size} rows, ${belief}: ${line.trim()} in ${sql.trim()}`))
      }
      const text = new Statements(schema, false).text(claim)
      const read = (): Promise<number> => pagesOf(database, text, [1, [0], [-1], [39], 5, 1_000_000])
      // The first time the server looks its own catalogues up.
      await read()
      pages.push(await read())
    }
  }
  assert.deepEqual(found, [])
  t.diagnostic(`a claim of five jobs reads ${pages.join(', ')} pages`)
  assert.ok(Math.max(...pages) < 3 * Math.min(...pages), pages.join())
})
