// Brings a schema to the version that this code knows, and says whether this code may work on the schema that is there.
// Migrations expand first and contract later, so that two versions of the code work side by side: each says the oldest
// version whose code goes on beside it, and the database keeps that for code which does not know the migration.
import { setTimeout as sleep } from 'node:timers/promises'
import { ForgeError } from '../core/errors.ts'
import type { Migration } from '../store/store.ts'
import type { Client, Pool, Pooled } from './client.ts'
import { isCollision } from './failures.ts'
import type { Step } from './schema.ts'
import { quoteName, type Statements } from './statements.ts'

/** Where it is done, and which migrations there are for this code. */
export interface Place {
  readonly statements: Statements
  readonly schema: string
  readonly steps: readonly Step[]
}

/** What the database says: its version, and from which version on code works with all that is newer than this code. */
interface Standing {
  readonly version: number
  readonly beside: number
}

const hasTable = /* sql */ `SELECT to_regclass($1) IS NOT NULL AS found`
// beside: code that knows the migrations up to this one works beside it. NULL: from the version before on.
const addTable = /* sql */ `
  CREATE TABLE IF NOT EXISTS forgeq.migration (version integer PRIMARY KEY, name text NOT NULL, at timestamptz NOT NULL DEFAULT now());
  ALTER TABLE forgeq.migration ADD COLUMN IF NOT EXISTS beside integer`
// As JSON, for the column may not be there yet.
const standingHere = /* sql */ `
  SELECT coalesce(max(version), 0) AS version,
    coalesce(max(coalesce((to_jsonb(m) ->> 'beside')::integer, version - 1)) FILTER (WHERE version > $1), 0) AS beside
  FROM forgeq.migration m`
const noteStep = /* sql */ `INSERT INTO forgeq.migration (version, name, beside) VALUES ($1, $2, $3)`
// One migrator of a schema at a time, whoever it is; the second one finds nothing to do.
const lockMigration = /* sql */ `SELECT pg_advisory_xact_lock(hashtextextended('forgeq migration ' || $1, 0))`
const liveWorkers = /* sql */ `
  SELECT count(*)::integer AS n FROM forgeq.worker WHERE NOT closed AND left_at IS NULL AND expires_at > forgeq.moment()`

/** Others work meanwhile: whoever waits for a table holds up all that come for it afterwards, so nobody waits for long. */
const lockMs = 1_000
/** Until who keeps a table that long is worth telling of. */
const giveUpMs = 30_000
const pauseMs = 500
/** A migration of large tables takes as long as it takes; timers know no longer time. */
const unboundedMs = 2 ** 31 - 1

export const standingOf = async (client: Client, { statements, steps }: Place): Promise<Standing> => {
  const values = [statements.text('forgeq.migration')]
  const { rows } = await client.query({ text: hasTable, values })
  if (!(rows[0] as { found: boolean }).found) return { version: 0, beside: 0 }
  return (await client.query({ text: statements.text(standingHere), values: [steps.length] })).rows[0] as Standing
}

/** The oldest version whose code works beside the migration at `index`. */
const besideOf = (steps: readonly Step[], index: number): number => steps[index]!.beside ?? index

const planFrom = (version: number, steps: readonly Step[]): Migration => ({
  version,
  target: Math.max(version, steps.length),
  steps: steps.slice(version).map((step) => step.name),
})

/** Of a schema that code of this version may use; MIGRATION_NEEDED for one that is too new for it. */
export const knownVersion = async (client: Client, place: Place): Promise<number> => {
  const { version, beside } = await standingOf(client, place)
  const known = place.steps.length
  if (version <= known || beside <= known) return version
  throw new ForgeError(
    'MIGRATION_NEEDED',
    `the schema has version ${version}, for a ForgeQ that knows ${beside} or newer, and this one knows ${known}; upgrade forgeq before it is used again`,
  )
}

/** Applies what is missing in one transaction, or says what that would be. */
export const migrate = async (pool: Pool, place: Place, mode: 'plan' | 'apply'): Promise<Migration> => {
  const before = await knownVersion(pool, place)
  if (mode === 'plan' || before >= place.steps.length) return planFrom(before, place.steps)
  for (const endsAt = performance.now() + giveUpMs; ;) {
    const client = await pool.connect()
    try {
      const version = await apply(client, place)
      client.release()
      return { ...planFrom(version, place.steps), version: Math.max(version, place.steps.length) }
    } catch (error) {
      // Its transaction ends with the connection.
      client.release(error as Error)
      if (!isCollision(error)) throw error
      if (performance.now() > endsAt) throw kept(error)
    }
    // Those who came meanwhile go first.
    await sleep(pauseMs * (0.5 + Math.random()))
  }
}

/** Answers the version that it found. */
const apply = async (client: Pooled, place: Place): Promise<number> => {
  const { statements, schema, steps } = place
  const run = (text: string): Promise<unknown> => client.query({ text, timeoutMs: unboundedMs })
  await client.query('BEGIN')
  await client.query('SET LOCAL statement_timeout = 0')
  await client.query({ text: lockMigration, values: [schema], timeoutMs: unboundedMs })
  await client.query(`SET LOCAL lock_timeout = ${lockMs}`)
  // An unprivileged user may have been given the schema: IF NOT EXISTS would ask for the right to make one.
  const { rows } = await client.query({ text: 'SELECT to_regnamespace($1) AS name', values: [quoteName(schema)] })
  if ((rows[0] as { name: unknown }).name === null) await client.query(`CREATE SCHEMA ${quoteName(schema)}`)
  const version = await knownVersion(client, place)
  if (version < steps.length) {
    if (version > 0) await refuseWithWorkers(client, place, version)
    await client.query(statements.text(addTable))
    for (const [i, step] of steps.entries()) {
      if (i < version) continue
      await run(statements.text(step.sql))
      const values = [i + 1, step.name, besideOf(steps, i)]
      await client.query({ text: statements.text(noteStep), values })
    }
  }
  await client.query({ text: 'COMMIT', timeoutMs: unboundedMs })
  return version
}

/** Where the code of the version before cannot go on: what it does would be wrong, and nobody would see it. */
const refuseWithWorkers = async (client: Client, { statements, steps }: Place, version: number): Promise<void> => {
  const step = steps.find((_, i) => i >= version && besideOf(steps, i) > version)
  if (step === undefined) return
  const { n } = (await client.query(statements.text(liveWorkers))).rows[0] as { n: number }
  if (n === 0) return
  throw new ForgeError(
    'STATE_CONFLICT',
    `${n} workers of the version before run, and cannot go on beside ${JSON.stringify(step.name)}: stop them and all that ` +
      'enqueues, then migrate; one that was killed counts until its lease is over',
  )
}

const kept = (cause: unknown): ForgeError =>
  new ForgeError(
    'STORE_UNAVAILABLE',
    `PostgreSQL: nothing was migrated, for others kept a table locked for ${giveUpMs / 1000} s; find the long transaction in ` +
      'pg_stat_activity, and migrate again',
    { cause },
  )

/** A database without our schema gets it, which `making` is told of, an old one is refused until `forgeq migrate` was run. */
export const checkSchema = async (pool: Pool, place: Place, making: () => void): Promise<void> => {
  const version = await knownVersion(pool, place)
  if (version === 0) {
    making()
    await migrate(pool, place, 'apply')
  } else if (version < place.steps.length) {
    throw new ForgeError(
      'MIGRATION_NEEDED',
      `the schema has version ${version}, this ForgeQ needs ${place.steps.length}; run \`forgeq migrate\``,
    )
  }
}
