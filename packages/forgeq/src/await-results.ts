// Waits for jobs to end, any number of them on one loop: it listens first and looks afterwards, so that no end is
// missed, and looks again now and then because hints may be lost. What an end means is left to the handle.
import { ForgeError } from './core/errors.ts'
import { isEnded } from './core/states.ts'
import type { JobRecord } from './store/records.ts'
import { batchLimit, type Store, type Topic } from './store/store.ts'
import type { Timers } from './timers.ts'
import { willPass } from './trouble.ts'
import { Loop } from './worker/loop.ts'

const firstPollMs = 25
const longestPollMs = 1_000
/** Jobs without a hint are looked at together, at most this often. */
const pollEveryMs = 25

interface Waiter {
  readonly resolve: (job: JobRecord | undefined) => void
  readonly reject: (error: unknown) => void
  readonly disarm: () => void
}

interface Watched {
  readonly id: string
  readonly waiters: Set<Waiter>
  unlisten: () => void
  /** Heard since the last look began: whatever that look says is old. */
  hinted: boolean
  pollMs: number
  pollAt: number
}

export class EndedJobs {
  readonly #store: Store
  readonly #timers: Timers
  readonly #watched = new Map<string, Watched>()
  /** To be looked at now. */
  readonly #due = new Set<Watched>()
  readonly #loop: Loop
  #pollAt = Infinity
  #closed: ForgeError | undefined

  constructor(store: Store, timers: Timers) {
    this.#store = store
    this.#timers = timers
    this.#loop = new Loop(
      () => this.#look(),
      timers,
      (error) => this.#rejectAll(error),
    )
  }

  /** The record of the job once it ended, `undefined` when the store does not know it; TIMEOUT after `timeoutMs`. */
  async wait(id: string, timeoutMs: number | undefined): Promise<JobRecord | undefined> {
    if (this.#closed !== undefined) throw this.#closed
    const watched = this.#watched.get(id) ?? this.#watch(id)
    return new Promise((resolve, reject) => {
      const expire = (): void => {
        this.#forget(watched, waiter)
        reject(
          new ForgeError('TIMEOUT', `job ${id} did not end within ${timeoutMs} ms; it goes on, wait again`, { id }),
        )
      }
      const disarm = timeoutMs === undefined ? () => {} : this.#timers.after(timeoutMs, expire)
      const waiter = { resolve, reject, disarm }
      watched.waiters.add(waiter)
    })
  }

  async close(): Promise<void> {
    this.#closed = new ForgeError('STORE_CLOSED', 'this forge was closed; the job goes on, await it with another one')
    this.#rejectAll(this.#closed)
    await this.#loop.stop()
  }

  #watch(id: string): Watched {
    const watched: Watched = {
      id,
      waiters: new Set(),
      unlisten: () => {},
      hinted: false,
      pollMs: firstPollMs,
      pollAt: 0,
    }
    this.#watched.set(id, watched)
    const topic: Topic = `ended:${id}`
    watched.unlisten = this.#store.listen([topic], () => {
      watched.hinted = true
      this.#lookAt(watched)
    })
    this.#lookAt(watched)
    return watched
  }

  #lookAt(watched: Watched): void {
    this.#due.add(watched)
    this.#loop.wake()
  }

  #forget(watched: Watched, waiter: Waiter): void {
    watched.waiters.delete(waiter)
    if (watched.waiters.size === 0) this.#drop(watched)
  }

  #drop(watched: Watched): void {
    watched.unlisten()
    this.#due.delete(watched)
    this.#watched.delete(watched.id)
  }

  #take(): Watched[] {
    const now = this.#timers.now()
    if (now >= this.#pollAt) {
      this.#pollAt = Infinity
      for (const watched of this.#watched.values()) {
        if (watched.pollAt <= now) this.#due.add(watched)
        else this.#pollAt = Math.min(this.#pollAt, watched.pollAt)
      }
    }
    const taken: Watched[] = []
    for (const watched of this.#due) {
      if (taken.length === batchLimit) break
      taken.push(watched)
      this.#due.delete(watched)
      watched.hinted = false
    }
    return taken
  }

  async #look(): Promise<number | undefined> {
    const taken = this.#take()
    if (taken.length > 0) {
      let jobs: readonly JobRecord[]
      try {
        jobs = await this.#store.jobs(taken.map((watched) => watched.id))
      } catch (error) {
        if (!willPass(error)) throw error
        for (const watched of taken) if (this.#watched.get(watched.id) === watched) this.#again(watched)
        return this.#nextMs()
      }
      const byId = new Map(jobs.map((job) => [job.id, job]))
      for (const watched of taken) {
        // Its waiters may have given up meanwhile, and others may have come.
        if (this.#watched.get(watched.id) !== watched) continue
        const job = byId.get(watched.id)
        if (job === undefined || isEnded(job.state)) this.#settle(watched, job)
        else this.#again(watched)
      }
    }
    return this.#nextMs()
  }

  #again(watched: Watched): void {
    if (watched.hinted) return
    watched.pollAt = this.#timers.now() + watched.pollMs
    watched.pollMs = Math.min(watched.pollMs * 2, longestPollMs)
    this.#pollAt = Math.min(this.#pollAt, watched.pollAt)
  }

  #nextMs(): number | undefined {
    if (this.#due.size > 0) return 0
    if (this.#watched.size === 0) return undefined
    return Math.max(this.#pollAt - this.#timers.now(), pollEveryMs)
  }

  #settle(watched: Watched, job: JobRecord | undefined): void {
    this.#drop(watched)
    for (const waiter of watched.waiters) {
      waiter.disarm()
      waiter.resolve(job)
    }
  }

  #rejectAll(error: unknown): void {
    for (const watched of this.#watched.values()) {
      this.#drop(watched)
      for (const waiter of watched.waiters) {
        waiter.disarm()
        waiter.reject(error)
      }
    }
  }
}
