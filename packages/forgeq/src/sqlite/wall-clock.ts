// The wall clock of this process, held against that of its machine: a process may be told another time than all others
// (libfaketime does that), and store time, which never goes back, must not follow it.
import { closeSync, fstatSync, openSync, unlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** File systems stamp to a few milliseconds; more than this is another time. */
const toleranceMs = 1_000
const checkEveryMs = 1_000

let files = 0

/** What the machine stamps a new file with; `undefined` where none can be made. */
export const machineTime = (): number | undefined => {
  const path = join(tmpdir(), `forgeq-clock-${process.pid}-${Math.random().toString(36).slice(2)}-${files++}`)
  try {
    const file = openSync(path, 'wx')
    try {
      return fstatSync(file).mtimeMs
    } finally {
      closeSync(file)
      unlinkSync(path)
    }
  } catch {
    return undefined
  }
}

export interface Clocks {
  /** Epoch milliseconds, as this process is told. */
  readonly wall: () => number
  /** Monotonic milliseconds. */
  readonly monotonic: () => number
  readonly machine: () => number | undefined
}

export class WallClock {
  readonly #clocks: Clocks
  /** By how much this process is told too much. */
  #errorMs = 0
  #checkedAt = -Infinity
  #checkedWall = 0

  constructor(clocks: Clocks = { wall: Date.now, monotonic: () => performance.now(), machine: machineTime }) {
    this.#clocks = clocks
  }

  /** Epoch milliseconds. */
  now(): number {
    const wall = this.#clocks.wall()
    const sinceMs = this.#clocks.monotonic() - this.#checkedAt
    const isSteady = sinceMs < checkEveryMs && Math.abs(wall - this.#checkedWall - sinceMs) < toleranceMs
    if (!isSteady) this.#check(wall)
    return wall - this.#errorMs
  }

  #check(wall: number): void {
    const errorMs = Math.round(wall - (this.#clocks.machine() ?? wall))
    this.#errorMs = Math.abs(errorMs) < toleranceMs ? 0 : errorMs
    this.#checkedAt = this.#clocks.monotonic()
    this.#checkedWall = wall
  }
}
