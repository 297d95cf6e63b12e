// SQL functions in the transactions of an application: what commits, what waits for whom, and what workers make of it.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { ForgeError } from '#src/core/errors.js'
import { policy } from '#src/conformance/scene.js'
import { postgres } from '#src/postgres/index.js'
import { sqlite } from '#src/sqlite/index.js'
import { defineJob, ForgeQ, typed } from '#src/index.js'
import type { ImagePage, Images } from '#src/store/moved.js'
import type { Claimed } from '#src/store/records.js'
import type { Store } from '#src/store/store.js'
import { registration } from './jobs.ts'
import { refused, scenes, type Refused } from './sql.ts'

const { database, open, connect } = await scenes()
const { client } = database

const claims = async (store: Store, slots: number, turn = 1): Promise<readonly Claimed[]> => {
  if (turn === 1) await store.register(registration('w', { types: [{ type: 'mail', policy, inputSchema: null }] }))
  const wants = [{ queue: 'default', slots }]
  const reply = await store.exchange({ worker: 'w', turn, settlements: [], wants, slots, notes: [] })
  assert.ok(!reply.closed)
  return reply.claimed
}

const countsOf = async (store: Store): Promise<{ ready: number; scheduled: number }> => {
  const { ready, scheduled } = (await store.queues())[0]?.counts ?? { ready: 0, scheduled: 0 }
  return { ready, scheduled }
}

/** Until a connection waits for a lock. */
const waits = async (waiter: { processID?: number | null }): Promise<void> => {
  const sql = `SELECT 1 FROM pg_stat_activity WHERE pid = $1 AND wait_event_type = 'Lock'`
  while ((await client.query(sql, [waiter.processID])).rows.length === 0);
}

test('jobs exist if and only if the transaction commits', async (t) => {
  const { sql, schema, store, jobs } = await open(t)
  await client.query('BEGIN')
  await sql(`'mail', '1'`)
  await sql(`'mail', '2', '{"delay": "1h", "queue": "other", "key": "k", "unique": "u", "expire": "1d"}'`)
  await client.query('ROLLBACK')
  assert.deepEqual(await jobs(), [])
  const left = ['job', 'live', 'later', 'uniq', 'deadline', 'tally', 'queue', 'type']
  for (const table of left) assert.deepEqual((await client.query(`SELECT * FROM ${schema}.${table}`)).rows, [], table)
  await client.query('BEGIN')
  await sql(`'mail', '3'`)
  assert.deepEqual(await jobs(), [])
  await client.query('COMMIT')
  assert.equal((await jobs()).length, 1)
  assert.deepEqual(await countsOf(store), { ready: 1, scheduled: 0 })
})

test('an open transaction that holds a unique key keeps a queue that takes turns from nobody else', async (t) => {
  const { sql, store, job } = await open(t)
  await store.setQueue('default', { concurrency: 5 })
  await store.enqueue([job()], { atomic: true })
  await client.query('BEGIN')
  await sql(`'mail', '1', '{"unique": "u"}'`)
  const unique = { key: 'u', until: 'done', onConflict: 'keep' } as const
  const waiting = store.enqueue([job({ unique })], { atomic: true, withinMs: 4_000 })
  const refusedLate = assert.rejects(
    waiting,
    (error) => ForgeError.is(error, 'STORE_UNAVAILABLE') && /unique key/.test(error.message),
  )
  const startedAt = performance.now()
  for (let i = 0; i < 10; i++) await store.enqueue([job()], { atomic: true, withinMs: 2_000 })
  const ms = performance.now() - startedAt
  assert.equal((await claims(store, 5)).length, 5)
  t.diagnostic(`ten enqueues took ${Math.round(ms)} ms`)
  await refusedLate
  assert.ok(ms < 4_000, `${ms} ms`)
  const again = store.enqueue([job({ unique })], { atomic: true, withinMs: 10_000 })
  await client.query('COMMIT')
  assert.equal(((await again)[0] as { duplicate: boolean }).duplicate, true)
})

test('a trigger enqueues for each row that an application writes', async (t) => {
  const { schema, jobs } = await open(t)
  await client.query(`
    CREATE TABLE ${schema}.customer (id integer, email text);
    CREATE FUNCTION ${schema}.greet() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      PERFORM ${schema}.enqueue('mail', json_build_object('to', NEW.email), jsonb_build_object('key', NEW.id::text));
      RETURN NEW;
    END $$;
    CREATE TRIGGER greet AFTER INSERT ON ${schema}.customer FOR EACH ROW EXECUTE FUNCTION ${schema}.greet()`)
  await client.query(`INSERT INTO ${schema}.customer VALUES (1, 'ada@example.com'), (2, 'bob@example.com')`)
  const lost = client.query(`BEGIN; INSERT INTO ${schema}.customer VALUES (3, 'eve@example.com'); SELECT 1 / 0; COMMIT`)
  await assert.rejects(lost)
  await client.query('ROLLBACK')
  assert.deepEqual(
    (await jobs()).map(({ payload, key }) => [payload, key]),
    [
      ['{"to" : "ada@example.com"}', '1'],
      ['{"to" : "bob@example.com"}', '2'],
    ],
  )
})

test('the same id is the same job; with another payload it is a conflict', async (t) => {
  const { sql, jobs, store, job } = await open(t)
  const { id } = job()
  const options = `'{"id": "${id}"}'`
  for (let i = 0; i < 2; i++) assert.equal(await sql(`'mail', '1', ${options}`), id)
  assert.equal((await jobs()).length, 1)
  await refused(sql(`'mail', '2', ${options}`), '23505', 'ID_CONFLICT', new RegExp(id))
  await refused(sql(`'post', '1', ${options}`), '23505', 'ID_CONFLICT', new RegExp(id))
  await store.act({ action: 'cancel', ids: [id] })
  await store.act({ action: 'retry', ids: [id], payload: '2' })
  assert.equal(await sql(`'mail', '1', ${options}`), id, 'an edited job is the same job')
  const [answer] = await store.enqueue([job({ id, payload: '3' })], { atomic: true })
  assert.deepEqual(answer, { id, duplicate: true })
})

test('a unique key that is held answers with its holder, or is refused, and is free when its time is over', async (t) => {
  const { sql, jobs, store, advance, job } = await open(t)
  const held = await sql(`'mail', '1', '{"unique": {"key": "u", "for": "1h"}}'`)
  assert.equal(await sql(`'mail', '2', '{"unique": "u"}'`), held)
  const error = `'mail', '2', '{"unique": {"key": "u", "onConflict": "error"}}'`
  await refused(sql(error), '23505', 'UNIQUE_CONFLICT', new RegExp(held))
  assert.notEqual(await sql(`'post', '2', '{"unique": "u"}'`), held, 'another type has its own')
  const fromLibrary = job({ unique: { key: 'u', until: 'done', onConflict: 'keep' } })
  assert.deepEqual(await store.enqueue([fromLibrary], { atomic: true }), [{ id: held, duplicate: true }])
  await advance(3_600_000)
  const next = await sql(error)
  assert.notEqual(next, held)
  await store.act({ action: 'cancel', ids: [next] })
  assert.notEqual(await sql(error), next)
  assert.equal((await jobs()).length, 4)
})

test('a key that is held until the start is free once its job is claimed', async (t) => {
  const { sql, store } = await open(t)
  const options = `'{"unique": {"key": "u", "until": "start"}}'`
  const first = await sql(`'mail', '1', ${options}`)
  assert.equal((await claims(store, 1))[0]?.job, first)
  assert.notEqual(await sql(`'mail', '2', ${options}`), first)
})

test('of those who enqueue a unique key from SQL and from the library at once, one stores a job', async (t) => {
  const { schema, store, sql, jobs, job } = await open(t)
  const clients = [await connect(), await connect(), await connect()]
  for (let round = 0; round < 20; round++) {
    const key = `u${round}`
    const ids = await Promise.all([
      ...clients.map((one) => sql(`'mail', '1', '{"unique": "${key}"}'`, one)),
      ...clients.map(async () => {
        const one = job({ unique: { key, until: 'done', onConflict: 'keep' } })
        return (await store.enqueue([one], { atomic: true }))[0]!.id
      }),
    ])
    assert.equal(new Set(ids).size, 1, key)
  }
  assert.equal((await jobs()).length, 20)
  const { rows } = await client.query(`SELECT count(*)::int AS n FROM ${schema}.uniq`)
  assert.deepEqual(rows, [{ n: 20 }])
})

test('whoever wants a unique key or an id waits for the transaction that takes it', async (t) => {
  const { store, sql, job } = await open(t)
  const [app, other] = [await connect(), await connect()]
  for (const [options, end] of [
    [`{"unique": "u"}`, 'COMMIT'],
    [`{"unique": "v"}`, 'ROLLBACK'],
    [`{"id": "${job().id}"}`, 'COMMIT'],
    [`{"id": "${job().id}", "unique": "w"}`, 'COMMIT'],
  ] as const) {
    await app.query('BEGIN')
    const first = await sql(`'mail', '1', '${options}'`, app)
    const second = sql(`'mail', '1', '${options}'`, other)
    await waits(other as { processID?: number })
    await app.query(end)
    assert.equal((await second) === first, end === 'COMMIT', options)
  }
  assert.deepEqual(await countsOf(store), { ready: 4, scheduled: 0 })
})

test('an open transaction holds up neither workers, nor operators, nor other transactions', async (t) => {
  const { store, sql, job } = await open(t)
  const [app, other] = [await connect(), await connect()]
  await store.setQueue('default', { perKey: { rate: { max: 1, perMs: 1000 } } })
  for (const key of ['a', 'a', 'b']) await sql(`'mail', '{}', '{"key": "${key}"}'`)
  await sql(`'mail', '{}'`)
  await app.query('BEGIN')
  for (const options of ['{}', '{"key": "a"}', '{"delay": "1h"}', '{"expire": "1h"}']) {
    await sql(`'mail', '{}', '${options}'`, app)
    await sql(`'mail', '{}', '${options}'`, other)
  }
  await store.promote(100)
  assert.equal((await claims(store, 10)).length, 5)
  const last = job({ key: 'a' })
  await store.enqueue([last], { atomic: true })
  await store.act({ action: 'cancel', ids: [last.id] })
  await store.setQueue('default', { paused: true })
  await store.prune(100)
  await app.query('COMMIT')
  assert.deepEqual(await countsOf(store), { ready: 5, scheduled: 2 })
})

test('jobs with a key wait in its line, take turns with other keys, and keep their limits', async (t) => {
  const { sql, store, jobs, job } = await open(t)
  await store.setQueue('default', { perKey: { concurrency: 1 } })
  for (const [n, key] of ['a', 'a', 'b c'].entries()) await sql(`'mail', '${n}', '{"key": "${key}"}'`)
  await store.enqueue([job({ payload: '3', key: 'b c' })], { atomic: true })
  assert.deepEqual(await countsOf(store), { ready: 4, scheduled: 0 })
  await sql(`'mail', '4', '{"key": "a", "priority": "high"}'`)
  await store.promote(100)
  const [head] = await store.jobs([(await jobs())[0]!.id], ['line'])
  assert.equal(head?.line?.isNext, false)
  const first = await claims(store, 9)
  assert.deepEqual(
    first.map(({ payload }) => payload),
    ['4', '2'],
  )
  const settlements = first.map(({ job, claim }) => ({ job, claim, outcome: 'complete', result: null }) as const)
  const wants = [{ queue: 'default', slots: 9 }]
  const reply = await store.exchange({ worker: 'w', turn: 2, settlements, wants, slots: 9, notes: [] })
  assert.ok(!reply.closed)
  assert.deepEqual(
    reply.claimed.map(({ payload }) => payload),
    ['0', '3'],
  )
})

test('jobs with a key that nobody has looked at since they came from SQL can be moved', async (t) => {
  const { sql, store } = await open(t)
  for (const n of [0, 1, 2]) await sql(`'mail', '${n}', '{"key": "a"}'`)
  const pages: Images[] = []
  for (let cursor: string | null = null, isFirst = true; isFirst || cursor !== null; isFirst = false) {
    const page: ImagePage = await store.dump(cursor, 100)
    pages.push(page)
    cursor = page.cursor
  }
  for (const make of [async () => sqlite(':memory:', { inline: true }), async () => (await open(t)).store]) {
    const target = await make()
    for (const { jobs, traces } of pages) await target.load({ jobs, traces })
    await target.promote(100)
    assert.deepEqual(
      (await claims(target, 9)).map(({ payload }) => payload),
      ['0', '1', '2'],
    )
    await target.close()
  }
})

test('keys that come to a queue at once in several ways never run beyond their limits', async (t) => {
  const { sql, store, jobs, job } = await open(t)
  const clients = [await connect(), await connect(), await connect()]
  await Promise.all([
    ...clients.map(async (one, i) => {
      for (let n = 0; n < 10; n++) await sql(`'mail', '{}', '{"key": "k${(n + i) % 3}"}'`, one)
    }),
    ...Array.from({ length: 10 }, (_, n) => store.enqueue([job({ key: `k${n % 3}` })], { atomic: true })),
    store.setQueue('default', { perKey: { concurrency: 1 } }),
  ])
  await store.promote(1000)
  assert.equal((await jobs()).length, 40)
  const first = await claims(store, 40)
  assert.equal(first.length, 3)
})

test('a delayed job is scheduled, and with a key it goes to its line when it is due', async (t) => {
  const { sql, store, advance } = await open(t)
  await sql(`'mail', '1', '{"delay": "10s"}'`)
  await sql(`'mail', '2', '{"delay": "10s", "key": "a"}'`)
  assert.deepEqual(await countsOf(store), { ready: 0, scheduled: 2 })
  await advance(10_000)
  await store.promote(100)
  assert.deepEqual(await countsOf(store), { ready: 2, scheduled: 0 })
  assert.equal((await claims(store, 9)).length, 2)
})

test('a job that expires before it starts is cancelled', async (t) => {
  const { sql, store, advance } = await open(t)
  const id = await sql(`'mail', '1', '{"expire": "10s"}'`)
  await advance(10_000)
  await store.promote(100)
  const [job] = await store.jobs([id])
  assert.deepEqual([job?.state, job?.reason], ['cancelled', 'expired'])
})

test('a queue that is full or takes no jobs refuses them, and still knows those that it has', async (t) => {
  const { sql, store, job } = await open(t)
  const { id } = job()
  const known = `'mail', '1', '{"id": "${id}"}'`
  await sql(known)
  await store.setQueue('default', { maxDepth: 2 })
  await sql(`'mail', '1', '{"delay": "1h", "unique": "u"}'`)
  await refused(sql(`'mail'`), '53400', 'QUEUE_FULL', /queue default has 2 jobs/)
  await sql(known)
  await sql(`'mail', '1', '{"unique": "u"}'`)
  await store.setQueue('default', { maxDepth: null, accepting: false })
  await refused(sql(`'mail'`), '55000', 'QUEUE_CLOSED', /queue default takes no/)
  await sql(known)
  assert.deepEqual(await countsOf(store), { ready: 1, scheduled: 1 })
})

test('a depth is exact, whoever enqueues', async (t) => {
  const { sql, store, job } = await open(t)
  const clients = [await connect(), await connect(), await connect()]
  await store.setQueue('default', { maxDepth: 10 })
  const full = (error: Refused): void => assert.equal(error.detail, 'QUEUE_FULL')
  await Promise.all([
    ...clients.map(async (one) => {
      for (let n = 0; n < 6; n++) await sql(`'mail'`, one).catch(full)
    }),
    ...Array.from({ length: 6 }, () => store.enqueue([job()], { atomic: false })),
  ])
  assert.deepEqual(await countsOf(store), { ready: 10, scheduled: 0 })
})

test('a depth counts what the transaction itself has stored, and not what it took back', async (t) => {
  const { sql, store } = await open(t)
  await store.setQueue('default', { maxDepth: 3 })
  await sql(`'mail'`)
  const app = await connect()
  await app.query('BEGIN')
  await sql(`'mail'`, app)
  await app.query('SAVEPOINT s')
  await sql(`'mail', '1', '{"delay": "1h"}'`, app)
  await refused(sql(`'mail'`, app), '53400', 'QUEUE_FULL', /default/)
  await app.query('ROLLBACK TO s')
  await sql(`'mail', '1', '{"key": "k"}'`, app)
  await refused(sql(`'mail'`, app), '53400', 'QUEUE_FULL', /default/)
  await app.query('ROLLBACK TO s')
  await app.query('COMMIT')
  await sql(`'mail'`, app)
  await refused(sql(`'mail'`, app), '53400', 'QUEUE_FULL', /default/)
  await store.prune(100)
  assert.deepEqual(await countsOf(store), { ready: 3, scheduled: 0 })
})

test('a transaction with a snapshot of its own is exact, too, or fails and may be repeated', async (t) => {
  const { sql, store } = await open(t)
  const app = await connect()
  await sql(`'mail', '1', '{"key": "k"}'`)
  for (const level of ['REPEATABLE READ', 'SERIALIZABLE']) {
    await app.query(`BEGIN ISOLATION LEVEL ${level}; SELECT 1`)
    const held = await sql(`'mail', '1', '{"unique": "${level}"}'`)
    await sql(`'mail', '1', '{"key": "k"}'`)
    await sql(`'mail', '1', '{"key": "k"}'`, app)
    await assert.rejects(sql(`'mail', '1', '{"unique": "${level}"}'`, app), { code: '40001' })
    await app.query('ROLLBACK')
    await app.query(`BEGIN ISOLATION LEVEL ${level}; SELECT 1`)
    assert.equal(await sql(`'mail', '1', '{"unique": "${level}"}'`, app), held)
    await app.query('COMMIT')
  }
  await store.setQueue('default', { maxDepth: 100 })
  await app.query(`BEGIN ISOLATION LEVEL REPEATABLE READ`)
  await refused(sql(`'mail'`, app), '0A000', 'UNSUPPORTED', /maxDepth/)
  await app.query('ROLLBACK')
})

test('nothing is sent by NOTIFY, and a worker finds what is committed all the same, with every digit', async (t) => {
  const schema = database.schema()
  const forge = new ForgeQ({ store: postgres(database.url, { schema, allowUnsafe: true }) })
  t.after(() => forge.close())
  await forge.ready()
  const listener = await connect()
  await listener.query(`LISTEN "forgeq ${schema}"`)
  const messages: unknown[] = []
  listener.on('notification', (message) => messages.push(message))
  const ran: unknown[] = []
  const events = new EventTarget()
  const mail = defineJob('mail', { input: typed<unknown>() }, ({ input }) => {
    ran.push(input)
    events.dispatchEvent(new Event('ran'))
  })
  const app = await connect()
  await app.query('BEGIN')
  await app.query(`SELECT ${schema}.enqueue('mail', '{"n": 0.1}'), ${schema}.enqueue('mail', '1e2', '{"key": "k"}')`)
  await app.query(`SELECT ${schema}.enqueue('mail', '2', '{"delay": 1}')`)
  await app.query('COMMIT')
  await listener.query('SELECT 1')
  assert.deepEqual(messages, [])
  const worker = forge.worker({ handlers: [mail] })
  const running = worker.run()
  while (ran.length < 3) await once(events, 'ran')
  // It is idle now, and hears nothing.
  await app.query(`SELECT ${schema}.enqueue('mail', '3', '{"key": "k"}')`)
  while (ran.length < 4) await once(events, 'ran')
  assert.deepEqual(new Set(ran.slice(0, 3)), new Set([{ n: 0.1 }, 100, 2]))
  assert.equal(ran[3], 3)
  await worker.stop()
  await running
})
