// Decides when to look whether other processes wrote: at once after activity, ever less when idle, and when the system
// tells of a write. Such a word is a hint only; the interval underneath covers its loss.
import { FileWatch } from './file-watch.ts'

export interface LookoutHost {
  /** Whether anyone here wants to know. */
  readonly isNeeded: () => boolean
  /** Looks, and says whether another process has written. */
  readonly look: () => boolean
}

const firstMs = 2
const lastMs = 15
/** The last interval where the system tells of writes before a look finds them. */
const toldLastMs = 250
/** How long after activity, or a word of the system, the first interval lasts. */
const eagerMs = 100

export class Lookout {
  readonly #host: LookoutHost
  readonly #watch: FileWatch
  #timer: NodeJS.Timeout | undefined
  #eagerUntil = -Infinity
  #expectedUntil = -Infinity
  /** A write was told of, and none since then was found untold. */
  #isTold = false

  constructor(path: string, host: LookoutHost) {
    this.#host = host
    this.#watch = new FileWatch(`${path}-wal`, () => this.#expect())
  }

  /** Something happened: more may follow soon. */
  stir(): void {
    this.#eagerUntil = performance.now() + eagerMs
    // A busy file would have it tell of every page.
    this.#watch.stop()
    if (this.#host.isNeeded()) this.#lookIn(firstMs)
  }

  /** What `fn` writes is no news, but for the first time: that shows whether the system tells. The caller looks after. */
  overlook<T>(fn: () => T): T {
    if (!this.#watch.isOn || !this.#isTold) return fn()
    this.#watch.stop()
    try {
      return fn()
    } finally {
      if (performance.now() >= this.#eagerUntil) this.#watch.start()
    }
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#watch.stop()
  }

  /** Told of the first page of a write: looks often until its commit is there. */
  #expect(): void {
    this.#watch.stop()
    this.#isTold = true
    this.#expectedUntil = performance.now() + eagerMs
    this.#lookIn(firstMs)
  }

  /** The first interval takes the place of a longer one that is running. */
  #lookIn(delayMs: number): void {
    if (this.#timer !== undefined && delayMs !== firstMs) return
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#look(delayMs), delayMs).unref()
  }

  #look(delayMs: number): void {
    this.#timer = undefined
    if (!this.#host.isNeeded()) return this.#watch.stop()
    const now = performance.now()
    const isExpected = now < this.#expectedUntil
    const isEager = isExpected || now < this.#eagerUntil
    // Before the look: what is written from here on is told.
    if (!isEager) this.#watch.start()
    const isUntold = this.#watch.isOn && !isExpected
    if (this.#host.look()) {
      this.#expectedUntil = -Infinity
      if (isUntold) this.#isTold = false
    }
    if (this.#timer === undefined)
      this.#lookIn(isEager ? firstMs : Math.min(delayMs * 2, this.#isTold ? toldLastMs : lastMs))
  }
}
