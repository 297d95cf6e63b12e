// A clock that tests move by hand. Its time sits in shared memory, so a store's thread reads the same instant.

/** Passed to a store in tests: the store's clock stands still until `advance`. */
export class ManualClock {
  readonly memory: SharedArrayBuffer
  readonly #time: Float64Array

  constructor(startAt: number | SharedArrayBuffer = Date.UTC(2026, 0, 1)) {
    this.memory = typeof startAt === 'number' ? new SharedArrayBuffer(8) : startAt
    this.#time = new Float64Array(this.memory)
    if (typeof startAt === 'number') this.#time[0] = startAt
  }

  /** Epoch milliseconds. */
  now(): number {
    return this.#time[0]!
  }

  advance(ms: number): void {
    this.#time[0] = this.now() + ms
  }
}
