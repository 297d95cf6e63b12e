// Store time in this process: the wall clock (wall-clock.ts), but never behind what was seen. While the wall clock is behind (it was set
// back, or another process was ahead), time goes on at the pace of the monotonic clock.
import type { ManualClock } from '../store/clock.ts'
import { WallClock } from './wall-clock.ts'

export class StoreClock {
  readonly #manual: ManualClock | undefined
  readonly #wall: WallClock
  #base = 0
  #baseAt = 0

  constructor(manual?: ManualClock, wall: WallClock = new WallClock()) {
    this.#manual = manual
    this.#wall = wall
  }

  get isManual(): boolean {
    return this.#manual !== undefined
  }

  /** Epoch milliseconds. */
  now(): number {
    if (this.#manual !== undefined) return (this.#base = Math.max(this.#base, this.#manual.now()))
    const at = performance.now()
    const wall = this.#wall.now()
    const expected = Math.floor(this.#base + at - this.#baseAt)
    if (wall < expected) return expected
    this.#base = wall
    this.#baseAt = at
    return wall
  }

  /** The file has seen this instant. */
  hear(instant: number): void {
    if (instant <= this.now()) return
    this.#base = instant
    this.#baseAt = performance.now()
  }
}
