// Beats for workers of this process from a thread of its own when they do not do so themselves: an event loop that is blocked
// keeps its leases.
import { Worker } from 'node:worker_threads'

/** What the thread is told. */
export type Pulse =
  | { readonly kind: 'keep'; readonly worker: string; readonly leaseMs: number }
  | { readonly kind: 'beaten'; readonly worker: string }
  | { readonly kind: 'drop'; readonly worker: string }
  | { readonly kind: 'end' }

export interface PulseData {
  readonly url: string
  readonly schema: string
  readonly allowUnsafe: boolean
}

export class KeepAlive {
  readonly #data: PulseData
  /** A thread that dies is started anew with them. */
  readonly #kept = new Map<string, number>()
  #thread: Worker | undefined
  #isClosed = false

  constructor(data: PulseData) {
    this.#data = data
  }

  keep(worker: string, leaseMs: number): void {
    this.#kept.set(worker, leaseMs)
    this.#running().postMessage({ kind: 'keep', worker, leaseMs } satisfies Pulse)
  }

  /** The worker has beaten itself: its thread need not for a while. */
  beaten(worker: string): void {
    if (this.#kept.has(worker)) this.#thread?.postMessage({ kind: 'beaten', worker } satisfies Pulse)
  }

  drop(worker: string): void {
    this.#kept.delete(worker)
    this.#thread?.postMessage({ kind: 'drop', worker } satisfies Pulse)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    const thread = this.#thread
    if (thread === undefined) return
    const over = new Promise((resolve) => thread.once('exit', resolve))
    thread.postMessage({ kind: 'end' } satisfies Pulse)
    await over
  }

  #running(): Worker {
    if (this.#thread !== undefined) return this.#thread
    const thread = new Worker(new URL('./keep-alive-thread.js', import.meta.url), { workerData: this.#data })
    this.#thread = thread
    // Whatever it was, the exit follows; a lease that is lost meanwhile is told by the next exchange.
    thread.on('error', () => undefined)
    thread.once('exit', () => {
      this.#thread = undefined
      if (this.#isClosed) return
      for (const [worker, leaseMs] of this.#kept) this.keep(worker, leaseMs)
    })
    return thread
  }
}
