// Runs promote, rescue and prune side by side for as long as a worker or a server lives. Every process does: the store
// makes doubled rounds harmless, and whichever process is left keeps the queue alive.
import type { ForgeError } from '../core/errors.ts'
import type { Store } from '../store/store.ts'
import type { Timers } from '../timers.ts'
import { withPauses } from '../trouble.ts'
import { Loop } from '../worker/loop.ts'
import { promote } from './promote.ts'
import { prune } from './prune.ts'
import { rescue, type Rescued } from './rescue.ts'

export interface Maintaining {
  readonly store: Store
  readonly timers: Timers
  readonly random: () => number
  readonly storeNow: () => number
  readonly rescued: (rescued: Rescued) => void
  readonly unavailable: (error: ForgeError) => void
  readonly failed: (error: unknown) => void
}

export class Duties {
  readonly #host: Maintaining
  readonly #promote: Loop
  readonly #rescue: Loop
  readonly #prune: Loop
  #unlisten: (() => void) | undefined

  constructor(host: Maintaining) {
    const { store, storeNow, random } = host
    this.#host = host
    this.#promote = this.#loop(() => promote(store, storeNow), 0)
    this.#rescue = this.#loop(() => rescue(store, storeNow, random, host.rescued), 0.25)
    this.#prune = this.#loop(() => prune(store), 0.25)
  }

  start(): void {
    this.#unlisten = this.#host.store.listen(['due'], () => this.#promote.wake())
    this.#promote.wake()
    this.#rescue.wake()
    // Nothing waits for it: first comes what does.
    this.#prune.wake(1_000)
  }

  /** The next scheduled job is due in `ms`. */
  dueIn(ms: number): void {
    this.#promote.wake(ms)
  }

  async stop(): Promise<void> {
    this.#unlisten?.()
    await Promise.all([this.#promote.stop(), this.#rescue.stop(), this.#prune.stop()])
  }

  /** Processes that started together drift apart by `jitter`, a share of the delay: it only makes it shorter. */
  #loop(round: () => Promise<number>, jitter: number): Loop {
    const { timers, random, failed } = this.#host
    const drifting = async (): Promise<number> => (await round()) * (1 - jitter * random())
    return new Loop(withPauses(drifting, this.#host), timers, failed)
  }
}
