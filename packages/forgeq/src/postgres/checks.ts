// What must hold before a database is trusted: a schema this version understands, and settings that keep what is promised.
import { ForgeError } from '../core/errors.ts'
import type { Migration } from '../store/store.ts'
import type { Client, Pool } from './connect.ts'
import { migrations } from './schema.ts'
import { quoteName, type Statements } from './statements.ts'

const hasTable = /* sql */ `SELECT to_regclass($1) IS NOT NULL AS found`
const addTable = /* sql */ `
  CREATE TABLE IF NOT EXISTS forgeq.migration (version integer PRIMARY KEY, name text NOT NULL, at timestamptz NOT NULL DEFAULT now())`
const applied = /* sql */ `SELECT coalesce(max(version), 0) AS version FROM forgeq.migration`
const noteStep = /* sql */ `INSERT INTO forgeq.migration (version, name) VALUES ($1, $2)`
// One migrator of a schema at a time, whoever it is; the second one finds nothing to do.
const lockMigration = /* sql */ `SELECT pg_advisory_xact_lock(hashtextextended('forgeq migration ' || $1, 0))`

const schemaVersion = async (client: Client, statements: Statements): Promise<number> => {
  const values = [statements.text('forgeq.migration')]
  const { rows } = await client.query({ text: hasTable, values })
  if (!(rows[0] as { found: boolean }).found) return 0
  return ((await client.query(statements.text(applied))).rows[0] as { version: number }).version
}

const planFrom = (version: number): Migration => ({
  version,
  target: migrations.length,
  steps: migrations.slice(version).map((step) => step.name),
})

/** Applies what is missing in one transaction, or says what that would be. */
export const migrate = async (
  pool: Pool,
  statements: Statements,
  schema: string,
  mode: 'plan' | 'apply',
): Promise<Migration> => {
  const before = await schemaVersion(pool, statements)
  if (before > migrations.length) throw tooNew(before)
  if (mode === 'plan' || before === migrations.length) return planFrom(before)
  const client = await pool.connect()
  try {
    await client.query('BEGIN')
    await client.query('SET LOCAL statement_timeout = 0')
    await client.query({ text: lockMigration, values: [schema] })
    // An unprivileged user may have been given the schema: IF NOT EXISTS would ask for the right to make one.
    const { rows } = await client.query({ text: 'SELECT to_regnamespace($1) AS name', values: [quoteName(schema)] })
    if ((rows[0] as { name: unknown }).name === null) await client.query(`CREATE SCHEMA ${quoteName(schema)}`)
    const version = await schemaVersion(client, statements)
    await client.query(statements.text(addTable))
    for (const [i, step] of migrations.entries()) {
      if (i < version) continue
      await client.query(statements.text(step.sql))
      await client.query({ text: statements.text(noteStep), values: [i + 1, step.name] })
    }
    await client.query('COMMIT')
    client.release()
    return { ...planFrom(version), version: migrations.length }
  } catch (error) {
    // Its transaction ends with the connection.
    client.release(error as Error)
    throw error
  }
}

const tooNew = (version: number): ForgeError =>
  new ForgeError(
    'MIGRATION_NEEDED',
    `the schema has version ${version}, this ForgeQ knows ${migrations.length}; upgrade forgeq before it is used again`,
  )

/** A database without our schema gets it, an old one is refused until `forgeq migrate` was run. */
export const checkSchema = async (pool: Pool, statements: Statements, schema: string): Promise<void> => {
  const version = await schemaVersion(pool, statements)
  if (version === 0) await migrate(pool, statements, schema, 'apply')
  else if (version > migrations.length) throw tooNew(version)
  else if (version < migrations.length) {
    throw new ForgeError(
      'MIGRATION_NEEDED',
      `the schema has version ${version}, this ForgeQ needs ${migrations.length}; run \`forgeq migrate\``,
    )
  }
}

export interface ServerFacts {
  readonly version: string
  readonly durability: string
  readonly problems: readonly string[]
}

const settings = /* sql */ `
  SELECT current_setting('server_version') AS version, current_setting('server_version_num')::integer AS number,
    current_setting('server_encoding') AS encoding, current_setting('fsync') AS fsync,
    current_setting('synchronous_commit') AS commit, current_setting('full_page_writes') AS pages`

const oldest = 140_000

/** STORE_UNSAFE for a server that cannot keep what it acknowledges, CONFIG for one that lacks what is needed. */
export const checkServer = async (pool: Pool, allowUnsafe: boolean): Promise<ServerFacts> => {
  const { rows } = await pool.query(settings)
  const row = rows[0] as {
    version: string
    number: number
    encoding: string
    fsync: string
    commit: string
    pages: string
  }
  if (row.number < oldest) throw new ForgeError('CONFIG', `PostgreSQL ${row.version} is too old; 14 or newer is needed`)
  if (row.encoding !== 'UTF8') {
    throw new ForgeError('CONFIG', `the database is encoded in ${row.encoding}; make one with ENCODING 'UTF8'`)
  }
  const isVolatile = row.fsync === 'off' || row.pages === 'off'
  if (isVolatile && !allowUnsafe) {
    throw new ForgeError(
      'STORE_UNSAFE',
      'the server runs with fsync or full_page_writes off: a crash of its machine may destroy the database; ' +
        'turn them on (FORGEQ_ALLOW_VOLATILE=1 goes on at your risk)',
    )
  }
  return {
    version: row.version,
    durability: isVolatile
      ? 'nothing is safe from power loss: fsync or full_page_writes is off'
      : row.commit === 'off'
        ? 'power loss may take back the last commits: synchronous_commit is off'
        : 'what is acknowledged survives power loss',
    problems: row.commit === 'off' ? ['synchronous_commit is off: set it to on for this database or user'] : [],
  }
}
