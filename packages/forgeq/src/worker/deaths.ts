// Tells the store of processes that died, so that their jobs come back at once and not after the lease. What is not told
// in the end shows by the lease. How a job goes on is decided in core.
import type { ForgeError } from '../core/errors.ts'
import type { Emitter } from '../emitter.ts'
import { rescue } from '../maintain/rescue.ts'
import type { WorkerEnd } from '../store/worker-record.ts'
import { failpoint } from '../store/failpoint.ts'
import type { Store } from '../store/store.ts'
import type { Timers } from '../timers.ts'
import { withPauses } from '../trouble.ts'
import { announceRescue } from './announce.ts'
import { Loop } from './loop.ts'

export interface Death {
  /** Its record in the store. */
  readonly worker: string
  readonly end: WorkerEnd
}

export interface Mourning {
  readonly store: Store
  readonly timers: Timers
  readonly random: () => number
  readonly storeNow: () => number
  readonly events: Emitter
  /** It held this many jobs. Comes before they come back. */
  readonly held: (death: Death, jobs: number) => void
  /** The store has heard of all deaths. */
  readonly told: () => void
  readonly unavailable: (error: ForgeError) => void
  readonly failed: (error: unknown) => void
}

export class Deaths {
  readonly #host: Mourning
  readonly #loop: Loop
  readonly #untold = new Map<string, Death>()

  constructor(host: Mourning) {
    this.#host = host
    this.#loop = new Loop(
      withPauses(() => this.#turn(), host),
      host.timers,
      host.failed,
    )
  }

  /** Some are not told yet, or their jobs are not back. */
  get isBusy(): boolean {
    return this.#untold.size > 0
  }

  add(death: Death): void {
    this.#untold.set(death.worker, death)
    failpoint('supervisor.after-death')
    this.#loop.wake()
  }

  forget(): void {
    this.#untold.clear()
  }

  async stop(): Promise<void> {
    await this.#loop.stop()
  }

  async #turn(): Promise<number | undefined> {
    await this.#tell([...this.#untold.values()])
    if (this.#untold.size > 0) return 0
    this.#host.told()
    return undefined
  }

  async #tell(deaths: readonly Death[]): Promise<void> {
    const { store, events, random, storeNow } = this.#host
    // Before the records are closed nobody else takes the jobs away.
    const records = await store.workers()
    for (const death of deaths) {
      this.#host.held(death, records.find(({ id }) => id === death.worker)?.held ?? 0)
      await store.leave(death.worker, death.end)
    }
    // 0: there is more. What it says about later is left to the duties of workers and servers.
    while ((await rescue(store, storeNow, random, (rescued) => announceRescue(events, rescued))) === 0);
    for (const { worker } of deaths) this.#untold.delete(worker)
  }
}
