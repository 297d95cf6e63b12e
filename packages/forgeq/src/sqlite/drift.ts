// Finds out where a file's schema is not what the migrations made, and says what to do: they are run once more in memory, and
// SQLite keeps the text of what was run.
import { migrate, schemaVersion } from './checks.ts'
import type { Database } from './connect.ts'
import { migrations } from './schema.ts'

interface Part {
  readonly type: string
  readonly name: string
  readonly tbl_name: string
  /** `null` for an index that belongs to a constraint of its table. */
  readonly sql: string | null
}

const parts = /* sql */ `SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE sql IS NOT NULL`
const partsOf = (db: Database): readonly Part[] => db.prepare(parts).all() as Part[]

/** Each difference with what to do about it, for people. `blank`: an empty database in memory, closed at the end. */
export const findDrift = (db: Database, blank: Database): readonly string[] => {
  try {
    const version = schemaVersion(db)
    if (version === 0) return []
    if (version !== migrations.length) {
      return [
        `The schema was not compared with its migrations: it has version ${version}, and this ForgeQ compares version ${migrations.length}.`,
      ]
    }
    migrate(blank, 'apply', 0)
    return differences(partsOf(blank), partsOf(db))
  } finally {
    blank.close()
  }
}

const differences = (expected: readonly Part[], found: readonly Part[]): string[] => {
  const foundBy = new Map(found.map((part) => [part.name, part]))
  const names = new Set(expected.map(({ name }) => name))
  const changed = expected.flatMap((part) => {
    const { type, name, sql } = part
    const there = foundBy.get(name)
    if (there === undefined) return [`The ${type} ${name} is missing: ${remake(part)}`]
    if (there.sql === sql) return []
    return [`The ${type} ${name} is not as it was made: ${remake(part)}`]
  })
  const extra = found
    .filter(({ name, tbl_name }) => !names.has(name) && names.has(tbl_name))
    .map(
      ({ type, name, tbl_name }) =>
        `The ${type} ${name} of ${tbl_name} is not ForgeQ's, and each write there pays for it: DROP ${type.toUpperCase()} ${name}, unless you need it.`,
    )
  return [...changed, ...extra].sort()
}

const remake = ({ type, name, sql }: Part): string =>
  type === 'table'
    ? 'restore it from a backup, or move the jobs to a new file (`forgeq move`).'
    : `DROP ${type.toUpperCase()} IF EXISTS ${name}, then ${sql}`
