// An enqueue that claims for an idle worker of its process: what goes wrong in one transaction is nobody else's trouble, and no job
// is claimed for somebody who does not hear of it.
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { policy } from '#src/conformance/scene.js'
import { ForgeError } from '#src/core/errors.js'
import { postgres } from '#src/postgres/index.js'
import type { ExchangeReply, NewJob } from '#src/store/records.js'
import { ByHand } from './by-hand.ts'
import { testDatabase } from './database.ts'
import { newJob, registration } from './jobs.ts'

const database = await testDatabase()
const { client } = database

const jobIn = (queue: string, more: Partial<NewJob> = {}): NewJob => ({
  ...newJob(),
  policy: { ...policy, queue },
  ...more,
})

/** A worker of these queues, which knows them and has nothing to do. */
const open = async (t: TestContext, queues: readonly string[]): Promise<ByHand> => {
  const scene = await ByHand.open(t, database, { queues })
  await scene.store.enqueue(
    queues.map((queue) => jobIn(queue)),
    { atomic: true },
  )
  await scene.claim()
  await scene.claim()
  return scene
}

/** An exchange that waits: it has looked, and found nothing. */
const waiting = async (scene: ByHand): Promise<{ readonly reply: Promise<ExchangeReply> }> => {
  await sleep(1_500)
  const reply = scene.exchange(true)
  await sleep(100)
  return { reply }
}

/** A connection of somebody else. */
const connected = async (t: TestContext): Promise<pg.Client> => {
  const other = new pg.Client(database.url)
  await other.connect()
  t.after(() => other.end())
  return other
}

/** Until a statement with these words waits for a lock. */
const untilHeldUp = async ({ schema }: ByHand, words = ''): Promise<void> => {
  const waits = /* sql */ `SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%${schema}%${words}%'`
  while ((await client.query(waits)).rows.length === 0) await sleep(10)
}

const rowsOf = async ({ schema }: ByHand, table: string): Promise<number> =>
  (await client.query(`SELECT 1 FROM ${schema}.${table}`)).rows.length

test('a job whose commit takes longer than its enqueue waits is run by the worker that waited', async (t) => {
  const scene = await open(t, ['default'])
  const { schema, store } = scene
  await client.query(`
    CREATE FUNCTION ${schema}.slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(2); RETURN NULL; END $$;
    CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON ${schema}.job DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
      EXECUTE FUNCTION ${schema}.slow()`)
  const { reply } = await waiting(scene)
  const job = jobIn('default')
  await assert.rejects(store.enqueue([job], { atomic: true, withinMs: 700 }), (error) =>
    ForgeError.is(error, 'OUTCOME_UNKNOWN'),
  )
  assert.deepEqual(
    (await reply).claimed.map((claimed) => claimed.job),
    [job.id],
  )
})

test('a queue that somebody keeps holds up no job of another one', async (t) => {
  const scene = await open(t, ['a', 'b'])
  await scene.store.setQueue('b', { maxDepth: 100 })
  const other = await connected(t)
  const { reply } = await waiting(scene)
  await other.query('BEGIN')
  await other.query(`SELECT ${scene.schema}.enqueue('work', '{}', '{"queue": "b"}'::jsonb)`)
  const job = jobIn('a')
  await scene.store.enqueue([job], { atomic: true, withinMs: 1_000 })
  assert.deepEqual(
    (await reply).claimed.map((claimed) => claimed.job),
    [job.id],
  )
  await other.query('ROLLBACK')
})

test('what was rolled back writes nothing more, however far it had come', async (t) => {
  for (let i = 0; i < 15; i++) {
    const scene = await open(t, ['a', 'b'])
    const { store } = scene
    await store.enqueue([jobIn('a', { key: 'first' })], { atomic: true })
    await scene.claim()
    await scene.claim()
    // Limited by another process: this one finds out when it has begun.
    const other = postgres(database.url, { schema: scene.schema, allowUnsafe: true })
    await other.setQueue('b', { concurrency: 5 })
    await other.close()
    const reply = scene.exchange(true)
    await sleep(60)
    const jobs = [jobIn('a', { key: 'second' }), jobIn('b')]
    const answers = await store.enqueue(jobs, { atomic: true })
    assert.deepEqual(
      answers,
      jobs.map(({ id }) => ({ id, duplicate: false })),
    )
    const claimed = [...(await reply).claimed, ...(await scene.claim())].map(({ job }) => job)
    assert.deepEqual(new Set(claimed), new Set(jobs.map(({ id }) => id)), `round ${i}`)
    assert.equal(await rowsOf(scene, 'line'), 0)
  }
})

test('a worker leaves one row for its turns, however many were only looks', async (t) => {
  const scene = await open(t, ['default'])
  for (let i = 0; i < 10; i++) {
    await scene.store.enqueue([jobIn('default')], { atomic: true })
    await scene.claim()
    await scene.claim()
    await scene.claim()
  }
  assert.equal(await rowsOf(scene, 'exchange'), 1)
  await scene.store.leave('w')
  assert.equal(await rowsOf(scene, 'exchange'), 0)
})

test('an enqueue of jobs for later leaves the worker waiting', async (t) => {
  const scene = await open(t, ['default'])
  const { reply } = await waiting(scene)
  await scene.store.enqueue([jobIn('default', { delayMs: 60_000 })], { atomic: true })
  const job = jobIn('default')
  await scene.store.enqueue([job], { atomic: true })
  assert.deepEqual(
    (await reply).claimed.map((claimed) => claimed.job),
    [job.id],
  )
})

/** An exchange that waits for its queue, and what lets it in. */
const heldUp = async (t: TestContext, scene: ByHand) => {
  await scene.store.setQueue('default', { concurrency: 5 })
  await scene.store.enqueue([jobIn('default')], { atomic: true })
  await scene.claim()
  await scene.store.enqueue([jobIn('default')], { atomic: true })
  const other = await connected(t)
  await other.query('BEGIN')
  await other.query(`SELECT ${scene.schema}.enter(id, true) FROM ${scene.schema}.queue`)
  const claiming = scene.claim()
  await untilHeldUp(scene)
  return { claiming, letIn: () => other.query('ROLLBACK') }
}

test('a worker whose exchange waits for a queue can be beaten for', async (t) => {
  const scene = await open(t, ['default'])
  const { claiming, letIn } = await heldUp(t, scene)
  const beat = await scene.store.beat('w', null, [])
  assert.equal(beat.closed, false)
  await letIn()
  assert.equal((await claiming).length, 1)
})

test('a worker is closed before or after its exchange, and what that claimed is found', async (t) => {
  const scene = await open(t, ['default'])
  const { claiming, letIn } = await heldUp(t, scene)
  let hasLeft = false
  const leaving = scene.store.leave('w').then(() => (hasLeft = true))
  await untilHeldUp(scene, 'closed = true')
  assert.equal(hasLeft, false)
  assert.equal((await scene.store.beat('w', null, [])).closed, false)
  await letIn()
  const [claimed] = await claiming
  await leaving
  const { jobs } = await scene.store.lost(10)
  assert.ok(jobs.some(({ job }) => job === claimed!.job))
  await assert.rejects(scene.exchange(), 'it is closed')
})

test('a worker whose beat is under way is closed behind it', async (t) => {
  const scene = await open(t, ['default'])
  const other = await connected(t)
  await other.query('BEGIN')
  await other.query(`UPDATE ${scene.schema}.worker SET beat_at = beat_at + 1 WHERE uid = 'w'`)
  const leaving = scene.store.leave('w')
  await untilHeldUp(scene, 'closed = true')
  await other.query('COMMIT')
  await leaving
  const { rows } = await client.query(`SELECT closed FROM ${scene.schema}.worker WHERE uid = 'w'`)
  assert.deepEqual(rows, [{ closed: true }])
})

test('an exchange of a worker that is being closed waits for that, and gets nothing', async (t) => {
  const scene = await open(t, ['default'])
  await scene.store.enqueue([jobIn('default')], { atomic: true })
  const other = await connected(t)
  await other.query('BEGIN')
  await other.query(`UPDATE ${scene.schema}.worker SET closed = true
    WHERE ctid = ANY (ARRAY(SELECT ctid FROM ${scene.schema}.worker WHERE uid = 'w' FOR UPDATE))`)
  const refused = assert.rejects(scene.claim(), 'it is closed')
  await untilHeldUp(scene, 'worker')
  await other.query('COMMIT')
  await refused
  assert.equal((await scene.store.queues())[0]!.counts.ready, 1)
})

test('a worker whose exchange waits for longer than its lease, while nobody can beat for it, is not closed for that', async (t) => {
  const scene = await open(t, ['default'])
  const { schema, store } = scene
  await store.setQueue('default', { concurrency: 5 })
  const other = postgres(database.url, { schema, allowUnsafe: true })
  t.after(() => other.close())
  for (const id of ['short', 'beats']) await other.register(registration(id, { leaseMs: 1_000 }))
  const wants = [{ queue: 'default', slots: 5 }]
  const request = { worker: 'short', turn: 1, settlements: [], wants, slots: 5, notes: [] }
  await store.enqueue([jobIn('default')], { atomic: true })
  const holder = await connected(t)
  await holder.query('BEGIN')
  await holder.query(`SELECT ${schema}.enter(id, true) FROM ${schema}.queue`)
  const exchanged = store.exchange(request)
  // Others are there all the time: the store was not away.
  for (let i = 0; i < 8; i++) {
    await sleep(250)
    await other.beat('beats', null, [])
    await other.lost(10)
  }
  await holder.query('COMMIT')
  const reply = await exchanged
  assert.ok(!reply.closed)
  assert.equal(reply.claimed.length, 1)
  assert.deepEqual((await other.lost(10)).jobs, [])
  const next = await store.exchange({ ...request, turn: 2 })
  assert.ok(!next.closed)
})

test('what one enqueue stores comes to the worker that waits as any claim would give it', async (t) => {
  const scene = await open(t, ['default'])
  const jobs = [5, 2, 5, 8, 2].map((priority) => jobIn('default', { policy: { ...policy, priority } }))
  const unique = { key: 'k', until: 'start', onConflict: 'keep' } as const
  const unknown = jobIn('default', { type: 'unknown', policy: { ...policy, priority: 0 } })
  const once = jobIn('default', {
    policy: { ...policy, priority: 2 },
    unique,
  })
  const late = jobIn('default', { delayMs: 60_000 })
  const { reply } = await waiting(scene)
  await scene.store.enqueue([...jobs, unknown, once, late], { atomic: true })
  const order = [jobs[1]!, jobs[4]!, once, jobs[0]!, jobs[2]!, jobs[3]!].map(({ id }) => id)
  const { claimed } = await reply
  assert.deepEqual(
    claimed.map(({ job }) => job),
    order,
  )
  const counts = (await scene.store.queues())[0]!.counts
  assert.deepEqual([counts.running, counts.ready, counts.scheduled], [6, 1, 1])
  const again = jobIn('default', { unique })
  const free = [{ id: again.id, duplicate: false }]
  assert.deepEqual(await scene.store.enqueue([again], { atomic: true }), free, 'the key is free')
  assert.deepEqual(
    (await scene.claim()).map(({ job, claim }) => [order.includes(job), claim]),
    [[false, 1]],
  )
  for (const { id } of jobs) assert.equal((await scene.store.jobs([id]))[0]!.state, 'completed')
})

test('what a worker that waits has no slots for is claimed next', async (t) => {
  const scene = await open(t, ['default'])
  const jobs = Array.from({ length: 25 }, () => jobIn('default'))
  const { reply } = await waiting(scene)
  await scene.store.enqueue(jobs, { atomic: true })
  const claimed = [...(await reply).claimed]
  assert.equal(claimed.length, 10)
  while (claimed.length < 25) {
    const more = await scene.claim()
    assert.ok(more.length > 0)
    claimed.push(...more)
  }
  assert.deepEqual(
    claimed.map(({ job }) => job),
    jobs.map(({ id }) => id),
  )
})
