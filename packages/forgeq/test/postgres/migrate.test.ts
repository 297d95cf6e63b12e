// Versions side by side: code that knows fewer migrations than a schema has, and code that knows more; and migrations that
// are interrupted, made by two at once, or made while others work.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { complete } from '#src/conformance/endings.js'
import { ForgeError } from '#src/core/errors.js'
import { migrations, type Step } from '#src/postgres/schema.js'
import { PostgresStore } from '#src/postgres/store.js'
import { testDatabase } from './database.ts'
import { newJob, registration } from './jobs.ts'

const database = await testDatabase()
const { client } = database
const here = migrations.length

const adds: Step = { name: 'adds a column', sql: 'ALTER TABLE forgeq.job ADD COLUMN extra text' }
const also: Step = { name: 'adds another', sql: 'ALTER TABLE forgeq.done ADD COLUMN extra text' }
/** Code that knows the migrations of today and these. */
const code = (schema: string, ...further: Step[]): PostgresStore =>
  new PostgresStore(database.url, { schema, allowUnsafe: true }, [...migrations, ...further])

const claimOne = async (store: PostgresStore, worker: string, turn: number) => {
  const wants = [{ queue: 'default', slots: 1 }]
  const reply = await store.exchange({ worker, turn, settlements: [], wants, slots: 1, notes: [] })
  assert.ok(!reply.closed)
  return reply.claimed
}

const settleOne = async (
  store: PostgresStore,
  worker: string,
  turn: number,
  claims: Awaited<ReturnType<typeof claimOne>>,
) => {
  const settlements = claims.map((claim) => complete(claim))
  const reply = await store.exchange({ worker, turn, settlements, wants: [], slots: 1, notes: [] })
  assert.deepEqual(!reply.closed && reply.verdicts, ['applied'])
}

const versions = async (schema: string): Promise<readonly number[]> => {
  const { rows } = await client.query(`SELECT version FROM ${schema}.migration ORDER BY version`)
  return rows.map(({ version }) => version as number)
}

const isNeeded = (words: RegExp) => (error: unknown) =>
  ForgeError.is(error, 'MIGRATION_NEEDED') && words.test((error as Error).message)

const closeAll = async (...stores: PostgresStore[]): Promise<void> => {
  await Promise.all(stores.map((store) => store.close()))
}

test('workers of the version before go on while a schema is migrated, and others of theirs may come', async () => {
  const schema = database.schema()
  const [running, after, next] = [code(schema), code(schema), code(schema, adds)]
  await running.register(registration('running'))
  await running.enqueue([newJob(), newJob(), newJob()], { atomic: true })
  const held = await claimOne(running, 'running', 1)
  await assert.rejects(next.queues(), isNeeded(/run `forgeq migrate`/))
  assert.deepEqual((await next.migrate('apply')).steps, [adds.name])
  await settleOne(running, 'running', 2, held)
  await after.register(registration('after'))
  await next.register(registration('next'))
  await settleOne(after, 'after', 2, await claimOne(after, 'after', 1))
  await settleOne(next, 'next', 2, await claimOne(next, 'next', 1))
  assert.equal((await next.queues())[0]!.counts.completed, 3)
  for (const mode of ['plan', 'apply'] as const) {
    assert.deepEqual(await after.migrate(mode), { version: here + 1, target: here + 1, steps: [] })
  }
  assert.equal((await versions(schema)).length, here + 1)
  await closeAll(running, after, next)
})

test('a schema that is two versions ahead is refused, unless its migrations say that older code goes on', async () => {
  const [far, near] = [database.schema(), database.schema()]
  const made = [code(far, adds, also), code(near, adds, { ...also, beside: here })]
  await Promise.all(made.map((store) => store.open()))
  const [old, before, beside] = [code(far), code(far, adds), code(near)]
  for (const call of [() => old.open(), () => old.migrate('plan'), () => old.migrate('apply'), () => old.queues()]) {
    await assert.rejects(call, isNeeded(/upgrade forgeq/))
  }
  await before.open()
  await beside.enqueue([newJob()], { atomic: true })
  await closeAll(...made, old, before, beside)
})

test('a store that is open goes on beside the next version, and stops soon after the one that it cannot stand', async () => {
  const schema = database.schema()
  const [lookMs, options] = [50, { schema, allowUnsafe: true }]
  const running = new PostgresStore(database.url, options, migrations, lookMs)
  const enqueue = (): Promise<unknown> => running.enqueue([newJob()], { atomic: true })
  await enqueue()
  const [next, far] = [code(schema, adds), code(schema, adds, also)]
  await next.migrate('apply')
  for (let i = 0; i < 3; i++) {
    await sleep(2 * lookMs)
    await enqueue()
  }
  await far.migrate('apply')
  let stored = 4
  const refused = async (): Promise<unknown> => {
    for (;;) {
      await sleep(lookMs)
      try {
        await enqueue()
        stored++
      } catch (error) {
        return error
      }
    }
  }
  assert.ok(isNeeded(/upgrade forgeq/)(await refused()))
  assert.ok(stored < 10, 'it is seen at the next look')
  assert.equal((await far.queues())[0]!.counts.ready, stored)
  await closeAll(running, next, far)
})

test('what was migrated before versions could work side by side lets the version before in', async () => {
  const schema = database.schema()
  const [made, old] = [code(schema, adds), code(schema)]
  await made.open()
  await client.query(`ALTER TABLE ${schema}.migration DROP COLUMN beside`)
  await old.enqueue([newJob()], { atomic: true })
  await code(schema, adds, also).migrate('apply')
  await assert.rejects(code(schema).open(), isNeeded(/upgrade/))
  await closeAll(made, old)
})

test('a migration that older code cannot stand is not made while its workers run', async () => {
  const schema = database.schema()
  const [old, next] = [code(schema), code(schema, { ...adds, beside: here + 1 })]
  await old.register(registration('w'))
  await assert.rejects(
    next.migrate('apply'),
    (error) => ForgeError.is(error, 'STATE_CONFLICT') && /stop them/.test(error.message),
  )
  assert.equal((await next.migrate('plan')).version, here)
  await old.leave('w')
  await next.migrate('apply')
  await assert.rejects(code(schema).open(), isNeeded(/upgrade/))
  await closeAll(old, next)
})

test('several who migrate a schema at once, of several versions, make each step once', async () => {
  const schema = database.schema()
  const old = code(schema)
  await old.open()
  // Whoever comes last finds it made by the newest.
  const newest = code(schema, adds, { ...also, beside: here })
  const stores = [code(schema, adds), newest, code(schema, adds), code(schema)]
  const done = await Promise.all(stores.map((store) => store.migrate('apply')))
  assert.deepEqual(done.flatMap(({ steps }) => steps).sort(), [adds.name, also.name])
  assert.deepEqual(
    await versions(schema),
    [...migrations, adds, also].map((_, i) => i + 1),
  )
  await closeAll(old, ...stores)
})

test('a migration that fails, or whose connection is ended, leaves nothing and may be made again', async () => {
  const schema = database.schema()
  const old = code(schema)
  await old.open()
  const fails = code(schema, { name: 'fails', sql: `${adds.sql}; SELECT 1 / 0` })
  await assert.rejects(fails.migrate('apply'), /division by zero/)
  const stalls = code(schema, adds, { name: 'stalls', sql: 'SELECT pg_sleep(60)' })
  const ended = assert.rejects(stalls.migrate('apply'), (error) => ForgeError.is(error, 'STORE_UNAVAILABLE'))
  const end = /* sql */ `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)' AND state = 'active'`
  while ((await client.query(end)).rows.length === 0);
  await ended
  const columns = /* sql */ `SELECT 1 FROM information_schema.columns WHERE table_schema = $1 AND column_name = 'extra'`
  assert.equal((await client.query(columns, [schema])).rows.length, 0)
  assert.equal((await versions(schema)).length, here)
  const again = code(schema, adds)
  assert.deepEqual((await again.migrate('apply')).steps, [adds.name])
  assert.equal((await client.query(columns, [schema])).rows.length, 1)
  await closeAll(old, fails, stalls, again)
})

test('a plan changes nothing', async () => {
  const schema = database.schema()
  const [old, next] = [code(schema), code(schema, adds)]
  await old.open()
  await client.query(`ALTER TABLE ${schema}.migration DROP COLUMN beside`)
  // Whoever changes a catalog leaves its transaction there.
  const last = /* sql */ `
    SELECT max(a.xmin::text::bigint) AS xmin FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
    WHERE c.relnamespace = to_regnamespace($1)`
  const before = (await client.query(last, [schema])).rows
  assert.deepEqual(await next.migrate('plan'), { version: here, target: here + 1, steps: [adds.name] })
  assert.deepEqual((await client.query(last, [schema])).rows, before)
  assert.equal((await versions(schema)).length, here)
  await closeAll(old, next)
})

test('a migration that has to wait for a table does not hold up those who work with it', async () => {
  const schema = database.schema()
  const [old, next] = [code(schema), code(schema, adds)]
  await old.enqueue([newJob()], { atomic: true })
  await client.query(`BEGIN; SELECT 1 FROM ${schema}.job`)
  let isOver = false
  const migrated = next.migrate('apply').finally(() => (isOver = true))
  const waiting = /* sql */ `SELECT 1 FROM pg_locks WHERE relation = '${schema}.job'::regclass AND NOT granted`
  while ((await client.query(waiting)).rows.length === 0);
  for (let i = 0; i < 3; i++) await old.enqueue([newJob()], { atomic: true, withinMs: 4_000 })
  assert.equal(isOver, false)
  await client.query('COMMIT')
  assert.deepEqual((await migrated).steps, [adds.name])
  assert.equal((await next.queues())[0]!.counts.ready, 4)
  await closeAll(old, next)
})

test('a migration takes as long as it takes', async () => {
  const schema = database.schema()
  const url = `${database.url}?query_timeout=300&statement_timeout=300`
  const store = new PostgresStore(url, { schema, allowUnsafe: true }, [{ name: 'long', sql: 'SELECT pg_sleep(1)' }])
  assert.deepEqual((await store.migrate('apply')).steps, ['long'])
  await store.close()
})
