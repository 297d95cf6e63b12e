// Guards a supervised process from a thread of its own, which a blocked event loop does not stop: ends the process when a
// handler has blocked it beyond its limits, or when its supervisor is gone. What the thread does: watchdog-thread.ts.
import { Worker } from 'node:worker_threads'

export interface WatchdogData {
  /** When the process is stuck, in nanoseconds of the monotonic clock; 0 = never. */
  readonly overdueAt: BigInt64Array
  /** Process id of whoever started this process. */
  readonly supervisor: number
}

/** To the thread: show what runs, or: this runs. From the thread: what runs? */
export type WatchdogWord = 'show' | { readonly running: readonly RunningHandler[] }

/** A handler that has not ended. */
export interface RunningHandler {
  readonly id: string
  readonly type: string
  readonly attempt: number
  readonly forMs: number
}

/** The global function by this symbol tells what runs: the thread calls it while the main thread stands still. */
export const runningSymbol = 'forgeq.running'

export class Watchdog {
  readonly #overdueAt = new BigInt64Array(new SharedArrayBuffer(8))
  readonly #thread: Worker

  constructor(running: () => readonly RunningHandler[]) {
    Object.defineProperty(globalThis, Symbol.for(runningSymbol), { value: () => JSON.stringify(running()) })
    const workerData: WatchdogData = { overdueAt: this.#overdueAt, supervisor: process.ppid }
    this.#thread = new Worker(new URL('./watchdog-thread.js', import.meta.url), { workerData, execArgv: [] })
    this.#thread.on('message', () => this.#say({ running: running() }))
    this.#thread.unref()
  }

  /** The process is stuck unless this is called again within `ms`; `Infinity` = it is not. */
  readonly expectWithin = (ms: number): void => {
    const at = ms === Infinity ? 0n : process.hrtime.bigint() + BigInt(Math.ceil(ms * 1e6))
    Atomics.store(this.#overdueAt, 0, at)
  }

  /** Prints what runs and where its JavaScript is. */
  show(): void {
    this.#say('show')
  }

  #say(word: WatchdogWord): void {
    this.#thread.postMessage(word)
  }
}
