// Exchanges of idle workers of this process, which wait here for something to claim: the transaction that stores a job gives it to
// them at once. Anything else that may have come ends the wait, so that they ask.
import { defaults } from '../core/caps.ts'
import type { Closed, ExchangeReply, ExchangeRequest } from '../store/records.ts'

/** `over`: nothing came · `look`: something may have come. */
export type End = 'over' | 'look' | { readonly reply: ExchangeReply | Closed }

export class Waiting {
  readonly request: ExchangeRequest
  /** What it would like to hear of. */
  readonly #topics: ReadonlySet<string>
  #end: End | undefined
  #isTaken = false
  #resolve: ((end: End) => void) | undefined

  constructor(request: ExchangeRequest) {
    this.request = request
    this.#topics = new Set(request.wants.map(({ queue }) => `ready:${queue}`))
  }

  hears(topic: string): boolean {
    return this.#topics.has(topic)
  }

  /** Waits already, for a job of one of these queues. */
  isFor(queues: ReadonlySet<string>): boolean {
    return (
      this.#resolve !== undefined &&
      this.#end === undefined &&
      !this.#isTaken &&
      this.request.wants.some(({ queue }) => queues.has(queue))
    )
  }

  end(end: End): void {
    if (!this.#isTaken) this.#finish(end)
  }

  /** From now on only who calls what this answers ends it: a job may be on its way. */
  take(): (end: End) => void {
    this.#isTaken = true
    return (end) => this.#finish(end)
  }

  #finish(end: End): void {
    this.#end ??= end
    this.#resolve?.(this.#end)
  }

  /** How it ends; at once when something came since it was asked. */
  async wait(forMs: number): Promise<End> {
    if (this.#end !== undefined) return this.#end
    const timer = setTimeout(() => this.end('over'), forMs)
    try {
      return await new Promise((resolve) => (this.#resolve = resolve))
    } finally {
      clearTimeout(timer)
    }
  }
}

export class Waits {
  readonly #waiting = new Set<Waiting>()
  #busyAt = -Infinity

  /** An exchange was asked that may wait, from now on or later. */
  begin(request: ExchangeRequest): Waiting {
    const waiting = new Waiting(request)
    this.#waiting.add(waiting)
    return waiting
  }

  done(waiting: Waiting): void {
    this.#waiting.delete(waiting)
  }

  /** Something happened: hints may get lost, and what is lost next is more likely to be soon. */
  busy(): void {
    this.#busyAt = performance.now()
  }

  /** So long at most, for hints may get lost. */
  get forMs(): number {
    const ms = Math.min(defaults.pollIdleMs, Math.max(defaults.pollBusyMs, performance.now() - this.#busyAt))
    return ms * (1.3 + Math.random() * 0.1)
  }

  hint(topics: Iterable<string>): void {
    for (const topic of topics) for (const one of this.#waiting) if (one.hears(topic)) one.end('look')
  }

  endOf(worker: string): void {
    for (const one of this.#waiting) if (one.request.worker === worker) one.end('over')
  }

  endAll(): void {
    for (const one of this.#waiting) one.end('over')
  }

  /** The one that has waited longest for a job of these queues. */
  find(queues: ReadonlySet<string>): Waiting | undefined {
    return [...this.#waiting].find((one) => one.isFor(queues))
  }
}
