// Keeps N worker processes alive: starts them, starts anew what died or wants to be replaced, and ends them by a deadline.
// What a process does: supervised.ts. Who tells the store of deaths: deaths.ts.
import { fork, type ChildProcess } from 'node:child_process'
import type { Writable } from 'node:stream'
import { delayAfter, type BackoffPlan } from '../core/backoff.ts'
import { defaults } from '../core/caps.ts'
import { ForgeError } from '../core/errors.ts'
import type { Emitter } from '../emitter.ts'
import { StoreTime } from '../store-time.ts'
import type { Crew } from '../store/records.ts'
import type { Store } from '../store/store.ts'
import type { Timers } from '../timers.ts'
import { willPass } from '../trouble.ts'
import { CrewRecord } from './crew-record.ts'
import {
  stuckSignal,
  watchdogPipe,
  type CrewOrder,
  type RecycleLimits,
  type RecycleReason,
  type Report,
  type RunningJob,
} from './crew-talk.ts'
import { Deaths, type Death } from './deaths.ts'

/** Of the time that stopping may take, what is kept for closing records after the last process has been killed. */
const lastWordsMs = 300
/** A process that has worked for this long has recovered: its next death counts as the first. */
const soundAfterMs = 10_000
/** A module that ended its process this many times in a row while it was loaded is not given another chance. */
const loadChances = 3
/** After this time of loading a module it is said that it has not finished. */
const longLoadMs = 5_000
/** So many deaths in a row are a crash loop. */
const loopsAfter = 3
const restarts: BackoffPlan = { type: 'exponential', baseMs: 200, factor: 2, maxMs: 30_000, jitter: true }

export interface Supervising {
  /** The module each process runs; it calls `runSupervised`. */
  readonly entry: URL
  readonly task: unknown
  readonly processes: number
  readonly limits: RecycleLimits
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
  | { readonly news: 'recycled'; readonly place: number; readonly pid: number; readonly reason: RecycleReason }
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
  /** Since when it works. */
  servingAt: number | undefined
  /** Deaths in a row before it had worked for a while, those left out that a job may have caused. */
  failures: number
  how: string
  nextStartAt: number | undefined
  /** The module it is loading. */
  loading: string | undefined
  /** Times in a row that it died of loading. */
  loadFailures: number
  recycling: RecycleReason | undefined
  isDone: boolean
  refusal: ForgeError | undefined
  cancelTimer: (() => void) | undefined
  cancelNotice: (() => void) | undefined
}

interface End {
  /** For people. */
  readonly how: string
  readonly isStuck?: boolean
  /** By itself, with exit code 0. */
  readonly isClean?: boolean
}

export class Supervisor {
  readonly #host: Supervising
  readonly #places: readonly Place[]
  readonly #deaths: Deaths
  readonly #record: CrewRecord
  readonly #time: StoreTime
  #hasServed = false
  #failure: { readonly error: unknown } | undefined
  #graceMs = 0
  #isStopping = false
  #isLeaving = false
  #isOver = false
  #cancelLastWords: (() => void) | undefined
  #endsAt = Infinity
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
      servingAt: undefined,
      failures: 0,
      how: '',
      nextStartAt: undefined,
      loading: undefined,
      loadFailures: 0,
      recycling: undefined,
      isDone: false,
      refusal: undefined,
      cancelTimer: undefined,
      cancelNotice: undefined,
    }))
    const time = new StoreTime(host.timers)
    const failed = (error: unknown): void => this.#fail(error)
    this.#time = time
    this.#deaths = new Deaths({
      ...host,
      storeNow: () => time.now(),
      held: (death, jobs) => this.#excuse(death, jobs),
      told: () => this.#checkOver(),
      unavailable: (error) => host.told({ news: 'store down', error }),
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
    const loops = this.#places.filter(({ failures }) => failures >= loopsAfter)
    return {
      processes: this.#places.length,
      up: this.#places.filter(({ servingAt }) => servingAt !== undefined).length,
      loops: loops.map(({ number, failures, how, nextStartAt = null }) => ({ place: number, failures, how, nextStartAt })),
    }
  }

  /**
   * Resolves when all processes ended, because of `stop` or because they drained; rejects when a process says that it
   * cannot work before any could. `timeoutMs`: what a process that is told to stop by others may take.
   */
  run(timeoutMs: number): Promise<void> {
    this.#graceMs = Math.max(0, timeoutMs - defaults.handBackMs)
    this.#over ??= new Promise((resolve, reject) => {
      this.#settleOver = { resolve, reject }
      this.#record.start()
      for (const place of this.#places) this.#start(place)
    })
    return this.#over
  }

  /** Ends all processes within `timeoutMs`; what misses that is killed. Called again it only gets shorter. */
  stop(timeoutMs: number): void {
    const { timers, told } = this.#host
    if (this.#isOver) return
    this.#isStopping = true
    this.#endsAt = Math.min(this.#endsAt, timers.now() + timeoutMs)
    for (const place of this.#places) {
      if (place.child === undefined) place.cancelTimer?.()
      this.#tell(place, { order: 'stop', graceMs: Math.max(0, timeoutMs - defaults.handBackMs) })
    }
    const kill = (): void => {
      for (const { child, number } of this.#places) {
        if (child?.kill('SIGKILL')) told({ news: 'killed', place: number, pid: child.pid! })
      }
    }
    this.#undo.push(timers.after(Math.max(0, timeoutMs - lastWordsMs), kill))
    this.#checkOver()
  }

  /** Each process prints what it does, also one whose event loop is blocked. */
  show(): void {
    for (const { child } of this.#places) {
      const pipe = child?.stdio[watchdogPipe] as Writable | null | undefined
      pipe?.write('show\n')
    }
  }

  #start(place: Place): void {
    const { entry, task, limits } = this.#host
    const fresh = { worker: undefined, running: [], servingAt: undefined, recycling: undefined, refusal: undefined }
    Object.assign(place, { ...fresh, child: undefined, nextStartAt: undefined, cancelTimer: undefined })
    let child: ChildProcess
    try {
      child = fork(entry, { stdio: ['ignore', 'inherit', 'inherit', 'ipc', 'pipe'] })
    } catch (error) {
      // For some shortages, memory among them, there is not even a process object.
      return this.#restart(place, 0, (error as Error).message)
    }
    place.child = child
    child.on('message', (report: Report) => this.#hear(place, report))
    // A process that cannot be made has no exit; whatever else fails about one shows in its exit.
    child.on('error', (error) => {
      if (child.pid === undefined) this.#ended(place, child, { how: error.message })
    })
    child.once('exit', (code, signal) => {
      const isStuck = signal === stuckSignal
      const how = isStuck ? 'stuck in a handler' : (signal ?? `exit code ${code}`)
      this.#ended(place, child, { how, isStuck, isClean: code === 0 })
    })
    // It breaks when the process ends.
    child.stdio[watchdogPipe]?.on('error', () => {})
    this.#tell(place, { order: 'start', task, graceMs: this.#graceMs, limits })
  }

  #tell({ child }: Place, order: CrewOrder): void {
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
        this.#serves(place, message.worker)
        break
      case 'left':
        if (place.worker === message.worker) place.worker = undefined
        break
      case 'running':
        place.running = message.jobs
        break
      case 'recycle':
        place.recycling = message.reason
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

  #serves(place: Place, worker: string): void {
    const { timers, told } = this.#host
    place.worker = worker
    this.#hasServed = true
    if (place.servingAt === undefined) {
      place.servingAt = timers.now()
      place.cancelTimer = timers.after(soundAfterMs, () => this.#recovered(place))
    }
    this.#record.tell()
    told({ news: 'serving', place: place.number })
  }

  #recovered(place: Place): void {
    const wasLooping = place.failures >= loopsAfter
    place.failures = 0
    if (wasLooping) this.#record.tell()
  }

  #ended(place: Place, child: ChildProcess, { how, isStuck = false, isClean = false }: End): void {
    if (place.child !== child) return
    place.child = undefined
    place.running = []
    place.servingAt = undefined
    place.cancelTimer?.()
    const { loading } = place
    this.#load(place, undefined)
    if (loading !== undefined && !this.#isStopping && ++place.loadFailures >= loadChances) {
      place.refusal ??= diedLoading(loading, how, place.loadFailures)
    }
    const { worker, recycling, refusal } = place
    if (worker !== undefined) this.#deaths.add({ worker, how, isStuck })
    if (refusal !== undefined && !this.#hasServed) return this.#fail(refusal)
    if (this.#isStopping || place.isDone) return this.#checkOver()
    if (recycling === undefined || !isClean) return this.#restart(place, child.pid ?? 0, refusal?.message ?? how)
    this.#host.told({ news: 'recycled', place: place.number, pid: child.pid!, reason: recycling })
    this.#start(place)
  }

  #restart(place: Place, pid: number, how: string): void {
    const { timers, random, told } = this.#host
    place.failures += 1
    place.how = how
    const restartMs = delayAfter(restarts, place.failures, random)
    place.nextStartAt = this.#time.now() + restartMs
    told({ news: 'died', place: place.number, pid, how, restartMs })
    place.cancelTimer = timers.after(restartMs, () => this.#start(place))
    this.#record.tell()
  }

  /** A process that held jobs died of them, if of anything: they are counted for it, and it need not wait. */
  #excuse({ worker }: Death, jobs: number): void {
    const place = this.#places.find((one) => one.worker === worker)
    if (place !== undefined && jobs > 0) this.#recovered(place)
  }

  #fail(error: unknown): void {
    this.#failure ??= { error }
    this.#deaths.forget()
    this.stop(defaults.handBackMs)
  }

  #checkOver(): void {
    if (this.#places.some(({ child, isDone }) => child !== undefined || !(isDone || this.#isStopping))) return
    if (this.#cancelLastWords === undefined) {
      const leftMs = Math.max(0, Math.min(this.#endsAt - this.#host.timers.now(), defaults.handBackMs))
      this.#cancelLastWords = this.#host.timers.after(leftMs, () => this.#finish())
    }
    if (this.#deaths.isBusy || this.#isLeaving) return
    this.#isLeaving = true
    Promise.all([this.#deaths.stop(), this.#record.stop()]).then(
      () => this.#finish(),
      (error: unknown) => {
        // It showed in time, or its lease will show it.
        if (!willPass(error)) this.#failure ??= { error }
        this.#finish()
      },
    )
  }

  #finish(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#cancelLastWords?.()
    for (const undo of this.#undo.splice(0)) undo()
    if (this.#failure === undefined) this.#settleOver?.resolve()
    else this.#settleOver?.reject(this.#failure.error)
  }
}

const diedLoading = (module: string, how: string, times: number): ForgeError =>
  new ForgeError(
    'CONFIG',
    `${module} cannot be loaded: its process ended meanwhile (${how}), ${times} times in a row; see that importing it does ` +
      'not end the process',
  )
