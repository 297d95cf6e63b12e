// What the store's clock reads now, carried on by the monotonic clock from the last answer that told it.
import type { Timers } from './timers.ts'

/** A monotonic clock stops while the machine sleeps; past this age by the wall clock the store is asked again. */
const freshForMs = 3_600_000

export class StoreTime {
  readonly #timers: Timers
  #offsetMs: number | undefined
  #syncedAt = 0

  constructor(timers: Timers) {
    this.#timers = timers
  }

  /** False until the store was heard and again after an hour of silence: ids made now might be refused. */
  get isFresh(): boolean {
    return this.#offsetMs !== undefined && Math.abs(Date.now() - this.#syncedAt) < freshForMs
  }

  hear(storeNow: number): void {
    this.#offsetMs = storeNow - this.#timers.now()
    this.#syncedAt = Date.now()
  }

  /** Epoch milliseconds on the store's clock. */
  now(): number {
    return this.#offsetMs === undefined ? Date.now() : Math.round(this.#timers.now() + this.#offsetMs)
  }
}
