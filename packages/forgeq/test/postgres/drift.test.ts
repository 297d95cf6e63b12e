// A schema that is not what its migrations make: each difference is found, named, and told with what puts it right.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makePool } from '#src/postgres/connect.js'
import { findDrift } from '#src/postgres/drift.js'
import { migrations, type Step } from '#src/postgres/schema.js'
import { Statements } from '#src/postgres/statements.js'
import { PostgresStore } from '#src/postgres/store.js'
import { testDatabase } from './database.ts'
import { newJob } from './jobs.ts'

const database = await testDatabase()
const { client } = database
const code = (schema: string, steps: readonly Step[] = migrations, url = database.url): PostgresStore =>
  new PostgresStore(url, { schema, allowUnsafe: true }, steps)

const fresh = async (schema = database.schema()): Promise<{ schema: string; store: PostgresStore }> => {
  const store = code(schema)
  await store.open()
  return { schema, store }
}

test('a new schema has no drift, nor has one that came step by step, and looking leaves nothing', async () => {
  const { schema, store } = await fresh()
  await store.enqueue([newJob()], { atomic: true })
  assert.deepEqual(await store.drift(), [])
  const stepwise = database.schema()
  assert.deepEqual(await code(stepwise).drift(), [])
  for (let known = 1; known <= migrations.length; known++) {
    const at = code(stepwise, migrations.slice(0, known))
    await at.migrate('apply')
    assert.deepEqual(await at.drift(), [], `version ${known}`)
    assert.deepEqual(await code(stepwise).drift(), [], `version ${known}, for newer code`)
  }
  const left = /* sql */ `SELECT 1 FROM pg_class WHERE relpersistence = 't'`
  assert.equal((await client.query(left)).rows.length, 0)
  assert.match((await code(schema, migrations.slice(0, 1)).drift())[0]!, /not compared.*a newer one/)
  await store.close()
})

/** What somebody did, what has to be told, and whether the statement of the report puts it right. */
const kinds: readonly (readonly [what: string, sql: string, told: RegExp, isCured: boolean])[] = [
  [
    'a missing index',
    'DROP INDEX $.live_moved',
    /^The index live_moved of live is missing: CREATE INDEX live_moved ON/,
    true,
  ],
  [
    'another index of that name',
    'DROP INDEX $.live_key; CREATE INDEX live_key ON $.live (key)',
    /^The index live_key of live is another; drop it, then CREATE INDEX live_key ON \S+live USING btree \(queue, key\) WHERE/,
    false,
  ],
  [
    'an index of others',
    'CREATE INDEX theirs ON $.live (worker)',
    /^The index theirs of live is not ForgeQ's, and whatever writes there pays for it: DROP INDEX \S+, unless/,
    true,
  ],
  [
    'an index that was never finished',
    `UPDATE pg_index SET indisvalid = false WHERE indexrelid = '$.live_suspect'::regclass`,
    /^The index live_suspect of live is invalid, so nobody reads it: REINDEX INDEX/,
    true,
  ],
  [
    'a missing column',
    'ALTER TABLE $.log DROP COLUMN level',
    /^The column level of log is missing, and what it held is lost: ALTER/,
    true,
  ],
  [
    'a column of others',
    'ALTER TABLE $.job ADD COLUMN mine text',
    /^The column mine of job is not ForgeQ's: ALTER TABLE/,
    true,
  ],
  [
    'another type',
    'ALTER TABLE $.tally ALTER n TYPE integer',
    /^The column n of tally .* another type \(integer, made as bigint\)/,
    false,
  ],
  [
    'another default',
    'ALTER TABLE $.queue ALTER paused SET DEFAULT true',
    /^The column paused of queue .* another default \(true, made as false\)/,
    false,
  ],
  [
    'a column that may be empty',
    'ALTER TABLE $.job ALTER payload DROP NOT NULL',
    /^The column payload of job .* another nullability \(NULL, made as NOT NULL\)/,
    false,
  ],
  [
    'another collation',
    'ALTER TABLE $.line ALTER key TYPE text COLLATE "POSIX"',
    /^The column key of line .* another collation \(POSIX, made as C\)/,
    false,
  ],
  [
    'a missing constraint',
    'ALTER TABLE $.done DROP CONSTRAINT done_pkey',
    /^The constraint done_pkey of done is missing: ALTER TABLE \S+ ADD CONSTRAINT "done_pkey" PRIMARY KEY \(job\)/,
    true,
  ],
  [
    'a constraint of others',
    'ALTER TABLE $.job ADD CONSTRAINT mine CHECK (priority > 0) NOT VALID',
    /^The constraint mine of job is not ForgeQ's, and may refuse/,
    true,
  ],
  [
    'a trigger of others',
    'CREATE TRIGGER mine BEFORE UPDATE ON $.live FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()',
    /^The trigger mine of live is not ForgeQ's, and runs with each write: DROP TRIGGER/,
    true,
  ],
  [
    'a table that is not vacuumed',
    'ALTER TABLE $.live SET (autovacuum_enabled = off, fillfactor = 100)',
    /^The table live has other storage options \(autovacuum_enabled=off, .*: ALTER TABLE \S+ SET \(fillfactor=45\); ALTER TABLE \S+ RESET \(autovacuum_enabled\)/,
    true,
  ],
  [
    'a table that a crash empties',
    'ALTER TABLE $.job SET UNLOGGED',
    /^The table job .* another durability \(unlogged/,
    false,
  ],
  [
    'rows that are hidden',
    'ALTER TABLE $.job ENABLE ROW LEVEL SECURITY',
    /^The table job .* another row security \(on,/,
    false,
  ],
  ['a missing table', 'DROP TABLE $.progress', /^The table progress is missing: /, false],
  ['another sequence', 'ALTER SEQUENCE $.turn INCREMENT 1', /^The sequence turn .* another definition/, false],
  [
    'another view',
    'CREATE OR REPLACE VIEW $.running AS SELECT * FROM (SELECT h.worker, h.turn, h.queue, l.lane, l.seq, l.job, l.claim, l.attempt, l.crashes, l.started_at FROM $.held h, $.live l) x',
    /^The view running .* another definition/,
    false,
  ],
  [
    'another body',
    'CREATE OR REPLACE FUNCTION $.moment() RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RETURN 1; END $$',
    /^The function moment\(\) is not as it was made: another body/,
    false,
  ],
  [
    'other settings of a function',
    'ALTER FUNCTION $.enqueue(text, text, jsonb) RESET search_path',
    /^The function enqueue\(.*another settings/,
    false,
  ],
  ['a missing function', 'DROP FUNCTION $.enqueue_many(jsonb)', /^The function enqueue_many\(.*\) is missing/, false],
  [
    'a function that is taken for ours',
    `CREATE FUNCTION $.enqueue(text) RETURNS uuid LANGUAGE sql AS 'SELECT gen_random_uuid()'`,
    /^The function enqueue\(text\) is not ForgeQ's, and may be called in its place: DROP FUNCTION/,
    true,
  ],
]

for (const [what, sql, told, isCured] of kinds) {
  test(`drift: ${what}`, async () => {
    const { schema, store } = await fresh()
    await client.query(sql.replaceAll('$.', `${schema}.`))
    const drift = await store.drift()
    assert.equal(drift.length, 1, drift.join('\n'))
    assert.match(drift[0]!, told)
    if (isCured) {
      await client.query(/(?::|then) ([A-Z]{4,} .*?)(?:, unless.*)?$/.exec(drift[0]!)![1]!)
      assert.deepEqual(await store.drift(), [])
    }
    await store.close()
  })
}

test('what else is in the schema is none of our business', async () => {
  const { schema, store } = await fresh()
  await client.query(`CREATE TABLE ${schema}.customer (id bigint PRIMARY KEY, email text UNIQUE);
    CREATE FUNCTION ${schema}.greet() RETURNS integer LANGUAGE sql AS 'SELECT 1'; CREATE VIEW ${schema}.all_jobs AS SELECT * FROM ${schema}.job`)
  assert.deepEqual(await store.drift(), [])
  await store.close()
})

test('names that have to be quoted, and settings of others, make no drift', async () => {
  const { schema } = await fresh()
  await client.query(`ALTER SCHEMA ${schema} RENAME TO ${schema}_old`)
  await client.query(`ALTER SCHEMA ${schema}_old RENAME TO ${schema}`)
  const odd = await fresh('l')
  const url = `${database.url}?options=${encodeURIComponent('-c quote_all_identifiers=on -c search_path=l -c DateStyle=German')}`
  for (const name of [schema, 'l']) {
    const store = code(name, migrations, url)
    assert.deepEqual(await store.drift(), [])
    await store.close()
  }
  await client.query('DROP SCHEMA l CASCADE')
  await odd.store.close()
})

test('a user who owns nothing may ask, and one who may not make temporary tables is told so', async (t) => {
  const { schema, store } = await fresh()
  const role = `forgeq_role_${process.pid}`
  await client.query(`CREATE ROLE ${role} LOGIN; GRANT USAGE ON SCHEMA ${schema} TO ${role};
    GRANT SELECT ON ALL TABLES IN SCHEMA ${schema} TO ${role}`)
  const name = ((await client.query('SELECT current_database() AS name')).rows[0] as { name: string }).name
  t.after(async () => {
    await client.query(`GRANT TEMPORARY ON DATABASE ${name} TO PUBLIC; DROP OWNED BY ${role}; DROP ROLE ${role}`)
  })
  const url = new URL(database.url)
  url.username = role
  const theirs = code(schema, migrations, url.href)
  assert.deepEqual(await theirs.drift(), [])
  await client.query(`DROP INDEX ${schema}.live_moved`)
  assert.match((await theirs.drift()).join('\n'), /^The index live_moved of live is missing/)
  await client.query(`REVOKE TEMPORARY ON DATABASE ${name} FROM PUBLIC`)
  assert.match((await theirs.drift()).join('\n'), /^The schema was not compared.*GRANT TEMPORARY/)
  await Promise.all([theirs.close(), store.close()])
})

test('temporary tables of the session are not taken for what migrations make', async () => {
  const { schema, store } = await fresh()
  const pool = makePool(database.url, false)
  await pool.query('CREATE TEMPORARY TABLE customer (id integer)')
  const drift = await findDrift(pool, { statements: new Statements(schema, false), schema, steps: migrations })
  assert.match(drift.join('\n'), /^The schema was not compared.*temporary tables of others/)
  await Promise.all([pool.end(), store.close()])
})
