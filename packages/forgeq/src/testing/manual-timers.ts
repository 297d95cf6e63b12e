// Timers that fire when a test moves the clock, in the order of their instants.
import { setImmediate as turnOfTheLoop } from 'node:timers/promises'
import type { ManualClock } from '../store/clock.ts'
import type { Timers } from '../timers.ts'

interface Timer {
  readonly at: number
  readonly fn: () => void
}

/** Whatever is under way goes on for some turns of the event loop before it waits for a timer. */
const settlingTurns = 10

export class ManualTimers implements Timers {
  readonly #clock: ManualClock
  readonly #timers = new Set<Timer>()

  constructor(clock: ManualClock) {
    this.#clock = clock
  }

  now(): number {
    return this.#clock.now()
  }

  after(ms: number, fn: () => void): () => void {
    const timer = { at: this.now() + ms, fn }
    this.#timers.add(timer)
    return () => this.#timers.delete(timer)
  }

  async advance(ms: number): Promise<void> {
    const until = this.now() + ms
    await settle()
    for (;;) {
      const next = this.#nextBy(until)
      if (next === undefined) break
      this.#timers.delete(next)
      this.#clock.advance(Math.max(0, next.at - this.now()))
      next.fn()
      await settle()
    }
    this.#clock.advance(until - this.now())
  }

  #nextBy(until: number): Timer | undefined {
    let next: Timer | undefined
    for (const timer of this.#timers) {
      if (timer.at <= until && (next === undefined || timer.at < next.at)) next = timer
    }
    return next
  }
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < settlingTurns; turn += 1) await turnOfTheLoop()
}
