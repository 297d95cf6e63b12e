// A worker of this process: puts lease, fetch, executor and duties together, and takes them apart in order at the end.
import { hostname } from 'node:os'
import { defaults } from '../core/caps.ts'
import { toMs, type Duration } from '../core/duration.ts'
import { ForgeError } from '../core/errors.ts'
import type { Emitter } from '../emitter.ts'
import type { Handler } from '../job.ts'
import { Duties } from '../maintain/duties.ts'
import type { Claimed, LogLine, Order } from '../store/records.ts'
import type { WorkerFacts } from '../store/worker-record.ts'
import { batchLimit, type Store, type Topic } from '../store/store.ts'
import { willPass } from '../trouble.ts'
import type { Preparer } from '../prepare.ts'
import type { StoreTime } from '../store-time.ts'
import type { Timers } from '../timers.ts'
import { version } from '../version.ts'
import { announceEnd, announceLine, announceRescue, announceStart, announceStuck } from './announce.ts'
import { Executor, type Around } from './execute.ts'
import { Fetch } from './fetch.ts'
import { Isolated, type Sight } from './isolate.ts'
import { Lease } from './lease.ts'
import { rssBytes } from './memory.ts'
import { isLoaded, isModule, readNumbers, readOptions, type WorkerOptions, type WorkerPlan } from './options.ts'
import { pidSpace } from './pid-space.ts'
import { Run } from './run.ts'
import { Slots } from './slots.ts'

/** At the end of the grace, handlers have this long to react to their abort before their jobs are handed back. */
const handBackMs = 1_000
/** For the store to take the last settlements and the farewell; what it does not hear is rescued. */
const farewellMs = 2_000

/** What a worker shares with the forge that made it. */
export interface WorkerParts {
  readonly store: Store
  readonly timers: Timers
  readonly time: StoreTime
  readonly random: () => number
  readonly events: Emitter
  readonly arounds: readonly Around[]
  /** Opens the store and hears its time. */
  readonly ready: () => Promise<unknown>
  readonly newId: () => string
  readonly preparer: Preparer
  /** The worker has stopped. */
  readonly over: (worker: Worker) => void
}

export class Worker implements AsyncDisposable {
  readonly #parts: WorkerParts
  readonly #options: WorkerOptions
  // Made once the handlers are there.
  #plan!: WorkerPlan
  #slots!: Slots
  #executor!: Executor
  #isolated!: Isolated
  #fetch!: Fetch
  #lease!: Lease
  #duties!: Duties
  #isSetUp = false
  /** Undo what `run` and `stop` set up outside. */
  readonly #undo: (() => void)[] = []
  #worker = ''
  #over: Promise<void> | undefined
  #settleOver: { resolve: () => void; reject: (error: unknown) => void } | undefined
  #stopping: Promise<void> | undefined
  #graceIsOver = false
  #recheck: () => void = () => {}
  #isDraining = false
  #isOver = false
  #failure: { readonly error: unknown } | undefined
  #downAt: number | undefined

  /** INVALID_OPTION when the options are out of range. */
  constructor(parts: WorkerParts, options: WorkerOptions) {
    this.#parts = parts
    this.#options = options
    if (isLoaded(options.handlers)) this.#setUp(options.handlers)
    else readNumbers(options)
  }

  #setUp(handlers: readonly Handler[]): void {
    const parts = this.#parts
    const { time, events } = parts
    this.#plan = readOptions({ ...this.#options, handlers }, (job) => parts.preparer.describe(job))
    this.#isSetUp = true
    this.#slots = new Slots(this.#plan.queues, this.#plan.concurrency)
    const shared = {
      ...parts,
      unavailable: (error: ForgeError) => this.#unavailable(error),
      failed: (error: unknown) => this.#fail(error),
      closed: (worker: string) => this.#closed(worker),
    }
    const desk = {
      noted: (run: Run) => this.#fetch.note(run),
      logged: (run: Run, level: LogLine['level'], message: string) => announceLine(events, run, level, message),
    }
    this.#isolated = new Isolated({
      ...parts,
      ...desk,
      defaults: parts.preparer.defaults,
      limit: () => this.#slots.total,
    })
    this.#executor = new Executor({
      ...parts,
      ...desk,
      isolated: this.#isolated,
      ended: (run) => this.#ended(run),
      stuck: (run) => this.#stuck(run),
      guard: this.#options.guard,
    })
    this.#fetch = new Fetch({
      ...shared,
      slots: this.#slots,
      claimed: (claimed) => this.#claimed(claimed),
      settled: (run, verdict) => announceEnd(events, run, verdict),
      ordered: (order) => this.#ordered(order),
      refused: (run, error) => this.#executor.failureOf(run, error),
      heard: ({ now, nextDueAt }) => {
        this.#heard(now)
        if (nextDueAt !== null) this.#duties.dueIn(nextDueAt - now)
      },
      turned: () => this.#recheck(),
      mayWait: !this.#plan.drain,
      suspects: this.#plan.suspects,
      idle: () => this.#idle(),
    })
    this.#lease = new Lease({
      ...shared,
      registration: () => ({
        host: hostname(),
        pid: process.pid,
        pidSpace,
        version,
        queues: this.#slots.names,
        types: this.#plan.types,
        slots: this.#slots.total,
        leaseMs: this.#plan.leaseMs,
        keepAlive: true,
      }),
      facts: (lateMs) => this.#facts(lateMs),
      heard: (now) => this.#heard(now),
      registered: (worker) => this.#registered(worker),
      ordered: (order) => this.#ordered(order),
    })
    this.#duties = new Duties({
      ...shared,
      storeNow: () => time.now(),
      rescued: (rescued) => announceRescue(events, rescued),
    })
  }

  /**
   * Works until it is stopped; a second call gives the same promise. While the store does not answer it keeps trying;
   * rejects on any other error of the store, after aborting its handlers, and with CONFIG when modules of handlers cannot
   * be loaded.
   */
  run(): Promise<void> {
    this.#over ??= new Promise((resolve, reject) => {
      this.#settleOver = { resolve, reject }
      if (this.#stopping !== undefined) resolve()
      else if (this.#isSetUp) this.#start()
      else this.#load().catch((error: unknown) => this.#fail(error))
    })
    return this.#over
  }

  /**
   * Claims no more, lets running handlers end for `grace` (default 25 s), then aborts them and hands their jobs back,
   * with no attempt counted. Called again it only shortens the grace.
   */
  async stop(options: { readonly grace?: Duration } = {}): Promise<void> {
    if (this.#isOver) return
    const graceMs = options.grace === undefined ? defaults.graceMs : toMs(options.grace, 'grace')
    const endGrace = (): void => {
      this.#graceIsOver = true
      this.#recheck()
    }
    this.#undo.push(this.#parts.timers.after(graceMs, endGrace))
    this.#stopping ??= this.#shutDown()
    await this.#stopping
  }

  /** Where handlers in threads and processes of their own are at this moment, also those that block. Takes a second at most. */
  async lookAtIsolated(): Promise<readonly Sight[]> {
    return this.#isSetUp ? this.#isolated.look() : []
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  async #load(): Promise<void> {
    const { handlers } = this.#options
    const { findHandlers } = await import('./find-handlers.ts')
    const { handlers: found } = await findHandlers(handlers.filter(isModule), process.cwd())
    if (this.#stopping !== undefined) return
    this.#setUp([...handlers.filter((one): one is Handler => !isModule(one)), ...found.map(({ handler }) => handler)])
    this.#start()
  }

  #start(): void {
    const { store } = this.#parts
    const topics = this.#slots.names.map((queue): Topic => `ready:${queue}`)
    this.#undo.push(store.listen(topics, () => this.#fetch.wake()))
    if (this.#plan.signals) this.#hearSignals()
    if (this.#plan.mayIsolate) this.#isolated.load().catch((error: unknown) => this.#fail(error))
    this.#lease.start()
    this.#duties.start()
  }

  #hearSignals(): void {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      const stop = (): void => {
        this.stop(this.#stopping === undefined ? {} : { grace: 0 }).catch((error: unknown) => this.#fail(error))
      }
      process.on(signal, stop)
      this.#undo.push(() => process.off(signal, stop))
    }
  }

  async #shutDown(): Promise<void> {
    const { timers } = this.#parts
    if (!this.#isSetUp) return this.#finish()
    this.#fetch.stopClaiming()
    await this.#until(() => this.#executor.size === 0 || this.#graceIsOver)
    this.#executor.shutDown(handBackMs)
    await this.#until(() => this.#executor.size === 0)
    let isLate = false
    const giveUp = (): void => {
      isLate = true
      this.#recheck()
    }
    this.#undo.push(timers.after(farewellMs, giveUp))
    await this.#until(() => this.#fetch.isSettled || isLate)
    const farewell = Promise.all([this.#fetch.stop(), this.#duties.stop(), this.#leave(), this.#isolated.close()])
    await Promise.race([farewell.catch((error: unknown) => this.#lament(error)), this.#until(() => isLate)])
    this.#finish()
  }

  /** Only what the store has closed is announced: a supervisor closes the records of those that it did not hear of. */
  async #leave(): Promise<void> {
    await this.#lease.stop()
    this.#announceClosed('stopped')
  }

  /** Resolves when `isOver` holds; looked at whenever a run ended, was settled, or time ran out. */
  #until(isOver: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      this.#recheck = () => {
        if (isOver()) resolve()
      }
      this.#recheck()
    })
  }

  #finish(): void {
    this.#isOver = true
    for (const undo of this.#undo.splice(0)) undo()
    if (this.#isSetUp) this.#executor.close()
    this.#parts.over(this)
    if (this.#failure === undefined) this.#settleOver?.resolve()
    else this.#settleOver?.reject(this.#failure.error)
  }

  #fail(error: unknown): void {
    this.#failure ??= { error }
    this.stop({ grace: 0 }).catch((late: unknown) => this.#settleOver?.reject(late))
  }

  #lament(error: unknown): void {
    if (willPass(error)) this.#unavailable(error)
    else this.#failure ??= { error }
  }

  #registered(worker: string): void {
    this.#worker = worker
    const { names, total } = this.#slots
    this.#parts.events.emit('worker:started', { worker, queues: names, slots: total })
    this.#fetch.begin(worker)
  }

  /** What this worker held is no longer its own. */
  #closed(worker: string): void {
    if (!this.#lease.lose(worker)) return
    this.#announceClosed('lost')
    this.#fetch.reset()
    this.#executor.abandon()
    this.#recheck()
  }

  #announceClosed(reason: 'stopped' | 'lost'): void {
    if (this.#worker !== '') this.#parts.events.emit('worker:closed', { worker: this.#worker, reason })
    this.#worker = ''
  }

  #claimed(claimed: Claimed): void {
    const { timers, time, events } = this.#parts
    const handler = this.#plan.handlers.get(claimed.type)
    if (handler === undefined) {
      return this.#fail(
        new ForgeError('INTERNAL', `the store handed out ${claimed.type}, which this worker does not handle`),
      )
    }
    const run = new Run(claimed, handler, this.#worker, timers.now())
    this.#slots.take(claimed.policy.queue)
    if (this.#stopping !== undefined) return this.#executor.handBack(run)
    announceStart(events, run, time)
    this.#executor.start(run)
  }

  #ended(run: Run): void {
    this.#slots.give(run.claimed.policy.queue)
    if (run.settlement !== undefined && run.worker === this.#worker) this.#fetch.settle(run)
    this.#recheck()
  }

  #ordered(order: Order): void {
    if (order.order === 'cancel') return this.#executor.cancel(order)
    if (order.slots === this.#slots.total) return
    this.#slots.resize(order.slots)
    // Which says that the order was heard.
    this.#lease.beatNow()
    this.#fetch.wake()
  }

  /** The handler ignores its abort: nothing in this process can end it. */
  #stuck(run: Run): void {
    announceStuck(this.#parts.events, run, this.#executor.stuck)
    this.#lease.beatNow()
  }

  /** No job can be claimed, none is running: with `drain`, and nothing due either, that is the end. */
  #idle(): void {
    if (!this.#plan.drain || this.#isDraining || this.#stopping !== undefined) return
    this.#isDraining = true
    this.#drain().catch((error: unknown) => (willPass(error) ? this.#unavailable(error) : this.#fail(error)))
  }

  async #drain(): Promise<void> {
    try {
      const { moved } = await this.#parts.store.promote(batchLimit)
      if (moved > 0) return this.#fetch.wake()
    } finally {
      this.#isDraining = false
    }
    await this.stop()
  }

  #facts(lateMs: number): WorkerFacts {
    return {
      slots: this.#slots.total,
      busy: this.#slots.busy,
      rssBytes: rssBytes(),
      loopLagMs: Math.round(lateMs),
      stuck: this.#executor.stuck,
    }
  }

  #unavailable(error: ForgeError): void {
    if (this.#downAt !== undefined) return
    this.#downAt = this.#parts.timers.now()
    this.#parts.events.emit('store:down', { error })
  }

  #heard(storeNow: number): void {
    const { time, timers, events } = this.#parts
    time.hear(storeNow)
    if (this.#downAt === undefined) return
    events.emit('store:up', { downMs: timers.now() - this.#downAt })
    this.#downAt = undefined
  }
}
