// Runs one body again and again, never twice at a time: the body returns when it wants to run next, anyone may wake it
// earlier. Nothing else in the engine sleeps.
import type { Timers } from '../timers.ts'

/** Returns the delay in ms until it runs again, `undefined` = when it is woken. */
export type LoopBody = () => Promise<number | undefined>

export class Loop {
  readonly #body: LoopBody
  readonly #timers: Timers
  readonly #fail: (error: unknown) => void
  #running = false
  /** When the next run is due, `Infinity` = when woken, `-Infinity` = in this turn of the event loop. */
  #dueAt = Infinity
  #cancel: (() => void) | undefined
  #stopping: Promise<void> | undefined
  #ended: (() => void) | undefined

  /** What the body throws goes to `fail`; the loop then rests until it is woken. */
  constructor(body: LoopBody, timers: Timers, fail: (error: unknown) => void) {
    this.#body = body
    this.#timers = timers
    this.#fail = fail
  }

  /** Makes the body run within `ms`; woken while it runs, it runs once more. */
  wake(ms = 0): void {
    if (this.#stopping !== undefined) return
    const dueAt = ms <= 0 ? -Infinity : this.#timers.now() + ms
    if (dueAt >= this.#dueAt) return
    this.#dueAt = dueAt
    if (!this.#running) this.#arm()
  }

  /** Resolves when the body no longer runs. */
  stop(): Promise<void> {
    this.#dueAt = Infinity
    this.#cancel?.()
    this.#stopping ??= this.#running ? new Promise((resolve) => (this.#ended = resolve)) : Promise.resolve()
    return this.#stopping
  }

  #arm(): void {
    this.#cancel?.()
    this.#cancel = undefined
    if (this.#dueAt === Infinity) return
    const run = (): void => {
      this.#run().catch(this.#fail)
    }
    if (this.#dueAt === -Infinity) {
      // After everything that ends in this turn: what wakes the loop together is served together.
      const immediate = setImmediate(run)
      this.#cancel = () => clearImmediate(immediate)
    } else {
      this.#cancel = this.#timers.after(this.#dueAt - this.#timers.now(), run)
    }
  }

  async #run(): Promise<void> {
    this.#cancel = undefined
    this.#dueAt = Infinity
    this.#running = true
    try {
      const delayMs = await this.#body()
      if (delayMs !== undefined) {
        this.#dueAt = Math.min(this.#dueAt, delayMs <= 0 ? -Infinity : this.#timers.now() + delayMs)
      }
    } finally {
      this.#running = false
      if (this.#stopping === undefined) this.#arm()
      else this.#ended?.()
    }
  }
}
