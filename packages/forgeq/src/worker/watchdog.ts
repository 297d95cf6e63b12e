// Guards a supervised process from a thread of its own, which a blocked event loop does not stop: ends the process when a
// handler has blocked it beyond its limits, or when its supervisor is gone. What the thread does: watchdog-thread.ts.
import { AsyncLocalStorage } from 'node:async_hooks'
import { Worker } from 'node:worker_threads'
import type { Sight } from './isolate.ts'
import type { Guarded, LoopGuard } from './loop-guard.ts'

export interface WatchdogData {
  /** In nanoseconds of the monotonic clock: see `expectedBy` and `calledUntil`. */
  readonly instants: BigInt64Array
  /** The id of the job whose handler is being called, in ASCII. */
  readonly calledJob: Uint8Array
  /** Process id of whoever started this process. */
  readonly supervisor: number
}

/** Of `instants`: when the event loop stands still if this has not changed by then; 0 = never. */
export const expectedBy = 0
/** Of `instants`: when the limits of the handler that is being called are over; 0 = none is being called. */
export const calledUntil = 1
/** Instead of an instant, for a handler that has no limits. */
export const noLimit: bigint = 2n ** 62n

/** To the thread: show what runs, or an answer to what it asked. */
export type WatchdogWord = 'show' | Partial<WatchdogAnswers>
/** From the thread, by name: what runs, and what the isolated ones of that do now. */
export interface WatchdogAnswers {
  readonly running: readonly RunningHandler[]
  readonly isolated: readonly Sight[]
}

/** A handler that has not ended. */
export interface RunningHandler {
  readonly id: string
  readonly type: string
  readonly attempt: number
  readonly forMs: number
}

/** What the main thread tells while it stands still. */
export interface Testimony {
  readonly running: readonly RunningHandler[]
  /** Whose code is at it. */
  readonly blocker: { readonly job: string; readonly leftMs: number | null } | null
}

/** The global function by this symbol gives a testimony as JSON: the thread calls it while the main thread stands still. */
export const testimonySymbol = 'forgeq.testimony'

const idLength = 36

export class Watchdog implements LoopGuard {
  readonly #instants = new BigInt64Array(new SharedArrayBuffer(16))
  readonly #calledJob = Buffer.from(new SharedArrayBuffer(idLength))
  // Tells whose code runs after a handler has waited, too. A native call that does not return cannot be asked.
  readonly #owner = new AsyncLocalStorage<Guarded>()
  readonly #thread: Worker

  constructor(running: () => readonly RunningHandler[], lookAtIsolated: () => Promise<readonly Sight[]>) {
    const testify = (): string => {
      const handlers = running()
      const owner = this.#owner.getStore()
      // What a handler has left behind, a timer or a connection, still runs as its own when it has ended long ago.
      const isRunning = handlers.some(({ id }) => id === owner?.job)
      // JSON has no infinity: it becomes `null`.
      const blocker = owner === undefined || !isRunning ? null : { job: owner.job, leftMs: owner.leftMs() }
      return JSON.stringify({ running: handlers, blocker } satisfies Testimony)
    }
    Object.defineProperty(globalThis, Symbol.for(testimonySymbol), { value: testify })
    const workerData: WatchdogData = {
      instants: this.#instants,
      calledJob: this.#calledJob,
      supervisor: process.ppid,
    }
    this.#thread = new Worker(new URL('./watchdog-thread.js', import.meta.url), { workerData, execArgv: [] })
    this.#thread.on('message', (question: keyof WatchdogAnswers) => {
      if (question === 'running') return this.#say({ running: running() })
      lookAtIsolated().then(
        (isolated) => this.#say({ isolated }),
        (error: unknown) => {
          throw error
        },
      )
    })
    this.#thread.unref()
  }

  readonly expectWithin: LoopGuard['expectWithin'] = (ms) => {
    Atomics.store(this.#instants, expectedBy, ms === Infinity ? 0n : instantIn(ms))
  }

  readonly call: LoopGuard['call'] = (guarded, handler) => {
    const leftMs = guarded.leftMs()
    this.#calledJob.write(guarded.job, 'latin1')
    Atomics.store(this.#instants, calledUntil, leftMs === Infinity ? noLimit : instantIn(leftMs))
    try {
      return this.#owner.run(guarded, handler)
    } finally {
      Atomics.store(this.#instants, calledUntil, 0n)
    }
  }

  /** Prints what runs and where its JavaScript is. */
  show(): void {
    this.#say('show')
  }

  #say(word: WatchdogWord): void {
    this.#thread.postMessage(word)
  }
}

const instantIn = (ms: number): bigint => process.hrtime.bigint() + BigInt(Math.ceil(ms * 1e6))
