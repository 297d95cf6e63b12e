// One place of a crew: its process, and after that the next one. Starts it, hears it, tells how it ended, and after which
// pause another one takes its place.
import { fork, type ChildProcess } from 'node:child_process'
import type { Duplex } from 'node:stream'
import { delayAfter, type BackoffPlan } from '../core/backoff.ts'
import { ForgeError } from '../core/errors.ts'
import type { CrashLoop, Stuck, WorkerEnd } from '../store/worker-record.ts'
import type { Timers } from '../timers.ts'
import {
  readStuck,
  watchdogPipe,
  type CrewOrder,
  type PipeWord,
  type RecycleLimits,
  type RecycleReason,
  type Report,
  type RunningJob,
} from './crew-talk.ts'
import type { Death } from './deaths.ts'

/** A process that has worked for this long has recovered: its next death counts as the first. */
const soundAfterMs = 10_000
/** So many deaths in a row are a crash loop. */
const loopsAfter = 3
/** A module that ended its process this many times in a row while it was loaded is not given another chance. */
const loadChances = 3
/** For a process to end after its last word. */
const exitMs = 1_000
/** After this time of loading a module it is said that it has not finished. */
const longLoadMs = 5_000
const restarts: BackoffPlan = { type: 'exponential', baseMs: 200, factor: 2, maxMs: 30_000, jitter: true }

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

export interface Placing {
  /** The module each process runs; it calls `runSupervised`. */
  readonly entry: URL
  readonly task: unknown
  readonly limits: RecycleLimits
  readonly timers: Timers
  readonly random: () => number
  readonly storeNow: () => number
  readonly told: (news: News) => void
  /** What `isUp` or `loop` say has changed. */
  readonly changed: () => void
  /** A process works under this record. */
  readonly joined: (worker: string) => void
  /** It closed its record, or ended. */
  readonly left: (worker: string) => void
  /** It ended with its record open. */
  readonly died: (death: Death) => void
  /** It says that it cannot work; answers whether that is the end of the whole crew. */
  readonly refused: (error: ForgeError) => boolean
  /** No process is here any more, and none comes. */
  readonly empty: () => void
}

export class Place {
  readonly number: number
  /** Jobs that still run, known while it stops. */
  running: readonly RunningJob[] = []
  readonly #host: Placing
  #graceMs = 0
  #child: ChildProcess | undefined
  /** Its record in the store; after its end that of the last process. */
  #worker: string | undefined
  #isServing = false
  /** Deaths in a row before one had worked for a while, without those that a job may have caused. */
  #failures = 0
  #how = ''
  #nextStartAt: number | null = null
  /** The module it is loading. */
  #loading: string | undefined
  /** Times in a row that it died of loading. */
  #loadFailures = 0
  #isSilent = false
  #missedDeadline = false
  /** With which it said that it ends. */
  #exitCode: number | null = null
  #cancelEnd: (() => void) | undefined
  #recycling: RecycleReason | undefined
  #refusal: ForgeError | undefined
  /** Nothing is to be started any more. */
  #isDone = false
  #cancelStart: (() => void) | undefined
  #cancelNotice: (() => void) | undefined
  #cancelRecovery: (() => void) | undefined

  constructor(number: number, host: Placing) {
    this.number = number
    this.#host = host
  }

  /** Whether its process works. */
  get isUp(): boolean {
    return this.#isServing
  }

  get isEmpty(): boolean {
    return this.#isDone && this.#child === undefined
  }

  get loop(): CrashLoop | undefined {
    if (this.#failures < loopsAfter) return undefined
    return { place: this.number, failures: this.#failures, how: this.#how, nextStartAt: this.#nextStartAt }
  }

  /** `graceMs`: what a process lets its jobs take that is told to stop by others. */
  start(graceMs: number): void {
    this.#graceMs = graceMs
    this.#start()
  }

  stop(graceMs: number): void {
    this.#isDone = true
    this.#cancelStart?.()
    this.#tell({ order: 'stop', graceMs })
  }

  /** It missed the deadline. */
  kill(): void {
    const { told } = this.#host
    if (this.#child === undefined) return
    this.#missedDeadline = true
    if (this.#child.kill('SIGKILL')) told({ news: 'killed', place: this.number, pid: this.#child.pid! })
  }

  /** Its process prints what it does, also when its event loop is blocked. */
  show(): void {
    this.#tellWatchdog({ word: 'show' })
  }

  /** Its lease is over, its record is closed, and it does not notice: it stands still. */
  silent(worker: string): void {
    if (worker !== this.#worker || this.#child === undefined) return
    this.#isSilent = true
    this.#child.kill('SIGKILL')
  }

  /** It holds a job that was cancelled and has not ended in time: when its event loop is blocked, it ends. */
  lateCancel(worker: string, job: string): void {
    if (worker === this.#worker) this.#tellWatchdog({ word: 'cancelled', job })
  }

  /** The worker died of its jobs, if of anything: they are counted for it, and its place need not wait. */
  excuse(worker: string): void {
    if (worker === this.#worker) this.#recovered()
  }

  #start(): void {
    const { entry, task, limits } = this.#host
    this.#worker = undefined
    this.#isSilent = false
    this.#exitCode = null
    this.#recycling = undefined
    this.#refusal = undefined
    this.#nextStartAt = null
    let child: ChildProcess
    try {
      child = fork(entry, { stdio: ['ignore', 'inherit', 'inherit', 'ipc', 'pipe'] })
    } catch (error) {
      // For some shortages, memory among them, there is not even a process object.
      return this.#restart(0, (error as Error).message)
    }
    this.#child = child
    child.on('message', (report: Report) => this.#hear(report))
    // A process that cannot be made has no exit; whatever else fails about one shows in its exit.
    child.on('error', (error) => {
      if (child.pid === undefined) this.#ended(child, error.message, { exitCode: null, signal: null, stuck: null })
    })
    let lastWords = ''
    pipeOf(child)?.on('data', (chunk: Buffer) => (lastWords += chunk.toString()))
    // It breaks when the process ends.
    pipeOf(child)?.on('error', () => {})
    // Not `exit`: what it said last may still be in the pipe then.
    child.once('close', (ownCode, ownSignal) => {
      if (child.pid === undefined) return
      const exitCode = this.#exitCode ?? ownCode
      const signal = this.#exitCode === null ? ownSignal : null
      const stuck = this.#missedDeadline ? missedDeadline : readStuck(lastWords, signal)
      const how = this.#isSilent ? 'stood still for longer than its lease' : endOf(stuck, signal, exitCode)
      this.#ended(child, how, { exitCode, signal, stuck })
    })
    this.#tell({ order: 'start', task, graceMs: this.#graceMs, limits })
  }

  #tell(order: CrewOrder): void {
    // A broken channel means that the process is ending, which its exit tells.
    if (this.#child?.connected) this.#child.send(order, () => {})
  }

  #tellWatchdog(word: PipeWord): void {
    pipeOf(this.#child)?.write(`${JSON.stringify(word)}\n`)
  }

  #hear(message: Report): void {
    switch (message.report) {
      case 'loading':
        this.#load(message.module)
        break
      case 'loaded':
        this.#load(undefined)
        this.#loadFailures = 0
        this.#host.told({ news: 'loaded', place: this.number, details: message.details })
        break
      case 'serving':
        this.#serves(message.worker)
        break
      case 'left':
        if (this.#worker === message.worker) this.#leave()
        break
      case 'running':
        this.running = message.jobs
        break
      case 'recycle':
        this.#recycling = message.reason
        break
      case 'drained':
        this.#isDone = true
        break
      case 'leaving':
        this.#awaitEnd(message.exitCode)
        break
      case 'refused':
        this.#refusal = new ForgeError(message.code, message.message, {
          ...(message.problems && { problems: message.problems }),
        })
    }
  }

  #load(module: string | undefined): void {
    const { timers, told } = this.#host
    this.#cancelNotice?.()
    this.#loading = module
    if (module === undefined) return
    const notice = { news: 'loads long', place: this.number, module, forMs: longLoadMs } as const
    this.#cancelNotice = timers.after(longLoadMs, () => told(notice))
  }

  #serves(worker: string): void {
    const { timers, told, changed } = this.#host
    if (this.#worker !== undefined) this.#leave()
    this.#worker = worker
    this.#host.joined(worker)
    if (!this.#isServing) this.#cancelRecovery = timers.after(soundAfterMs, () => this.#recovered())
    this.#isServing = true
    changed()
    told({ news: 'serving', place: this.number })
  }

  /** Its record is closed. */
  #leave(): void {
    const { left, changed } = this.#host
    left(this.#worker!)
    this.#worker = undefined
    this.#isServing = false
    this.#cancelRecovery?.()
    changed()
  }

  /** It said its last word. A thread of it that is in native code would keep it for as long as that takes. */
  #awaitEnd(exitCode: number): void {
    this.#exitCode = exitCode
    this.#cancelEnd = this.#host.timers.after(exitMs, () => void this.#child?.kill('SIGKILL'))
  }

  #recovered(): void {
    const wasLooping = this.loop !== undefined
    this.#failures = 0
    if (wasLooping) this.#host.changed()
  }

  /** `how`: for people. */
  #ended(child: ChildProcess, how: string, end: WorkerEnd): void {
    if (this.#child !== child) return
    this.#child = undefined
    this.running = []
    this.#isServing = false
    this.#cancelRecovery?.()
    this.#cancelEnd?.()
    this.#noteLoading(how)
    const { told, left, died, refused, empty } = this.#host
    if (this.#worker !== undefined) {
      left(this.#worker)
      died({ worker: this.#worker, end })
    }
    if (this.#refusal !== undefined && refused(this.#refusal)) return
    if (this.#isDone) return empty()
    if (this.#recycling === undefined || end.exitCode !== 0)
      return this.#restart(child.pid ?? 0, this.#refusal?.message ?? how)
    told({ news: 'recycled', place: this.number, pid: child.pid!, reason: this.#recycling })
    this.#start()
  }

  /** When it ended while it was loading a module, and not for the first time, that is why. */
  #noteLoading(how: string): void {
    const module = this.#loading
    this.#load(undefined)
    if (module === undefined || this.#isDone) return
    this.#loadFailures += 1
    if (this.#loadFailures < loadChances) return
    this.#refusal ??= new ForgeError(
      'CONFIG',
      `${module} cannot be loaded: its process ended meanwhile (${how}), ${this.#loadFailures} times in a row; see that ` +
        'importing it does not end the process',
    )
  }

  #restart(pid: number, how: string): void {
    const { timers, random, storeNow, told, changed } = this.#host
    this.#failures += 1
    this.#how = how
    const restartMs = delayAfter(restarts, this.#failures, random)
    this.#nextStartAt = storeNow() + restartMs
    told({ news: 'died', place: this.number, pid, how, restartMs })
    this.#cancelStart = timers.after(restartMs, () => this.#start())
    changed()
  }
}

/** It was not given the time: whatever it ran is handed back, what blocked it, too. */
const missedDeadline: Stuck = { over: 'deadline', blocker: null }

const endOf = (stuck: Stuck | null, signal: string | null, exitCode: number | null): string =>
  stuck === null ? (signal ?? `exit code ${exitCode}`) : 'stuck in a handler'

/** A process that could not be made has no pipes at all. */
const pipeOf = (child: ChildProcess | undefined): Duplex | undefined => {
  const pipes: ChildProcess['stdio'] | undefined = child?.stdio
  return pipes?.[watchdogPipe] as Duplex | undefined
}
