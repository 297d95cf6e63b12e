// Looks after the processes of a crew that may not hear for themselves, because their event loop is blocked or they stand
// still: by the records in the store it sees which of them holds jobs that should have ended by a cancel, and whose lease is
// over without its noticing. What is done about it is left to others.
import type { WorkerRecord } from '../store/worker-record.ts'
import type { Store } from '../store/store.ts'
import type { ForgeError } from '../core/errors.ts'
import type { Timers } from '../timers.ts'
import { withPauses } from '../trouble.ts'
import { Loop } from './loop.ts'

/** Without a hint. */
const lookMs = 2_000
/** The handler of a cancelled job has 5 s to end; a process that hears has settled it then. */
const cancelMs = 5_250
/** A process that runs hears within a beat that its record was closed, and registers anew. */
const closedMs = 5_250
/** It is said again after this time. */
const againMs = 1_000

export interface Overseeing {
  readonly store: Store
  readonly timers: Timers
  readonly random: () => number
  /** A job that `worker` holds was cancelled, and has not ended in time. */
  readonly lateCancel: (worker: string, job: string) => void
  /** The store has closed the record of `worker`, which does not notice. */
  readonly silent: (worker: string) => void
  readonly unavailable: (error: ForgeError) => void
  readonly failed: (error: unknown) => void
}

interface Concern {
  dueAt: number
  readonly tell: () => void
}

export class Oversight {
  readonly #host: Overseeing
  readonly #loop: Loop
  /** Worker -> stop listening. */
  readonly #workers = new Map<string, () => void>()
  #concerns = new Map<string, Concern>()

  constructor(host: Overseeing) {
    this.#host = host
    this.#loop = new Loop(
      withPauses(() => this.#turn(), host),
      host.timers,
      host.failed,
    )
  }

  /** A process works under this record. */
  add(worker: string): void {
    const { store } = this.#host
    this.#workers.set(
      worker,
      store.listen([`orders:${worker}`], () => this.#loop.wake()),
    )
    this.#loop.wake(lookMs)
  }

  /** It has closed its record or ended. */
  remove(worker: string): void {
    this.#workers.get(worker)?.()
    this.#workers.delete(worker)
  }

  async stop(): Promise<void> {
    for (const worker of this.#workers.keys()) this.remove(worker)
    await this.#loop.stop()
  }

  async #turn(): Promise<number | undefined> {
    if (this.#workers.size === 0) return undefined
    this.#look(await this.#host.store.workers())
    return this.#tellDue()
  }

  #look(records: readonly WorkerRecord[]): void {
    const { lateCancel, silent } = this.#host
    const concerns = new Map<string, Concern>()
    const concern = (key: string, afterMs: number, tell: () => void): void => {
      concerns.set(key, this.#concerns.get(key) ?? { dueAt: this.#host.timers.now() + afterMs, tell })
    }
    for (const worker of this.#workers.keys()) {
      const record = records.find(({ id }) => id === worker)
      // A closed record disappears when it holds nothing.
      if (record === undefined || record.closed) concern(worker, closedMs, () => silent(worker))
      else for (const job of record.cancelling) concern(`${worker} ${job}`, cancelMs, () => lateCancel(worker, job))
    }
    this.#concerns = concerns
  }

  #tellDue(): number {
    const now = this.#host.timers.now()
    let nextMs = lookMs
    for (const concern of this.#concerns.values()) {
      if (concern.dueAt <= now) {
        concern.tell()
        concern.dueAt = now + againMs
      }
      nextMs = Math.min(nextMs, concern.dueAt - now)
    }
    return nextMs
  }
}
