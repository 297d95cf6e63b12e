// Ended jobs are deleted some at a time, and what is left for the next time is left alone.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '#src/store/clock.js'
import { openStopped, testDatabase } from './database.ts'
import { newJob, registration } from './jobs.ts'

const database = await testDatabase()
const { client } = database

test('prune deletes whole batches of what ended together, and touches no other', async (t) => {
  const opened = await openStopped(database, { clock: new ManualClock(Date.now()) })
  const { store, schema } = opened
  t.after(() => opened.close())
  await store.register(registration('w'))
  const wants = [{ queue: 'default', slots: 4 }]
  let settlements: { job: string; claim: number; outcome: 'complete'; result: null; followUps: [] }[] = []
  for (let turn = 1; turn <= 6; turn++) {
    if (turn < 6) await store.enqueue([newJob(), newJob(), newJob(), newJob()], { atomic: true })
    const reply = await store.exchange({ worker: 'w', turn, settlements, wants, slots: 4, notes: [] })
    assert.ok(!reply.closed)
    settlements = reply.claimed.map(({ job, claim }) => ({
      job,
      claim,
      outcome: 'complete',
      result: null,
      followUps: [],
    }))
  }
  await opened.advance(7 * 24 * 3_600_000)
  const batches = async (): Promise<readonly { spot: string; n: number }[]> =>
    (await client.query(`SELECT ctid::text AS spot, cardinality(jobs) AS n FROM ${schema}.expiry ORDER BY at, seq`))
      .rows
  const before = await batches()
  assert.deepEqual(
    before.map(({ n }) => n),
    [4, 4, 4, 4, 4],
  )
  assert.deepEqual(await store.prune(6), { removed: 6, more: true })
  const after = await batches()
  assert.deepEqual(
    after.map(({ n }) => n),
    [2, 4, 4, 4],
  )
  assert.deepEqual(after.slice(1), before.slice(2))
  assert.deepEqual(await store.prune(100), { removed: 14, more: false })
  assert.deepEqual(await batches(), [])
  assert.equal((await client.query(`SELECT 1 FROM ${schema}.job`)).rows.length, 0)
})
