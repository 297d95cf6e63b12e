// Begins, commits and rolls back on one connection, with savepoints, and says which commits reach the disk. Decides
// nothing about what is written.
import { withBusyRetry, type Database } from './connect.ts'

/** How long a call waits for the write lock before it fails. */
export const lockDeadlineMs = 2_000
/** How long a transaction tries to get it before others that came meanwhile join it. */
const lockTryMs = 50

// A commit under FULL syncs the WAL, and with it every commit before.
const touch = /* sql */ `UPDATE forgeq_meta SET now = now`

export class Transactions {
  readonly #db: Database
  readonly #durability: 'full' | 'relaxed'
  #synchronous: 'FULL' | 'NORMAL' | undefined

  constructor(db: Database, durability: 'full' | 'relaxed') {
    this.#db = db
    this.#durability = durability
  }

  /** With `toDisk` the commit is synced, if the store's durability says so. Fails as busy when the lock is not to be had soon. */
  begin(toDisk: boolean, withinMs: number = lockTryMs): void {
    this.#setSynchronous(toDisk)
    withBusyRetry(() => this.#db.exec('BEGIN IMMEDIATE'), withinMs)
  }

  commit(): void {
    withBusyRetry(() => this.#db.exec('COMMIT'), lockDeadlineMs)
  }

  rollback(): void {
    try {
      this.#db.exec('ROLLBACK')
    } catch {
      // SQLite has rolled back by itself, or the transaction never began.
    }
  }

  /** Runs `fn` so that it fails alone; throws its error when the whole transaction was taken back with it. */
  attempt<T>(fn: () => T): { readonly value: T } | { readonly error: unknown } {
    this.#db.exec('SAVEPOINT call')
    try {
      const value = fn()
      this.#db.exec('RELEASE call')
      return { value }
    } catch (error) {
      try {
        this.#db.exec('ROLLBACK TO call; RELEASE call')
      } catch {
        // A full disk or a failing one takes the whole transaction back at once: nobody's call was done.
        throw error
      }
      return { error }
    }
  }

  /** Reads that belong together see one state of the file. */
  look<T>(read: () => T): T {
    this.#db.exec('BEGIN')
    try {
      return read()
    } finally {
      this.#db.exec('COMMIT')
    }
  }

  /** Puts what was committed without a sync on disk after all. */
  sync(): void {
    if (this.#durability === 'relaxed') return
    this.begin(true, lockDeadlineMs)
    this.#db.exec(touch)
    this.commit()
  }

  /** Set before BEGIN: inside a transaction it has no effect. */
  #setSynchronous(toDisk: boolean): void {
    const wanted = toDisk && this.#durability === 'full' ? 'FULL' : 'NORMAL'
    if (this.#synchronous === wanted) return
    this.#db.exec(`PRAGMA synchronous = ${wanted}`)
    this.#synchronous = wanted
  }
}
