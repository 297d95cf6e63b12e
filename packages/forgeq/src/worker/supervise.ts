// Keeps N worker processes alive and ends them by a deadline. One process after the other: place.ts; what a process does:
// supervised.ts; who tells the store of deaths: deaths.ts.
import { defaults } from '../core/caps.ts'
import type { ForgeError } from '../core/errors.ts'
import type { Emitter } from '../emitter.ts'
import { Duties } from '../maintain/duties.ts'
import { StoreTime } from '../store-time.ts'
import type { Crew } from '../store/worker-record.ts'
import type { Store } from '../store/store.ts'
import { willPass } from '../trouble.ts'
import { announceRescue } from './announce.ts'
import { CrewRecord } from './crew-record.ts'
import type { RunningJob } from './crew-talk.ts'
import { Deaths } from './deaths.ts'
import { Oversight } from './oversight.ts'
import { Place, type Placing } from './place.ts'

/** Of the time that stopping may take, what is kept for the store after the last process has been killed. */
const lastWordsMs = 300

export interface Supervising extends Pick<Placing, 'entry' | 'task' | 'limits' | 'timers' | 'random' | 'told'> {
  readonly processes: number
  readonly store: Store
  /** Hears of the jobs that come back. */
  readonly events: Emitter
}

export class Supervisor {
  readonly #host: Supervising
  readonly #places: readonly Place[]
  readonly #deaths: Deaths
  readonly #oversight: Oversight
  /** Here as well: all its processes may be blocked or stand still. */
  readonly #duties: Duties
  readonly #record: CrewRecord
  #hasServed = false
  #failure: { readonly error: unknown } | undefined
  #isLeaving = false
  #isOver = false
  #endsAt = Infinity
  readonly #undo: (() => void)[] = []
  #over: Promise<void> | undefined
  #settleOver: { resolve: () => void; reject: (error: unknown) => void } | undefined

  constructor(host: Supervising) {
    const time = new StoreTime(host.timers)
    const failed = (error: unknown): void => this.#fail(error)
    const unavailable = (error: ForgeError): void => host.told({ news: 'store down', error })
    this.#host = host
    const placing: Placing = {
      ...host,
      storeNow: () => time.now(),
      told: (news) => {
        if (news.news === 'serving') this.#hasServed = true
        host.told(news)
      },
      changed: () => this.#record.tell(),
      joined: (worker) => this.#oversight.add(worker),
      left: (worker) => this.#oversight.remove(worker),
      died: (death) => this.#deaths.add(death),
      refused: (error) => {
        if (!this.#hasServed) this.#fail(error)
        return !this.#hasServed
      },
      empty: () => this.#checkOver(),
    }
    this.#places = Array.from({ length: host.processes }, (_, i) => new Place(i + 1, placing))
    this.#deaths = new Deaths({
      ...host,
      storeNow: () => time.now(),
      held: ({ worker }, jobs) => {
        if (jobs > 0) for (const place of this.#places) place.excuse(worker)
      },
      told: () => this.#checkOver(),
      unavailable,
      failed,
    })
    this.#duties = new Duties({
      ...host,
      storeNow: () => time.now(),
      rescued: (rescued) => announceRescue(host.events, rescued),
      unavailable,
      failed,
    })
    this.#oversight = new Oversight({
      ...host,
      lateCancel: (worker, job) => {
        for (const place of this.#places) place.lateCancel(worker, job)
      },
      silent: (worker) => {
        for (const place of this.#places) place.silent(worker)
      },
      unavailable,
      failed,
    })
    this.#record = new CrewRecord({ ...host, time, crew: () => this.crew, failed })
  }

  /** Jobs that still run, known while it stops. */
  get running(): readonly RunningJob[] {
    return this.#places.flatMap(({ running }) => running)
  }

  /** How the processes do. */
  get crew(): Crew {
    return {
      processes: this.#places.length,
      up: this.#places.filter(({ isUp }) => isUp).length,
      loops: this.#places.flatMap(({ loop }) => loop ?? []),
    }
  }

  /**
   * Resolves when all processes ended, because of `stop` or because they drained; rejects when a process says that it
   * cannot work before any could. `timeoutMs`: what a process that is told to stop by others may take.
   */
  run(timeoutMs: number): Promise<void> {
    this.#over ??= new Promise((resolve, reject) => {
      this.#settleOver = { resolve, reject }
      this.#record.start()
      this.#duties.start()
      for (const place of this.#places) place.start(graceOf(timeoutMs))
    })
    return this.#over
  }

  /** Ends all processes within `timeoutMs`; what misses that is killed. Called again it only gets shorter. */
  stop(timeoutMs: number): void {
    const { timers } = this.#host
    if (this.#isOver) return
    this.#endsAt = Math.min(this.#endsAt, timers.now() + timeoutMs)
    for (const place of this.#places) place.stop(graceOf(timeoutMs))
    const kill = (): void => {
      for (const place of this.#places) place.kill()
    }
    this.#undo.push(timers.after(Math.max(0, timeoutMs - lastWordsMs), kill))
    this.#checkOver()
  }

  /** Each process prints what it does, also one whose event loop is blocked. */
  show(): void {
    for (const place of this.#places) place.show()
  }

  #fail(error: unknown): void {
    this.#failure ??= { error }
    this.#deaths.forget()
    this.stop(defaults.handBackMs)
  }

  /** When no process is left: closes the records that are still open, the crew's own at last, as far as time allows. */
  #checkOver(): void {
    if (this.#isOver || !this.#places.every(({ isEmpty }) => isEmpty)) return
    const { timers } = this.#host
    const leftMs = Math.max(0, Math.min(this.#endsAt - timers.now(), defaults.handBackMs))
    this.#undo.push(timers.after(leftMs, () => this.#finish()))
    if (this.#deaths.isBusy || this.#isLeaving) return
    this.#isLeaving = true
    Promise.all([this.#deaths.stop(), this.#duties.stop(), this.#oversight.stop(), this.#record.stop()]).then(
      () => this.#finish(),
      (error: unknown) => {
        // What the store was not told, leases tell it.
        if (!willPass(error)) this.#failure ??= { error }
        this.#finish()
      },
    )
  }

  #finish(): void {
    if (this.#isOver) return
    this.#isOver = true
    for (const undo of this.#undo.splice(0)) undo()
    if (this.#failure === undefined) this.#settleOver?.resolve()
    else this.#settleOver?.reject(this.#failure.error)
  }
}

/** What of the time for stopping its jobs may take. */
const graceOf = (timeoutMs: number): number => Math.max(0, timeoutMs - defaults.handBackMs)
