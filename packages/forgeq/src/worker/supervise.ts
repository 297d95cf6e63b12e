// Keeps N worker processes alive: starts them, starts anew what died, tells the store of deaths so that jobs come back at
// once instead of after the lease, and ends them by a deadline. What a process does: supervised.ts.
import { fork, type ChildProcess } from 'node:child_process'
import { delayAfter, type BackoffPlan } from '../core/backoff.ts'
import { defaults } from '../core/caps.ts'
import { ForgeError } from '../core/errors.ts'
import type { Emitter } from '../emitter.ts'
import { rescue } from '../maintain/rescue.ts'
import { failpoint } from '../store/failpoint.ts'
import type { Store } from '../store/store.ts'
import type { Timers } from '../timers.ts'
import { pauseMs, willPass } from '../trouble.ts'
import { announceRescue } from './announce.ts'
import type { Order, Report, RunningJob } from './crew-talk.ts'
import { Loop } from './loop.ts'

/** For telling the store of the last deaths; their leases tell it anyway. */
const lastWordsMs = 1_000
/** A process that lived this long has recovered: its next death counts as the first. */
const soundAfterMs = 10_000
/** A module that ended its process this many times in a row while it was loaded is not given another chance. */
const loadChances = 3
/** After this time of loading a module it is said that it has not finished. */
const longLoadMs = 5_000
const restarts: BackoffPlan = { type: 'exponential', baseMs: 200, factor: 2, maxMs: 30_000, jitter: true }

export interface Supervising {
  /** The module each process runs; it calls `runSupervised`. */
  readonly entry: URL
  readonly task: unknown
  readonly processes: number
  readonly store: Store
  readonly timers: Timers
  readonly random: () => number
  /** Hears of the jobs that come back. */
  readonly events: Emitter
  readonly told: (news: News) => void
}

/** What happened to a process. `place`: 1 to the number of processes, kept over restarts. */
export type News =
  | { readonly news: 'loaded'; readonly place: number; readonly details: unknown }
  | { readonly news: 'serving'; readonly place: number }
  /** It has been loading this module for `forMs`, and is waited for. */
  | { readonly news: 'loads long'; readonly place: number; readonly module: string; readonly forMs: number }
  | {
      readonly news: 'died'
      readonly place: number
      readonly pid: number
      readonly how: string
      readonly restartMs: number
    }
  | { readonly news: 'killed'; readonly place: number; readonly pid: number }
  /** The store does not take the news of a death yet. */
  | { readonly news: 'store down'; readonly error: ForgeError }

interface Place {
  readonly number: number
  child: ChildProcess | undefined
  /** Its record in the store. */
  worker: string | undefined
  running: readonly RunningJob[]
  startedAt: number
  failures: number
  /** The module it is loading. */
  loading: string | undefined
  /** Times in a row that it died of loading. */
  loadFailures: number
  isDone: boolean
  refusal: ForgeError | undefined
  cancelRestart: (() => void) | undefined
  cancelNotice: (() => void) | undefined
}

export class Supervisor {
  readonly #host: Supervising
  readonly #places: readonly Place[]
  readonly #reporter: Loop
  /** Workers whose deaths the store has not heard of. */
  readonly #dead = new Set<string>()
  #reportFailures = 0
  #hasServed = false
  #failure: unknown
  #graceMs = 0
  #isStopping = false
  #isOver = false
  readonly #undo: (() => void)[] = []
  #over: Promise<void> | undefined
  #settleOver: { resolve: () => void; reject: (error: unknown) => void } | undefined

  constructor(host: Supervising) {
    this.#host = host
    this.#places = Array.from({ length: host.processes }, (_, i) => ({
      number: i + 1,
      child: undefined,
      worker: undefined,
      running: [],
      startedAt: 0,
      failures: 0,
      loading: undefined,
      loadFailures: 0,
      isDone: false,
      refusal: undefined,
      cancelRestart: undefined,
      cancelNotice: undefined,
    }))
    this.#reporter = new Loop(
      () => this.#tellDeaths(),
      host.timers,
      (error) => this.#fail(error),
    )
  }

  /** Jobs that still run, known while it stops. */
  get running(): readonly RunningJob[] {
    return this.#places.flatMap(({ running }) => running)
  }

  /**
   * Resolves when all processes ended, because of `stop` or because they drained; rejects when a process says that it
   * cannot work before any could. `timeoutMs`: what a process that is told to stop by others may take.
   */
  run(timeoutMs: number): Promise<void> {
    this.#graceMs = Math.max(0, timeoutMs - defaults.handBackMs)
    this.#over ??= new Promise((resolve, reject) => {
      this.#settleOver = { resolve, reject }
      for (const place of this.#places) this.#start(place)
    })
    return this.#over
  }

  /** Ends all processes within `timeoutMs`; what misses that is killed. Called again it only gets shorter. */
  stop(timeoutMs: number): void {
    const { timers, told } = this.#host
    if (this.#isOver) return
    this.#isStopping = true
    for (const place of this.#places) {
      place.cancelRestart?.()
      this.#tell(place, { order: 'stop', graceMs: Math.max(0, timeoutMs - defaults.handBackMs) })
    }
    const kill = (): void => {
      for (const { child, number } of this.#places) {
        if (child?.kill('SIGKILL')) told({ news: 'killed', place: number, pid: child.pid! })
      }
    }
    this.#undo.push(timers.after(timeoutMs, kill))
    this.#checkOver()
  }

  #start(place: Place): void {
    const { entry, task, timers } = this.#host
    const child = fork(entry, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    Object.assign(place, { child, worker: undefined, running: [], startedAt: timers.now(), cancelRestart: undefined })
    child.on('message', (report: Report) => this.#hear(place, report))
    // A process that cannot be made has no exit; whatever else fails about one shows in its exit.
    child.on('error', (error) => {
      if (child.pid === undefined) this.#ended(place, child, error.message)
    })
    child.once('exit', (code, signal) => this.#ended(place, child, signal ?? `exit code ${code}`))
    this.#tell(place, { order: 'start', task, graceMs: this.#graceMs })
  }

  #tell({ child }: Place, order: Order): void {
    // A broken channel means that the process is ending, which its exit tells.
    if (child?.connected) child.send(order, () => {})
  }

  #hear(place: Place, message: Report): void {
    switch (message.report) {
      case 'loading':
        this.#load(place, message.module)
        break
      case 'loaded':
        this.#load(place, undefined)
        place.loadFailures = 0
        this.#host.told({ news: 'loaded', place: place.number, details: message.details })
        break
      case 'serving':
        place.worker = message.worker
        this.#hasServed = true
        this.#host.told({ news: 'serving', place: place.number })
        break
      case 'left':
        if (place.worker === message.worker) place.worker = undefined
        break
      case 'running':
        place.running = message.jobs
        break
      case 'drained':
        place.isDone = true
        break
      case 'refused':
        place.refusal = new ForgeError(message.code, message.message, {
          ...(message.problems && { problems: message.problems }),
        })
    }
  }

  #load(place: Place, module: string | undefined): void {
    const { timers, told } = this.#host
    place.cancelNotice?.()
    place.loading = module
    if (module === undefined) return
    const notice = { news: 'loads long', place: place.number, module, forMs: longLoadMs } as const
    place.cancelNotice = timers.after(longLoadMs, () => told(notice))
  }

  #ended(place: Place, child: ChildProcess, how: string): void {
    if (place.child !== child) return
    place.child = undefined
    place.running = []
    const { loading } = place
    this.#load(place, undefined)
    if (loading !== undefined && !this.#isStopping && ++place.loadFailures >= loadChances) {
      place.refusal ??= diedLoading(loading, how, place.loadFailures)
    }
    if (place.worker !== undefined) {
      this.#dead.add(place.worker)
      failpoint('supervisor.after-death')
      this.#reporter.wake()
    }
    if (place.refusal !== undefined && !this.#hasServed) return this.#fail(place.refusal)
    if (this.#isStopping || place.isDone) return this.#checkOver()
    this.#restart(place, child.pid ?? 0, place.refusal?.message ?? how)
  }

  #restart(place: Place, pid: number, how: string): void {
    const { timers, random, told } = this.#host
    if (timers.now() - place.startedAt >= soundAfterMs) place.failures = 0
    place.failures += 1
    place.refusal = undefined
    const restartMs = delayAfter(restarts, place.failures, random)
    told({ news: 'died', place: place.number, pid, how, restartMs })
    place.cancelRestart = timers.after(restartMs, () => this.#start(place))
  }

  /** One round: closes the records of the dead and brings their jobs back. */
  async #tellDeaths(): Promise<number | undefined> {
    const { store, told, random, events } = this.#host
    try {
      for (const worker of this.#dead) {
        await store.leave(worker)
        this.#dead.delete(worker)
      }
      // 0: there is more. What it says about later is left to the duties of workers and servers.
      while ((await rescue(store, Date.now, (rescued) => announceRescue(events, rescued))) === 0);
      this.#reportFailures = 0
    } catch (error) {
      if (!willPass(error)) throw error
      told({ news: 'store down', error })
      this.#reportFailures += 1
      return pauseMs(this.#reportFailures, random)
    }
    this.#checkOver()
    return undefined
  }

  #fail(error: unknown): void {
    this.#failure ??= error
    this.#dead.clear()
    this.stop(defaults.handBackMs)
  }

  #checkOver(): void {
    if (this.#places.some(({ child, isDone }) => child !== undefined || !(isDone || this.#isStopping))) return
    if (this.#dead.size === 0) this.#finish()
    else this.#undo.push(this.#host.timers.after(lastWordsMs, () => this.#finish()))
  }

  #finish(): void {
    if (this.#isOver) return
    this.#isOver = true
    for (const undo of this.#undo.splice(0)) undo()
    const end = (): void => {
      if (this.#failure === undefined) this.#settleOver?.resolve()
      else this.#settleOver?.reject(this.#failure)
    }
    this.#reporter.stop().then(end, (error: unknown) => this.#settleOver?.reject(error))
  }
}

const diedLoading = (module: string, how: string, times: number): ForgeError =>
  new ForgeError(
    'CONFIG',
    `${module} cannot be loaded: its process ended meanwhile (${how}), ${times} times in a row; see that importing it does ` +
      'not end the process',
  )
