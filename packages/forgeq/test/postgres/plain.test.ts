// The short way of plain calls gives way where it has to: nobody and nothing is worse off for it.
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { complete } from '#src/conformance/endings.js'
import { policy } from '#src/conformance/scene.js'
import type { Query } from '#src/postgres/client.js'
import { postgres } from '#src/postgres/index.js'
import type { Claimed, NewJob } from '#src/store/records.js'
import { ByHand } from './by-hand.ts'
import { testDatabase } from './database.ts'
import { newJob, registration } from './jobs.ts'
import { watchStatements } from './watch-statements.ts'

const database = await testDatabase()
const { client } = database
const sent: Query[] = []
let puts = 0
watchStatements((sql, _, query) => {
  if (sql.includes('forgeq.hand_over(')) sent.push(query)
  if (sql.includes('forgeq.put(')) puts++
})

const jobIn = (queue: string, more: Partial<NewJob> = {}): NewJob => ({
  ...newJob(),
  policy: { ...policy, queue },
  ...more,
})

test('a queue that came to be later is claimed from, by an idle worker and by a busy one', async (t) => {
  const schema = database.schema()
  const [store, other] = [
    postgres(database.url, { schema, allowUnsafe: true }),
    postgres(database.url, { schema, allowUnsafe: true }),
  ]
  t.after(() => Promise.all([store.close(), other.close()]))
  const queues = ['a', 'late', 'later']
  await store.register(registration('w', { queues, slots: 10 }))
  const wants = queues.map((queue) => ({ queue, slots: 2 }))
  let [turn, held] = [0, [] as readonly Claimed[]]
  const exchange = async (): Promise<readonly Claimed[]> => {
    const settlements = held.map((hold) => complete(hold))
    const reply = await store.exchange({ worker: 'w', turn: ++turn, settlements, wants, slots: 10, notes: [] })
    assert.ok(!reply.closed)
    return (held = reply.claimed)
  }
  await store.enqueue([jobIn('a'), jobIn('a')], { atomic: true })
  assert.equal((await exchange()).length, 2)
  await exchange()
  const late = jobIn('late')
  await other.enqueue([late], { atomic: true })
  assert.deepEqual(
    (await exchange()).map(({ job }) => job),
    [late.id],
  )
  // From here on it has something to settle each time.
  const later = jobIn('later')
  await other.enqueue([later], { atomic: true })
  for (let found = false; !found;) {
    assert.ok(turn < 1_000, 'it is never claimed')
    await store.enqueue([jobIn('a')], { atomic: true })
    found = (await exchange()).some(({ job }) => job === later.id)
    await sleep(20)
  }
})

/** The exchange that was sent last, without what it settled, in a transaction of the test's that stays open: how many rows it gives. */
const sendAgain = async (t: TestContext): Promise<number> => {
  const { text, values = [] } = sent.at(-1)!
  const own = new pg.Client(database.url)
  await own.connect()
  t.after(() => own.end())
  await own.query('BEGIN')
  const again = values.map((value, i) => (i === 1 ? 1_000_000 : i >= 3 && i <= 10 ? [] : value))
  return (await own.query(text, again)).rows.length
}

test('what a refused exchange has read is free for others at once, also while it has not ended', async (t) => {
  const scene = await ByHand.open(t, database, { slots: 3 })
  const { store, schema } = scene
  await store.enqueue([newJob()], { atomic: true })
  await scene.claim()
  await store.enqueue([newJob()], { atomic: true })
  assert.equal((await scene.claim()).length, 1)
  const jobs = [newJob(), { ...newJob(), expireMs: 600_000 }, newJob()]
  await store.enqueue(jobs, { atomic: true })
  assert.equal(await sendAgain(t), 0, 'a job that may expire is no plain one')
  const other = postgres(database.url, { schema, allowUnsafe: true })
  t.after(() => other.close())
  await other.register(registration('v'))
  const wants = [{ queue: 'default', slots: 5 }]
  const reply = await other.exchange({ worker: 'v', turn: 1, settlements: [], wants, slots: 5, notes: [] })
  assert.ok(!reply.closed)
  assert.deepEqual(
    reply.claimed.map(({ job }) => job),
    jobs.map(({ id }) => id),
  )
})

test('an exchange that waited for long claims nothing by itself: who asked for it may be gone', async (t) => {
  const scene = await ByHand.open(t, database)
  const { store, schema } = scene
  for (let i = 0; i < 2; i++) await store.enqueue([newJob()], { atomic: true })
  await scene.claim()
  await store.enqueue([newJob()], { atomic: true })
  await scene.claim()
  await store.enqueue([newJob()], { atomic: true })
  await client.query('BEGIN')
  await client.query(`SELECT ${schema}.enter(id, true) FROM ${schema}.queue`)
  const asked = sendAgain(t)
  await sleep(1_500)
  await client.query('COMMIT')
  assert.equal(await asked, 0)
  assert.equal((await scene.claim()).length, 1, 'who is there asks once more')
})

test('an id twice in one call is nothing that the server has to refuse', async (t) => {
  const scene = await ByHand.open(t, database)
  const { store } = scene
  await store.enqueue([newJob()], { atomic: true })
  puts = 0
  const job = newJob()
  assert.deepEqual(await store.enqueue([job, job], { atomic: false }), [
    { id: job.id, duplicate: false },
    { id: job.id, duplicate: true },
  ])
  assert.equal(puts, 0)
  await store.enqueue([newJob()], { atomic: true })
  assert.equal(puts, 1)
})

test('a schema that was made anew gives numbers to other names: nothing is stored under them', async (t) => {
  const schema = database.schema()
  const store = postgres(database.url, { schema, allowUnsafe: true })
  t.after(() => store.close())
  await store.enqueue([jobIn('mails', { type: 'mail' })], { atomic: true })
  await client.query(`DROP SCHEMA ${schema} CASCADE`)
  const other = postgres(database.url, { schema, allowUnsafe: true })
  t.after(() => other.close())
  await other.enqueue([jobIn('payments', { type: 'pay' })], { atomic: true })
  await store.enqueue([jobIn('mails', { type: 'mail' })], { atomic: true }).catch(() => undefined)
  const { rows } = await client.query(`SELECT q.name FROM ${schema}.job j JOIN ${schema}.queue q ON q.id = j.queue`)
  assert.deepEqual(
    rows.map(({ name }) => name as string).filter((name) => name === 'payments'),
    ['payments'],
  )
})
