// Owns an open file: the engine and its timers. Lives in the DB thread, or in the calling thread for an inline store.
import { ManualClock } from '../store/clock.ts'
import type { Closed, BeatReply, Registration } from '../store/records.ts'
import type { Migration, StoreInfo, Topic } from '../store/store.ts'
import { checkFileSystem, checkSchema, migrate } from './checks.ts'
import { connect, findDriver } from './connect.ts'
import { Engine, type Call } from './engine.ts'

export interface HostOptions {
  readonly path: string
  readonly durability: 'full' | 'relaxed'
  readonly allowUnsafe: boolean
  /** Memory of a `ManualClock`; the system's clock without. */
  readonly clock: SharedArrayBuffer | null
}

/** How often the file is looked at for writes of other processes: at once after activity, backing off when idle. */
const pollFirstMs = 2
const pollLastMs = 25
/** How long after the last activity the first interval lasts. */
const pollEagerMs = 100
/** Space is given back when nothing has happened for this long. */
const tidyAfterMs = 1_000
/** Between turns while other processes write too: they get their chance at the lock, our next batch only grows. */
const yieldMs = 0.3

export class Host {
  readonly info: Omit<StoreInfo, 'now'>
  readonly #engine: Engine
  readonly #now: () => number
  readonly #db: ReturnType<typeof connect>
  readonly #isShared: boolean
  readonly #beats = new Map<string, NodeJS.Timeout>()
  readonly #hint: (topics: readonly Topic[]) => void
  #isScheduled = false
  #isClosed = false
  #poller: NodeJS.Timeout | undefined
  #tidier: NodeJS.Timeout | undefined
  #activeAt = 0
  #foreignAt = -Infinity
  #checkpointAt = 0

  /** Opens, checks and, when the file is empty, fills it. Throws what a person can act on. */
  constructor(options: HostOptions, hint: (topics: readonly Topic[]) => void, checks: 'schema' | 'none') {
    const problems = checkFileSystem(options.path, options.allowUnsafe)
    const { driver, version, sound } = findDriver(options.allowUnsafe)
    if (!sound)
      problems.push(`SQLite ${version} can corrupt a file that several processes write; use one process, or upgrade`)
    if (options.durability === 'relaxed')
      problems.push('durability is relaxed: power loss may take back the last commits')
    const clock = options.clock === null ? undefined : new ManualClock(options.clock)
    this.#now = clock === undefined ? Date.now : () => clock.now()
    this.#isShared = options.path !== ':memory:'
    this.#hint = hint
    this.#db = connect(driver, options.path)
    if (checks === 'schema') checkSchema(this.#db, this.#now())
    this.#engine = new Engine(this.#db, { path: options.path, durability: options.durability, now: this.#now, hint })
    this.info = {
      kind: 'sqlite',
      version,
      durability:
        options.durability === 'full'
          ? 'every acknowledged write survives power loss (synchronous=FULL)'
          : 'survives the death of processes; power loss may take back the last commits (synchronous=NORMAL)',
      capabilities: this.#isShared ? ['notify', 'shared'] : ['notify'],
      problems,
    }
  }

  get now(): number {
    return this.#now()
  }

  migrate(mode: 'plan' | 'apply'): Migration {
    return migrate(this.#db, mode, this.#now())
  }

  /** Runs a call in the next turn, together with whatever else has arrived by then. */
  submit(call: Call): void {
    this.#engine.submit(this.#watchLease(call))
    this.#schedule(0)
  }

  /** Runs a call now: for an inline store, whose caller waits for no other thread. */
  runNow(call: Call): void {
    this.#engine.submit(this.#watchLease(call))
    while (this.#engine.isWaiting) this.#engine.runTurn()
  }

  listen(topics: readonly Topic[]): void {
    for (const topic of topics) this.#engine.topics.listen(topic)
    this.#touch()
  }

  unlisten(topics: readonly Topic[]): void {
    for (const topic of topics) this.#engine.topics.unlisten(topic)
  }

  close(): void {
    this.#isClosed = true
    clearTimeout(this.#poller)
    clearTimeout(this.#tidier)
    for (const timer of this.#beats.values()) clearInterval(timer)
    this.#beats.clear()
    this.#engine.close()
  }

  #schedule(delayMs: number): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    // setImmediate lets every message that has arrived get in line first.
    if (delayMs === 0) setImmediate(() => this.#turn())
    else setTimeout(() => this.#turn(), delayMs)
  }

  #turn(): void {
    this.#isScheduled = false
    // A call and the wish to close may have come together.
    if (this.#isClosed) return
    this.#engine.runTurn()
    if (this.#engine.poll()) this.#foreignAt = performance.now()
    const now = performance.now()
    if (now - this.#checkpointAt > 50) {
      this.#checkpointAt = now
      this.#engine.checkpoint()
    }
    this.#touch()
    if (this.#engine.isWaiting) this.#schedule(now - this.#foreignAt < pollEagerMs ? yieldMs : 0)
  }

  /** Something happened: look at the file often for a while, tidy up when it is over. */
  #touch(): void {
    if (!this.#isShared) return
    this.#activeAt = performance.now()
    if (this.#engine.topics.isListening) this.#pollIn(pollFirstMs)
    this.#tidier ??= setTimeout(() => this.#tidy(), tidyAfterMs).unref()
  }

  #pollIn(delayMs: number): void {
    if (this.#poller !== undefined && delayMs !== pollFirstMs) return
    clearTimeout(this.#poller)
    this.#poller = setTimeout(() => this.#poll(delayMs), delayMs).unref()
  }

  #poll(lastMs: number): void {
    this.#poller = undefined
    if (!this.#engine.topics.isListening) return
    if (this.#engine.poll()) {
      this.#foreignAt = this.#activeAt = performance.now()
    }
    const isEager = performance.now() - this.#activeAt < pollEagerMs
    this.#pollIn(isEager ? pollFirstMs : Math.min(lastMs * 2, pollLastMs))
  }

  #tidy(): void {
    this.#tidier = undefined
    const idleMs = performance.now() - this.#activeAt
    if (idleMs < tidyAfterMs) {
      this.#tidier = setTimeout(() => this.#tidy(), tidyAfterMs - idleMs).unref()
      return
    }
    this.#engine.tidy()
  }

  /** A worker registered with `keepAlive` beats from here, so a blocked event loop keeps its lease. */
  #watchLease(call: Call): Call {
    if (call.method === 'leave') this.#stopBeating(call.args[0] as string)
    if (call.method !== 'register') return call
    const worker = call.args[0] as Registration
    if (!worker.keepAlive) return call
    return {
      ...call,
      resolve: (value) => {
        this.#stopBeating(worker.id)
        this.#beats.set(
          worker.id,
          setInterval(() => this.#beat(worker.id), worker.leaseMs / 3),
        )
        call.resolve(value)
      },
    }
  }

  #stopBeating(worker: string): void {
    clearInterval(this.#beats.get(worker))
    this.#beats.delete(worker)
  }

  #beat(worker: string): void {
    this.submit({
      method: 'beat',
      args: [worker, null, []],
      resolve: (value) => {
        const reply = value as BeatReply | Closed
        if (reply.closed) this.#stopBeating(worker)
        if (reply.closed || reply.orders.length > 0) this.#hint([`orders:${worker}`])
      },
      // The next beat tries again; a lease that is lost meanwhile is reported as closed.
      reject: () => undefined,
    })
  }
}
