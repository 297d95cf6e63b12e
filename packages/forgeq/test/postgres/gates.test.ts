// In which order a transaction locks, also when it starts anew.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { postgres } from '#src/postgres/index.js'
import { ByHand } from './by-hand.ts'
import { testDatabase } from './database.ts'
import { newJob } from './jobs.ts'
import { watchStatements } from './watch-statements.ts'

const database = await testDatabase()

/** What is asked from now on, in order. */
const asked: string[] = []
watchStatements((sql, values) => {
  if (/FROM forgeq.worker .*FOR KEY SHARE/s.test(sql)) asked.push('worker')
  if (sql.includes('forgeq.enter')) asked.push(`queue ${values.join()}`)
})

test('an exchange that finds a queue limited starts anew, and locks its worker before the queue again', async (t) => {
  const scene = await ByHand.open(t, database)
  await scene.store.enqueue([newJob()], { atomic: true })
  assert.equal((await scene.claim()).length, 1)
  const other = postgres(database.url, { schema: scene.schema, allowUnsafe: true })
  await other.setQueue('default', { concurrency: 3 })
  await other.enqueue([newJob(), newJob()], { atomic: true })
  await other.close()
  asked.length = 0
  assert.equal((await scene.claim()).length, 2)
  assert.deepEqual(asked, ['worker', 'queue 1,false', 'worker', 'queue 1,true'])
  asked.length = 0
  await scene.claim()
  assert.deepEqual(asked, ['worker', 'queue 1,true'], 'it knows it from now on')
})
