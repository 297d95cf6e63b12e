// The worker's record in the store: registers, beats, and when the record was closed registers anew under a new id. What
// becomes of the jobs that ran under a closed record is left to the worker.
import { defaults } from '../core/caps.ts'
import type { ForgeError } from '../core/errors.ts'
import type { Order, Registration } from '../store/records.ts'
import type { WorkerFacts } from '../store/worker-record.ts'
import type { Store } from '../store/store.ts'
import type { Timers } from '../timers.ts'
import { willPass, withPauses } from '../trouble.ts'
import { Loop } from './loop.ts'
import { closeDead } from './pid-space.ts'

export interface Leasing {
  readonly store: Store
  readonly timers: Timers
  readonly random: () => number
  readonly ready: () => Promise<unknown>
  readonly newId: () => string
  readonly registration: () => Omit<Registration, 'id'>
  readonly facts: (lateMs: number) => WorkerFacts
  readonly heard: (now: number) => void
  readonly registered: (worker: string) => void
  readonly ordered: (order: Order) => void
  /** The record was closed. */
  readonly closed: (worker: string) => void
  readonly unavailable: (error: ForgeError) => void
  readonly failed: (error: unknown) => void
}

export class Lease {
  readonly #host: Leasing
  readonly #loop: Loop
  #worker: string | undefined
  #isRegistered = false
  #unlisten: (() => void) | undefined
  /** Of the next beat; `undefined`: it is none, or comes after a failure, and cannot be late. */
  #dueAt: number | undefined
  #leaseMs: number = defaults.leaseMs

  constructor(host: Leasing) {
    this.#host = host
    this.#loop = new Loop(
      withPauses(() => this.#turn(), host),
      host.timers,
      host.failed,
    )
  }

  /** Three chances in a lease. */
  get #beatMs(): number {
    return Math.min(defaults.beatMs, this.#leaseMs / 3)
  }

  /** Registers, and from then on beats. */
  start(): void {
    this.#loop.wake()
  }

  /** There are facts to tell that should not wait. */
  beatNow(): void {
    if (this.#isRegistered) this.#loop.wake()
  }

  /** The record is closed: the next turn registers anew. Says whether that was news. */
  lose(worker: string): boolean {
    if (this.#worker !== worker) return false
    this.#forget()
    this.#loop.wake()
    return true
  }

  /** Beats no more; closes the record, so that nobody waits for it to expire. */
  async stop(): Promise<void> {
    // A registration that is under way ends first: its record must not stay open.
    await this.#loop.stop()
    const worker = this.#isRegistered ? this.#worker : undefined
    this.#forget()
    if (worker === undefined) return
    const { store } = this.#host
    // Once more when it got lost, which does no harm if it was heard; after that the lease tells it.
    await store.leave(worker).catch((error: unknown) => {
      if (!willPass(error)) throw error
      return store.leave(worker)
    })
  }

  async #turn(): Promise<number> {
    const { timers } = this.#host
    const lateMs = this.#dueAt === undefined ? 0 : Math.max(0, timers.now() - this.#dueAt)
    this.#dueAt = undefined
    const delayMs = this.#isRegistered ? await this.#beat(lateMs) : await this.#register()
    this.#dueAt = timers.now() + delayMs
    return delayMs
  }

  async #register(): Promise<number> {
    const { store } = this.#host
    const registration = this.#host.registration()
    this.#leaseMs = registration.leaseMs
    // Ids carry the store's time: nothing may make one before that is known.
    await this.#host.ready()
    // Kept over failures: an unknown outcome is repeated with the same id.
    const id = (this.#worker ??= this.#host.newId())
    await closeDead(store)
    const { now } = await store.register({ ...registration, id })
    this.#isRegistered = true
    this.#unlisten = store.listen([`orders:${id}`], () => this.#loop.wake())
    this.#host.heard(now)
    this.#host.registered(id)
    return this.#beatMs
  }

  async #beat(lateMs: number): Promise<number> {
    const worker = this.#worker!
    const reply = await this.#host.store.beat(worker, this.#host.facts(lateMs), [])
    if (this.#worker !== worker) return 0
    if (reply.closed) {
      this.#host.closed(worker)
      return 0
    }
    this.#host.heard(reply.now)
    for (const order of reply.orders) this.#host.ordered(order)
    return this.#beatMs
  }

  #forget(): void {
    this.#unlisten?.()
    this.#unlisten = undefined
    this.#worker = undefined
    this.#isRegistered = false
  }
}
