// The SQL functions as parts of a schema: who may call them, how they come there, what they read, and what they leave behind.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ForgeError } from '#src/core/errors.js'
import { postgres } from '#src/postgres/index.js'
import { migrations } from '#src/postgres/schema.js'
import { Statements } from '#src/postgres/statements.js'
import { refused, scenes, type Scene } from './sql.ts'

const { database, open, connect } = await scenes()
const { client } = database

const many = async ({ schema }: Scene, jobs: string): Promise<string[]> => {
  const { rows } = await client.query<{ id: string }>(`SELECT ${schema}.enqueue_many(${jobs}) AS id`)
  return rows.map(({ id }) => id)
}

test('many jobs in one call, in their order, with payloads as they are written', async (t) => {
  const scene = await open(t)
  const list = `[{"type": "mail", "payload": {"n": 1.0}}, {"type": "post", "payload": "\\u0001", "options": {"unique": "u"}},
    {"type": "mail"}, {"type": "post", "options": {"unique": "u"}}]`
  const ids = await many(scene, `'${list}'`)
  const jobs = await scene.jobs()
  assert.deepEqual(ids, [jobs[0]!.id, jobs[1]!.id, jobs[2]!.id, jobs[1]!.id])
  assert.deepEqual(
    jobs.map(({ payload }) => payload),
    ['{"n": 1.0}', '"\\u0001"', 'null'],
  )
  assert.deepEqual(await many(scene, `'[]'`), [])
  for (const type of ['json', 'jsonb']) {
    const ids = await many(
      scene,
      `(SELECT ${type}_agg(${type}_build_object('type', 'mail', 'payload', n)) FROM generate_series(1, 600) n)`,
    )
    assert.equal(new Set(ids).size, 600)
    const jobs = await scene.store.jobs(ids)
    assert.deepEqual(
      jobs.map(({ payload }) => Number(payload)),
      Array.from({ length: 600 }, (_, i) => i + 1),
    )
  }
})

test('of many jobs none is stored when one is refused, and its place is told', async (t) => {
  const scene = await open(t)
  const { store, jobs } = scene
  await store.setQueue('full', { maxDepth: 1 })
  for (const [list, state, code, words] of [
    ['[{"type": "mail"}, {"type": "a b"}]', '22023', 'INVALID_OPTION', /\[1\]: type must be/],
    ['[{"type": "mail"}, 7]', '22023', 'INVALID_OPTION', /\[1\]: must be an object/],
    ['[{"type": "mail", "queue": "fast"}]', '22023', 'INVALID_OPTION', /\[0\]: queue is not known/],
    [
      '[{"type": "mail", "options": {"queue": "full"}}, {"type": "mail", "options": {"queue": "full"}}]',
      '53400',
      'QUEUE_FULL',
      /\[1\]: queue full/,
    ],
    ['{"type": "mail"}', '22023', 'INVALID_OPTION', /jobs must be a list/],
    ['[', '22032', 'INVALID_JSON', /jobs must be JSON/],
  ] as const) {
    await refused(many(scene, `'${list}'`), state, code, words)
    assert.deepEqual(await jobs(), [])
  }
  await refused(many(scene, 'NULL::text'), '22023', 'INVALID_OPTION', /jobs must be a list/)
})

test('rows that calls add to the tally are added up by pruning', async (t) => {
  const { schema, store } = await open(t)
  await client.query(`SELECT ${schema}.enqueue('mail', n::text) FROM generate_series(1, 30) n`)
  const singles = async (): Promise<unknown> =>
    (await client.query(`SELECT count(*)::int AS n FROM ${schema}.tally WHERE stripe >= 64`)).rows[0]
  assert.deepEqual(await singles(), { n: 30 })
  assert.deepEqual(await store.prune(20), { removed: 0, more: true })
  assert.deepEqual(await singles(), { n: 10 })
  assert.deepEqual(await store.prune(20), { removed: 0, more: false })
  assert.deepEqual(await singles(), { n: 0 })
  assert.equal((await store.queues())[0]!.counts.ready, 30)
})

test('no call walks the jobs, however many there are and whatever the session says of plans', async (t) => {
  const { schema, store, sql, job } = await open(t)
  const app = await connect()
  await app.query(`SET search_path = ${schema}; SET plan_cache_mode = force_custom_plan`)
  const fill = (from: number): Promise<unknown> =>
    app.query(`SELECT enqueue('mail', n::text, jsonb_build_object('unique', n::text, 'expire', '1h', 'queue', (ARRAY['a', 'b'])[n % 2 + 1],
      'key', CASE WHEN n % 3 = 0 THEN n::text END, 'delay', n % 5)) FROM generate_series(${from}, ${from} + 2000) n`)
  await fill(0)
  await store.setQueue('a', { maxDepth: 100_000 })
  await fill(10_000)
  await store.prune(10_000)
  const { id } = job()
  const other = await connect()
  await other.query('BEGIN')
  for (const options of [
    '{}',
    `{"id": "${id}", "unique": "u"}`,
    `{"id": "${id}", "unique": "u"}`,
    '{"unique": "7"}',
    '{"key": "9", "queue": "a"}',
    '{"delay": 9, "expire": 9}',
  ])
    await sql(`'mail', '1', '${options}'`, other)
  const read = `SELECT relname, seq_tup_read::int AS walked, idx_tup_fetch::int AS fetched FROM pg_stat_xact_user_tables
    WHERE schemaname = $1 AND relname NOT IN ('clock', 'queue', 'type') AND (seq_tup_read > 0 OR idx_tup_fetch > $2)`
  assert.deepEqual((await other.query(read, [schema, 300])).rows, [])
  await other.query(`SELECT count(payload) FROM ${schema}.job`)
  assert.equal((await other.query(read, [schema, 300])).rows.length, 1, 'the check does not see a walk')
  await other.query('COMMIT')
})

test('names in the schema of the caller do not get in the way', async (t) => {
  const { sql, jobs } = await open(t)
  const app = await connect()
  await app.query(`
    CREATE TEMPORARY TABLE job (id uuid, type text, payload text);
    CREATE FUNCTION pg_temp.jsonb_typeof(jsonb) RETURNS text LANGUAGE sql AS $$ SELECT 'mine' $$;
    CREATE TEMPORARY TABLE queue (name text)`)
  await sql(`'mail', '1', '{"key": "k", "tags": ["a"]}'`, app)
  assert.equal((await jobs()).length, 1)
})

test('what they take does not depend on how the session reads literals', async (t) => {
  const { sql, jobs } = await open(t)
  const other = await connect()
  await other.query('SET standard_conforming_strings = off; SET escape_string_warning = off')
  const payload = `[[[{"a [[ b": "]]]", "c": [1, [2]]}]], "\\u005b"]`
  await sql(`$$mail$$, $$${payload}$$`, other)
  assert.deepEqual(
    (await jobs()).map((job) => job.payload),
    [payload],
  )
})

test('a user may call them who may read and write the tables, and nobody else', async (t) => {
  const { schema, store, sql, jobs } = await open(t)
  const role = `${schema}_app`
  await client.query(`CREATE ROLE ${role}`)
  t.after(() => client.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`))
  const app = await connect()
  await app.query(`SET ROLE ${role}`)
  await assert.rejects(sql(`'mail'`, app), { code: '42501' })
  await client.query(`GRANT USAGE ON SCHEMA ${schema} TO ${role}`)
  await assert.rejects(sql(`'mail'`, app), { code: '42501' })
  await client.query(`GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA ${schema} TO ${role};
    GRANT USAGE, SELECT, UPDATE ON ALL SEQUENCES IN SCHEMA ${schema} TO ${role}`)
  await store.setQueue('full', { maxDepth: 9 })
  await sql(`'mail', '1', '{"key": "k", "unique": "u", "expire": 9, "delay": 3}'`, app)
  for (let n = 0; n < 2; n++) await sql(`'mail', '2', '{"queue": "full", "key": "k"}'`, app)
  assert.equal((await jobs()).length, 3)
})

test('a schema from before the functions is refused until it is migrated, and keeps its counts', async (t) => {
  const schema = database.schema()
  const statements = new Statements(schema, false)
  await client.query(`CREATE SCHEMA ${schema}`)
  await client.query(statements.text(migrations[0]!.sql))
  await client.query(
    statements.text(
      'CREATE TABLE forgeq.migration (version integer PRIMARY KEY, name text, at timestamptz DEFAULT now())',
    ),
  )
  await client.query(
    statements.text(`INSERT INTO forgeq.migration VALUES (1, '001 tables'); INSERT INTO forgeq.queue (name) VALUES ('default');
    INSERT INTO forgeq.tally VALUES (1, 2, 63, 5)`),
  )
  const store = postgres(database.url, { schema, allowUnsafe: true })
  t.after(() => store.close())
  await assert.rejects(
    store.queues(),
    (error) => ForgeError.is(error, 'MIGRATION_NEEDED') && /forgeq migrate/.test(error.message),
  )
  assert.deepEqual(await store.migrate('plan'), {
    version: 1,
    target: migrations.length,
    steps: migrations.slice(1).map(({ name }) => name),
  })
  await store.migrate('apply')
  await client.query(statements.text(`SELECT forgeq.enqueue('mail')`))
  assert.equal((await store.queues())[0]!.counts.ready, 6)
})
