// Finds an SQLite that is new enough, opens a file with the settings every connection needs, and knows which of the
// driver's errors pass by themselves.
import { createRequire } from 'node:module'
import { ForgeError } from '../core/errors.ts'

/** What ForgeQ uses of a driver: the `DatabaseSync` shape of node:sqlite. */
export interface Database {
  exec(sql: string): void
  prepare(sql: string): Statement
  close(): void
}

export type Value = string | number | null

export interface Statement {
  run(...values: Value[]): { changes: number | bigint }
  get(...values: Value[]): unknown
  all(...values: Value[]): unknown[]
  setReturnArrays(enabled: boolean): void
}

interface Driver {
  readonly DatabaseSync: new (path: string) => Database
}

/** Older ones can corrupt a WAL file that several connections write (sqlite.org/wal.html, "WAL-reset bug"). */
const oldestSound = '3.51.3'

const isAtLeast = (version: string, wanted: string): boolean =>
  version.localeCompare(wanted, 'en', { numeric: true }) >= 0

const versionOf = (driver: Driver): string => {
  const db = new driver.DatabaseSync(':memory:')
  try {
    return (db.prepare('SELECT sqlite_version() AS v').get() as { v: string }).v
  } finally {
    db.close()
  }
}

const candidates: readonly (() => Driver | undefined)[] = [
  () => process.getBuiltinModule?.('node:sqlite'),
  () => createRequire(import.meta.url)('@photostructure/sqlite') as Driver,
]

export interface FoundDriver {
  readonly driver: Driver
  readonly version: string
  readonly sound: boolean
}

/** The first driver whose SQLite is sound, else the first that loads; throws STORE_UNSAFE or CONFIG with what to install. */
export const findDriver = (allowUnsafe: boolean): FoundDriver => {
  const found: FoundDriver[] = []
  let cause: unknown
  for (const load of candidates) {
    try {
      const driver = load()
      if (driver === undefined) continue
      const version = versionOf(driver)
      const candidate = { driver, version, sound: isAtLeast(version, oldestSound) }
      if (candidate.sound) return candidate
      found.push(candidate)
    } catch (error) {
      cause = error
    }
  }
  const [old] = found
  if (old === undefined) {
    throw new ForgeError(
      'CONFIG',
      'no SQLite found: this Node has no node:sqlite and @photostructure/sqlite did not load; run `npm install @photostructure/sqlite`',
      { cause },
    )
  }
  if (allowUnsafe) return old
  throw new ForgeError(
    'STORE_UNSAFE',
    `SQLite ${old.version} can corrupt a file that several connections write; ${oldestSound} or newer is needed: ` +
      'run `npm install @photostructure/sqlite` or use a newer Node (FORGEQ_ALLOW_VOLATILE=1 goes on at your risk)',
    { cause },
  )
}

/** How long whoever opens the file, or makes its schema, waits for others that do. */
export const openDeadlineMs = 2_000

// busy_timeout stays 0: the built-in handler sleeps without jitter or say of ours. The engine alone checkpoints.
const settings = /* sql */ `
  PRAGMA busy_timeout = 0;
  PRAGMA auto_vacuum = INCREMENTAL;
  PRAGMA journal_mode = WAL;
  PRAGMA wal_autocheckpoint = 0;
  PRAGMA cache_size = -65536;
  PRAGMA temp_store = MEMORY`

/** Opens a file. Called in the DB thread, or in the caller's for an inline store. */
export const connect = (driver: Driver, path: string): Database => {
  const db = new driver.DatabaseSync(path)
  withBusyRetry(() => db.exec(settings), openDeadlineMs)
  return db
}

/** The driver's own errors carry SQLite's result code. */
export const isDriverError = (error: unknown): error is Error & { readonly errcode: number } =>
  typeof (error as { errcode?: unknown } | null)?.errcode === 'number'

/** SQLITE_BUSY or SQLITE_LOCKED: another connection has the lock, the same call may succeed soon. */
export const isBusy = (error: unknown): boolean => isDriverError(error) && [5, 6].includes(error.errcode & 255)

const sleeper = new Int32Array(new SharedArrayBuffer(4))

/** Sleeps this thread; only the DB thread and short set-up steps may. */
const sleepThread = (ms: number): void => {
  Atomics.wait(sleeper, 0, 0, ms)
}

/** Repeats `fn` while the file is locked, 0.2 to 2 ms apart with jitter, until `deadlineMs` has passed; then rethrows. */
export const withBusyRetry = <T>(fn: () => T, deadlineMs: number): T => {
  const deadlineAt = performance.now() + deadlineMs
  for (;;) {
    try {
      return fn()
    } catch (error) {
      if (!isBusy(error) || performance.now() > deadlineAt) throw error
      sleepThread(0.2 + Math.random() * 1.8)
    }
  }
}
