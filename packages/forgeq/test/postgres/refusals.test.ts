// A server that refuses for a while: read-only, without room for connections, too slow for its own limits. What it says is told
// with what to do, and the next call works once it can.
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { ForgeError } from '#src/core/errors.js'
import { postgres } from '#src/postgres/index.js'
import { newJob, registration } from './jobs.ts'
import { Load } from './load.ts'
import { fast, Server } from './server.ts'

const server = await Server.make()
process.on('exit', () => server.kill())
await server.start(fast)
const client = new pg.Client(server.url)
await client.connect()
after(async () => {
  await client.end()
  await server.remove()
})

const open = (schema: string, url = server.url) => postgres(url, { schema, allowUnsafe: true })
const refusal = (pattern: RegExp) => (error: unknown) =>
  ForgeError.is(error, 'STORE_UNAVAILABLE') && pattern.test(error.message)
const backends = async (): Promise<readonly number[]> =>
  (await client.query<{ pid: number }>(`SELECT pid FROM pg_stat_activity WHERE application_name = 'forgeq'`)).rows.map(
    ({ pid }) => pid,
  )

test('a server that turns read-only, as after a fail-over, is left; when it can be written to, work goes on', async () => {
  const load = await Load.start({ url: server.url, schema: 'readonly', workers: 1, producers: 2 })
  const store = open('readonly')
  await load.completions(50)
  await store.queues()
  await client.query('SET default_transaction_read_only = off')
  await client.query('ALTER SYSTEM SET default_transaction_read_only = on')
  await client.query('SELECT pg_reload_conf()')
  // A session reads the new setting between two of its statements.
  while ((await store.queues().catch(() => undefined)) !== undefined) await sleep(10)
  const before = new Set(await backends())
  for (let i = 0; i < 3; i++) {
    await assert.rejects(store.enqueue([newJob()], { atomic: true }), refusal(/read-only/))
    await assert.rejects(store.queues(), refusal(/read-only/))
  }
  const readOnly = load.completed
  await sleep(1_000)
  assert.ok(load.completed - readOnly <= 20, 'nothing is done meanwhile')
  await client.query('ALTER SYSTEM RESET default_transaction_read_only')
  await client.query('SELECT pg_reload_conf()')
  const backAt = performance.now()
  await load.completion()
  assert.ok(performance.now() - backAt < 5_000)
  const [queue] = await store.queues()
  assert.ok(queue!.counts.completed > 0)
  const kept = (await backends()).filter((pid) => before.has(pid))
  // The one that listens writes nothing, so it may stay.
  assert.ok(kept.length <= before.size / 2, `${kept.length} of ${before.size} connections were kept`)
  await store.close()
  await load.end()
})

test('without room for another connection, calls share those there are; without any, that is said', async () => {
  await client.query('CREATE ROLE narrow LOGIN CONNECTION LIMIT 2')
  await client.query('GRANT CREATE ON DATABASE postgres TO narrow')
  const url = server.url.replace('postgres@', 'narrow@')
  const store = open('narrow', url)
  const others = [new pg.Client(url), new pg.Client(url)]
  for (const other of others) await other.connect()
  await assert.rejects(store.open(), refusal(/takes no more connections.*max_connections/))
  await others[0]!.end()
  while ((await client.query(`SELECT 1 FROM pg_stat_activity WHERE usename = 'narrow'`)).rows.length > 1);
  // One is enough, and twelve calls wait for it.
  await store.open()
  const jobs = Array.from({ length: 12 }, () => newJob())
  const answers = await Promise.all(jobs.map((job) => store.enqueue([job], { atomic: true, withinMs: 2_000 })))
  assert.equal(answers.flat().length, 12)
  await others[1]!.end()
  await store.close()
})

test('a statement that is cancelled is tried again for a while, then that is said', async () => {
  const url = `${server.url}?statement_timeout=50`
  const store = open('hurried', url)
  const job = newJob()
  await store.enqueue([job], { atomic: true })
  await store.register(registration('w'))
  await client.query('BEGIN')
  await client.query('SELECT hurried.enter(id, true) FROM hurried.queue')
  const second = newJob()
  const enqueued = store.enqueue([second], { atomic: true })
  const wants = [{ queue: 'default', slots: 5 }]
  const request = { worker: 'w', turn: 1, settlements: [], wants, slots: 5, notes: [] }
  const exchanged = store.exchange(request)
  await sleep(400)
  await client.query('COMMIT')
  assert.deepEqual(await enqueued, [{ id: second.id, duplicate: false }])
  const reply = await exchanged
  assert.ok(!reply.closed && reply.claimed.length > 0)
  // Somebody who keeps the lock.
  await client.query('BEGIN')
  await client.query('SELECT hurried.enter(id, true) FROM hurried.queue')
  const startedAt = performance.now()
  await assert.rejects(store.enqueue([newJob()], { atomic: true }), refusal(/took longer than it may/))
  const ms = performance.now() - startedAt
  assert.ok(ms < 8_000, `${ms} ms`)
  await client.query('COMMIT')
  await store.enqueue([newJob()], { atomic: true })
  assert.equal((await store.queues())[0]!.counts.ready + (await store.queues())[0]!.counts.running, 3)
  await store.close()
})

test('a limit of the role for statements is not ours: the store has its own', async () => {
  await client.query(`CREATE ROLE hasty LOGIN; ALTER ROLE hasty SET statement_timeout = '50ms'`)
  await client.query('GRANT CREATE ON DATABASE postgres TO hasty')
  const store = open('hasty', server.url.replace('postgres@', 'hasty@'))
  await store.enqueue([newJob()], { atomic: true })
  await client.query('BEGIN')
  await client.query('SELECT hasty.enter(id, true) FROM hasty.queue')
  const enqueued = store.enqueue([newJob()], { atomic: true })
  await sleep(200)
  await client.query('COMMIT')
  assert.equal((await enqueued).length, 1)
  await store.close()
})

test('how far transactions are kept apart is not for the role to say: limits need to see what others have committed', async () => {
  await client.query(`CREATE ROLE apart LOGIN; ALTER ROLE apart SET default_transaction_isolation = 'serializable'`)
  await client.query('GRANT CREATE ON DATABASE postgres TO apart')
  const url = server.url.replace('postgres@', 'apart@')
  const store = open('apart', url)
  await store.enqueue([newJob()], { atomic: true })
  const note = /* sql */ `
    CREATE TABLE apart.seen (isolation text);
    GRANT INSERT ON apart.seen TO PUBLIC;
    CREATE FUNCTION apart.see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      INSERT INTO apart.seen VALUES (current_setting('transaction_isolation'));
      RETURN NEW;
    END $$;
    CREATE TRIGGER see BEFORE INSERT ON apart.job FOR EACH ROW EXECUTE FUNCTION apart.see()`
  await client.query(note)
  // In one statement, and in a transaction.
  await store.enqueue([newJob()], { atomic: true })
  await store.enqueue([{ ...newJob(), delayMs: 60_000 }], { atomic: true })
  assert.deepEqual((await client.query('SELECT isolation FROM apart.seen')).rows, [
    { isolation: 'read committed' },
    { isolation: 'read committed' },
  ])
  await store.close()
})

test('a database that lets nobody in for a while is away, no more', async () => {
  await client.query('CREATE DATABASE shut')
  const store = open('shut', server.url.replace(/postgres$/, 'shut'))
  await store.enqueue([newJob()], { atomic: true })
  await client.query('ALTER DATABASE shut ALLOW_CONNECTIONS false')
  await client.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'shut'`)
  while ((await client.query(`SELECT 1 FROM pg_stat_activity WHERE datname = 'shut'`)).rows.length > 0);
  for (const call of [() => store.enqueue([newJob()], { atomic: true }), () => store.queues()]) {
    await assert.rejects(call, refusal(/not currently accepting connections/))
  }
  await client.query('ALTER DATABASE shut ALLOW_CONNECTIONS true')
  await store.enqueue([newJob()], { atomic: true })
  assert.equal((await store.queues())[0]!.counts.ready, 2)
  await store.close()
})

test('a schema that is dropped under a store that is open is told of, with the next step', async () => {
  const store = open('gone')
  await store.enqueue([newJob()], { atomic: true })
  await client.query('DROP SCHEMA gone CASCADE')
  for (const call of [() => store.enqueue([newJob()], { atomic: true }), () => store.queues()]) {
    await assert.rejects(
      call,
      (error) => ForgeError.is(error, 'MIGRATION_NEEDED') && /"gone.*forgeq migrate --plan/.test(error.message),
    )
  }
  await store.close()
})

test('a user without rights is told which one is missing, and what to do', async () => {
  const owner = open('owned')
  await owner.enqueue([newJob()], { atomic: true })
  await client.query(
    'CREATE ROLE poor LOGIN; GRANT USAGE ON SCHEMA owned TO poor; GRANT SELECT ON ALL TABLES IN SCHEMA owned TO poor',
  )
  const store = open('owned', server.url.replace('postgres@', 'poor@'))
  await assert.rejects(
    store.enqueue([newJob()], { atomic: true }),
    refusal(/permission denied for .*; GRANT what docs\/postgres.md/),
  )
  await store.close()
  await owner.close()
})

test('a transaction that waits for a lock is cancelled by hand: it is tried again', async () => {
  const store = open('cancelled')
  await store.enqueue([newJob()], { atomic: true })
  await client.query('BEGIN')
  await client.query('SELECT cancelled.enter(id, true) FROM cancelled.queue')
  const job = newJob()
  const enqueued = store.enqueue([job], { atomic: true })
  const cancel = /* sql */ `
    SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = 'forgeq' AND wait_event_type = 'Lock'`
  while ((await client.query(cancel)).rows.length === 0) await client.query('SELECT pg_stat_clear_snapshot()')
  await client.query('COMMIT')
  assert.deepEqual(await enqueued, [{ id: job.id, duplicate: false }])
  await store.close()
})
