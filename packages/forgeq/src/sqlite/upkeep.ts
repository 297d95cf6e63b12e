// What keeps the file small: copying the WAL back, giving free pages back. Never worth a failure: whatever is wrong with
// the disk shows in the next call, which has someone to tell.
import { statSync } from 'node:fs'
import { isDriverError, type Database } from './connect.ts'
import type { Statements } from './statements.ts'

/** The WAL is copied back when this many of its pages have not been. */
const checkpointPages = 4096
const checkpointBytes = 16 * 1024 * 1024
/** Free pages stay for the next jobs up to this many; above, this many go back at a time. */
const freePagesKept = 4096
const vacuumPages = 1024

export class Upkeep {
  readonly #db: Database
  readonly #statements: Statements
  readonly #path: string

  constructor(db: Database, statements: Statements, path: string) {
    this.#db = db
    this.#statements = statements
    this.#path = path
  }

  /** Copies the WAL back when it has grown; readers and other writers go on. */
  checkpoint(): void {
    // The file keeps its size when its pages are used anew, so the size alone says nothing: NOOP only counts.
    if (this.#walBytes() < checkpointBytes) return
    this.#attempt(() => {
      const { log, checkpointed } = this.#checkpoint('NOOP')
      if (log - checkpointed >= checkpointPages) this.#checkpoint('PASSIVE')
    })
  }

  /** When nothing has happened for a while: truncates the WAL, gives a part of the free pages back. */
  tidy(): void {
    this.#attempt(() => {
      if (this.#walBytes() > 0) this.#checkpoint('TRUNCATE')
      const { freelist_count: free } = this.#statements.sql('PRAGMA freelist_count').get() as { freelist_count: number }
      if (free > freePagesKept) this.#db.exec(`PRAGMA incremental_vacuum(${vacuumPages})`)
    })
  }

  #checkpoint(mode: 'NOOP' | 'PASSIVE' | 'TRUNCATE'): { log: number; checkpointed: number } {
    return this.#statements.sql(`PRAGMA wal_checkpoint(${mode})`).get() as { log: number; checkpointed: number }
  }

  #attempt(fn: () => void): void {
    try {
      fn()
    } catch (error) {
      if (!isDriverError(error)) throw error
    }
  }

  #walBytes(): number {
    return statSync(`${this.#path}-wal`, { throwIfNoEntry: false })?.size ?? 0
  }
}
