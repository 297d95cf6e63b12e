// The front door: enqueues jobs, makes workers and handles, and holds what they share. It decides nothing itself.
import { Admin } from './admin.ts'
import { EndedJobs } from './await-results.ts'
import { defaults } from './core/caps.ts'
import { toMs, type Duration } from './core/duration.ts'
import { invalidOption } from './core/errors.ts'
import type { EngineEvents, EngineListener } from './core/events.ts'
import { checkId, idSource } from './core/id.ts'
import { explainPolicy, type EnqueueOptions, type Policy, type PolicyOverrides } from './core/policy.ts'
import { Emitter } from './emitter.ts'
import { Enqueuer, type Accepted } from './enqueue.ts'
import { JobHandle, type Handle } from './handle.ts'
import type { Call, Job } from './job.ts'
import { lazyStore } from './lazy-store.ts'
import { Duties } from './maintain/duties.ts'
import { Preparer } from './prepare.ts'
import { defaultUrl, openStore } from './store/open.ts'
import type { Store, StoreInfo } from './store/store.ts'
import { StoreTime } from './store-time.ts'
import { realTimers, type Timers } from './timers.ts'
import { announceRescue } from './worker/announce.ts'
import type { Around } from './worker/execute.ts'
import type { WorkerOptions } from './worker/options.ts'
import { Worker } from './worker/worker.ts'

export interface ForgeOptions {
  /** A store or its URL. Default: FORGEQ_STORE, else `sqlite:.forgeq/forgeq.db`. */
  readonly store?: Store | string
  /** Behind the policy of every job. Default: none. */
  readonly defaults?: PolicyOverrides
  /** How long an enqueue is sent again while the store does not answer or its answer was lost. Default 2 s; the schema of an empty store may take 10 s more. */
  readonly enqueueDeadline?: Duration
  /** For tests: time that is moved by hand. Default: the system's. */
  readonly timers?: Timers
}

/** One store and what is done with it: enqueue, work, look, act. Opens at first use; `close` it when the process ends. */
export class ForgeQ implements AsyncDisposable {
  readonly store: Store
  readonly admin: Admin
  readonly #events = new Emitter()
  readonly #timers: Timers
  readonly #time: StoreTime
  readonly #newId: () => string
  readonly #defaults: PolicyOverrides
  readonly #preparer: Preparer
  readonly #enqueuer: Enqueuer
  readonly #ended: EndedJobs
  readonly #arounds: Around[] = []
  readonly #workers = new Set<Worker>()
  #closing: Promise<void> | undefined

  constructor(options: ForgeOptions = {}) {
    const { store = process.env['FORGEQ_STORE'] ?? defaultUrl, timers = realTimers } = options
    const { enqueueDeadline = defaults.enqueueDeadlineMs } = options
    this.#timers = timers
    this.#time = new StoreTime(timers)
    this.store = typeof store === 'string' ? lazyStore(() => openStore(store)) : store
    this.#newId = idSource(
      () => this.#time.now(),
      (bytes) => crypto.getRandomValues(bytes),
    )
    this.#defaults = options.defaults ?? {}
    this.#preparer = new Preparer(this.#defaults, this.#newId)
    this.#enqueuer = new Enqueuer(this.store, timers, Math.random, toMs(enqueueDeadline, 'enqueueDeadline'))
    this.#ended = new EndedJobs(this.store, timers)
    this.admin = new Admin(this.store, this.#ended)
  }

  /** Opens the store, which everything else does by itself at first use; rejects with what is wrong with it. */
  ready(): Promise<StoreInfo> {
    return this.#open()
  }

  async #open(making?: () => void): Promise<StoreInfo> {
    const info = await this.store.open(making)
    this.#time.hear(info.now)
    return info
  }

  /**
   * Stores a job; it is accepted once this resolves. INVALID_INPUT, INVALID_JSON, TOO_LARGE, INVALID_OPTION, ID_CONFLICT,
   * UNIQUE_CONFLICT, QUEUE_FULL, QUEUE_CLOSED, TOO_MANY_WAITING and STORE_UNAVAILABLE stored nothing; after
   * OUTCOME_UNKNOWN enqueue again with the `id` of the error.
   */
  enqueue<Out>(job: Job<void, any, Out>): Promise<Handle<Out>>
  enqueue<In, Out>(job: Job<In, any, Out>, input: NoInfer<In>, options?: EnqueueOptions): Promise<Handle<Out>>
  async enqueue(job: Job, input?: unknown, options?: EnqueueOptions): Promise<Handle<unknown>> {
    if (!this.#time.isFresh) await this.#enqueuer.opening((making) => this.#open(making))
    const accepted = await this.#enqueuer.enqueue(await this.#preparer.prepare(job, input, options))
    return this.#handleOf(accepted, true)
  }

  /**
   * Stores many jobs: all inputs are checked before the first is sent, every 1000 are stored together or not at all.
   * Errors as with `enqueue`; their problems begin with the place in the list: `[3].to`. Of more than 1000 jobs some may be
   * stored all the same: then the message says how many. After OUTCOME_UNKNOWN only jobs with an `id` can be sent again.
   */
  enqueueMany<In, Out>(
    job: Job<In, any, Out>,
    inputs: readonly NoInfer<In>[],
    options?: EnqueueOptions,
  ): Promise<Handle<Out>[]>
  enqueueMany(calls: readonly Call[]): Promise<Handle<unknown>[]>
  async enqueueMany(
    what: Job | readonly Call[],
    inputs: readonly unknown[] = [],
    options: EnqueueOptions = {},
  ): Promise<Handle<unknown>[]> {
    if (!this.#time.isFresh) await this.#enqueuer.opening((making) => this.#open(making))
    const calls = isCalls(what) ? what : inputs.map((input): Call => ({ job: what, input, options }))
    if (!isCalls(what) && calls.length > 1 && options.id !== undefined) {
      throw invalidOption('id', 'belongs to one job: give each its own with job.with(input, { id })')
    }
    const accepted = await this.#enqueuer.enqueueMany(await this.#preparer.prepareAll(calls))
    return accepted.map((one) => this.#handleOf(one, true))
  }

  /** The job with this id, whoever enqueued it. */
  handle<Out>(job: Job<any, any, Out>, id: string): Handle<Out>
  handle(_job: Job, id: string): Handle<unknown> {
    checkId(id)
    return this.#handleOf({ id, duplicate: false }, false)
  }

  /** Puts `around` around every handler of workers made from now on; the first one is the outermost. */
  use(around: Around): this {
    this.#arounds.push(around)
    return this
  }

  /** The policy a job would be stored with, with every default filled in. */
  explain(job: Job, options?: EnqueueOptions): Required<Policy> {
    return explainPolicy({ ...this.#defaults, ...job.policy }, options)
  }

  /** A worker in this process; nothing happens before its `run`. INVALID_OPTION when the options are out of range. */
  worker(options: WorkerOptions): Worker {
    const worker = new Worker(
      {
        store: this.store,
        timers: this.#timers,
        time: this.#time,
        random: Math.random,
        events: this.#events,
        arounds: [...this.#arounds],
        ready: () => this.ready(),
        newId: this.#newId,
        preparer: this.#preparer,
        over: (stopped) => this.#workers.delete(stopped),
      },
      options,
    )
    this.#workers.add(worker)
    return worker
  }

  /**
   * Promotes, rescues and prunes in this process, as every worker does, from `start` to `stop`. `failed`: an error that
   * does not pass by itself; the duty in question rests from then on.
   */
  duties(failed: (error: unknown) => void): Duties {
    return new Duties({
      store: this.store,
      timers: this.#timers,
      random: Math.random,
      storeNow: () => this.#time.now(),
      rescued: (rescued) => announceRescue(this.#events, rescued),
      // Every other call to the store says so, too.
      unavailable: () => {},
      failed,
    })
  }

  /** Hears what workers of this forge do; returns what stops it. */
  on<E extends keyof EngineEvents>(name: E, listener: EngineListener<E>): () => void {
    return this.#events.on(name, listener)
  }

  /** Stops its workers with their grace, then closes the store. Whoever still awaits a result gets STORE_CLOSED. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #close(): Promise<void> {
    await Promise.all(Array.from(this.#workers, (worker) => worker.stop()))
    await this.#ended.close()
    await this.store.close()
  }

  #handleOf(accepted: Accepted, isKnown: boolean): Handle<unknown> {
    return new JobHandle({ store: this.store, ended: this.#ended }, accepted, isKnown)
  }
}

const isCalls = (what: Job | readonly Call[]): what is readonly Call[] => Array.isArray(what)
