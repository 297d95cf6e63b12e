// The PostgreSQL store behind a pooler of transactions, as PgBouncer is: it keeps the contract, without what needs a session.
// A third of the cases, for time; FORGEQ_POOLED_EVERY=1 runs all of them.
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { defineJob, ForgeQ, typed } from 'forgeq'
import pg from 'pg'
import { postgres } from '#src/postgres/index.js'
import { runConformance } from '../conformance/run-conformance.ts'
import { openStopped, testDatabase } from './database.ts'
import { newJob } from './jobs.ts'
import { Load } from './load.ts'
import { Pooler } from './pooler.ts'

const database = await testDatabase()
const { url, client } = database

const start = async (settings: readonly string[]): Promise<Pooler> => {
  const pooler = await Pooler.to(url, settings)
  process.on('exit', () => pooler.kill())
  after(() => pooler.remove())
  return pooler
}

// Fewer sessions than a store has connections, so transactions of one connection meet different ones.
const pooler = await start(['default_pool_size = 4'])
const tolerant = await start([
  'default_pool_size = 4',
  'ignore_startup_parameters = options,statement_timeout,idle_in_transaction_session_timeout',
])

// Hints within a process need no session.
const has = ['notify', 'shared'] as const
const every = Number(process.env['FORGEQ_POOLED_EVERY'] ?? 3)
runConformance('postgres through PgBouncer', () => openStopped(database, { url: pooler.urlOf(url) }), has, every)

for (const [name, one] of Object.entries({ 'refuses settings': pooler, 'ignores settings': tolerant })) {
  test(`a pooler that ${name} is noticed, and the store says so`, async () => {
    const store = postgres(one.urlOf(url), { schema: database.schema(), allowUnsafe: true })
    const { capabilities, problems } = await store.open()
    assert.deepEqual(capabilities, ['shared'])
    assert.match(problems.join(), /through a pooler/)
    await store.close()
  })
}

test('without one there is nothing to say', async () => {
  const store = postgres(url, { schema: database.schema(), allowUnsafe: true })
  const { capabilities, problems } = await store.open()
  assert.deepEqual([capabilities, problems.filter((one) => one.includes('pooler'))], [['notify', 'shared'], []])
  await store.close()
})

test('plans are made with our settings, and no session keeps them', async () => {
  const schema = database.schema()
  const store = postgres(pooler.urlOf(url), { schema, allowUnsafe: true })
  await store.open()
  await client.query(`
    CREATE TABLE ${schema}.seen (plan text, seqscan text, patience text);
    CREATE FUNCTION ${schema}.see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      INSERT INTO ${schema}.seen VALUES (current_setting('plan_cache_mode'), current_setting('enable_seqscan'),
        current_setting('statement_timeout'));
      RETURN NEW; END $$;
    CREATE TRIGGER see AFTER INSERT ON ${schema}.job FOR EACH ROW EXECUTE FUNCTION ${schema}.see()`)
  await store.enqueue([newJob()], { atomic: true })
  const { rows } = await client.query(`SELECT * FROM ${schema}.seen`)
  assert.deepEqual(rows, [{ plan: 'force_generic_plan', seqscan: 'off', patience: '15s' }])
  const other = new pg.Client(pooler.urlOf(url))
  await other.connect()
  for (let i = 0; i < 10; i++) {
    const shown = await other.query<{ plan_cache_mode: string }>('SHOW plan_cache_mode')
    assert.equal(shown.rows[0]!.plan_cache_mode, 'auto')
  }
  await other.end()
  await store.close()
})

test('who is behind a pooler is heard by others, and hears of their work by its poll', async () => {
  const schema = database.schema()
  const behind = new ForgeQ({ store: postgres(pooler.urlOf(url), { schema, allowUnsafe: true }) })
  const direct = new ForgeQ({ store: postgres(url, { schema, allowUnsafe: true }) })
  const job = defineJob('work', { input: typed<number>() }, ({ input }) => input)
  const running = behind.worker({ handlers: [job], signals: false }).run()
  for (let n = 0; n < 3; n++) {
    const handle = await direct.enqueue(job, n)
    assert.equal(await handle.result({ timeout: '5s' }), n)
  }
  const heard = new Promise((resolve) => void direct.store.listen(['ready:other'], resolve))
  const listens = /* sql */ `SELECT 1 FROM pg_stat_activity WHERE query LIKE $1 AND state = 'idle'`
  while ((await client.query(listens, [`LISTEN%${schema}%`])).rows.length === 0);
  await behind.enqueue(job, 1, { queue: 'other' })
  await heard
  await behind.close()
  await direct.close()
  await running
})

test('work goes on through a pooler whose server ends its connections, each job is done once', async () => {
  const load = await Load.start({ url: pooler.urlOf(url), schema: database.schema(), workers: 2, producers: 3 })
  for (let i = 0; i < 10; i++) {
    await load.completions(30)
    await client.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE client_port IS NOT NULL AND pid <> pg_backend_pid()`,
    )
  }
  await load.end()
})
