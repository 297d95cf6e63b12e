// Owns an open file: the engine and its timers. Lives in the DB thread, or in the calling thread for an inline store.
import { statSync } from 'node:fs'
import { ForgeError } from '../core/errors.ts'
import { ManualClock } from '../store/clock.ts'
import type { BeatReply, Closed } from '../store/records.ts'
import type { Migration, StoreInfo, Topic } from '../store/store.ts'
import { checkFileSystem, checkSchema, migrate } from './checks.ts'
import { connect, findDriver, isDriverError, type Database } from './connect.ts'
import { findDrift } from './drift.ts'
import { Engine, type Call } from './engine.ts'
import { Lookout } from './lookout.ts'
import { StoreClock } from './store-clock.ts'
import { Upkeep } from './upkeep.ts'

export interface HostOptions {
  readonly path: string
  readonly durability: 'full' | 'relaxed'
  readonly allowUnsafe: boolean
  /** Memory of a `ManualClock`; the system's clock without. */
  readonly clock: SharedArrayBuffer | null
}

export interface HostListener {
  readonly hint: (topics: readonly Topic[]) => void
  /** The file is no longer the one that was opened; nothing works here any more. */
  readonly gone: () => void
  /** Calls were answered, and their turn goes on for a while. */
  readonly send: () => void
}

/** How often a turn looks whether the WAL has grown. */
const checkpointEveryMs = 50
/** Space is given back when nothing has happened for this long. */
const tidyAfterMs = 1_000
/** Between turns, this long after another process wrote: it gets its chance at the lock, our next batch only grows. */
const yieldMs = 0.3
const yieldForMs = 100

/** Which file it is, whatever its name. */
const identityOf = (path: string): string => {
  if (path === ':memory:') return path
  const stats = statSync(path, { throwIfNoEntry: false })
  return stats === undefined ? 'none' : `${stats.dev}:${stats.ino}`
}

export class Host {
  readonly #info: Omit<StoreInfo, 'now'>
  readonly #engine: Engine
  readonly #db: Database
  readonly #upkeep: Upkeep | undefined
  /** Without it nobody else can write. */
  readonly #lookout: Lookout | undefined
  readonly #beats = new Map<string, NodeJS.Timeout>()
  readonly #listener: HostListener
  readonly #clock: StoreClock
  readonly #path: string
  /** An empty database in memory. */
  readonly #blank: () => Database
  readonly #identity: string
  #isScheduled = false
  #isClosed = false
  #tidier: NodeJS.Timeout | undefined
  #activeAt = 0
  #foreignAt = -Infinity
  #checkpointAt = 0

  /** Opens, checks and, when the file is empty, fills it. Throws what a person can act on. */
  constructor(options: HostOptions, checks: 'schema' | 'none', listener: HostListener) {
    const problems = checkFileSystem(options.path, options.allowUnsafe)
    const { driver, version, sound } = findDriver(options.allowUnsafe)
    if (!sound)
      problems.push(`SQLite ${version} can corrupt a file that several processes write; use one process, or upgrade`)
    if (options.durability === 'relaxed')
      problems.push('durability is relaxed: power loss may take back the last commits')
    this.#clock = new StoreClock(options.clock === null ? undefined : new ManualClock(options.clock))
    const isShared = options.path !== ':memory:'
    this.#listener = listener
    this.#path = options.path
    this.#db = connect(driver, options.path)
    this.#blank = () => new driver.DatabaseSync(':memory:')
    this.#identity = identityOf(options.path)
    if (checks === 'schema') checkSchema(this.#db, this.#clock.now())
    const { hint, send } = listener
    this.#engine = new Engine(this.#db, { durability: options.durability, clock: this.#clock, hint, send })
    const watching = { isNeeded: () => this.#engine.topics.isListening, look: () => this.#look() }
    this.#lookout = isShared ? new Lookout(options.path, watching) : undefined
    this.#upkeep = isShared ? new Upkeep(this.#db, this.#engine.statements, options.path) : undefined
    this.#info = {
      kind: 'sqlite',
      version,
      durability:
        options.durability === 'full'
          ? 'every acknowledged write survives power loss (synchronous=FULL)'
          : 'survives the death of processes; power loss may take back the last commits (synchronous=NORMAL)',
      capabilities: isShared ? ['notify', 'shared'] : ['notify'],
      problems,
    }
  }

  /** What is true of the store now. */
  tell(): StoreInfo {
    return { ...this.#info, now: this.#engine.now }
  }

  migrate(mode: 'plan' | 'apply'): Migration {
    return migrate(this.#db, mode, this.#clock.now())
  }

  drift(): readonly string[] {
    return findDrift(this.#db, this.#blank())
  }

  /** Runs a call in the next turn, together with whatever else has arrived by then. */
  submit(call: Call): void {
    this.#engine.submit(call)
    this.#schedule(0)
  }

  /** Runs a call now: for an inline store, whose caller waits for no other thread. */
  runNow(call: Call): void {
    this.#engine.submit(call)
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
    this.#lookout?.stop()
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
    if (this.#isClosed || this.#isGone()) return
    const run = (): boolean => this.#engine.runTurn()
    if (this.#lookout === undefined ? run() : this.#lookout.overlook(run)) this.#touch()
    this.#look()
    const now = performance.now()
    if (now - this.#checkpointAt > checkpointEveryMs) {
      this.#checkpointAt = now
      this.#upkeep?.checkpoint()
    }
    if (this.#engine.isWaiting) this.#schedule(now - this.#foreignAt < yieldForMs ? yieldMs : 0)
  }

  /** Writing on into a deleted file would acknowledge jobs that nobody will ever find. */
  #isGone(): boolean {
    if (identityOf(this.#path) === this.#identity) return false
    const error = new ForgeError(
      'STORE_UNAVAILABLE',
      `the file ${this.#path} was removed or replaced while it was in use`,
    )
    // Said first: whoever hears the refusal and calls again must not call here.
    this.#listener.gone()
    this.#engine.refuse(error)
    this.close()
    return true
  }

  /** Whether another process has written. */
  #look(): boolean {
    try {
      const { changed, heard } = this.#engine.poll()
      if (changed) this.#foreignAt = performance.now()
      if (heard) this.#touch()
      if (this.#engine.isWaiting) this.#schedule(0)
      return changed
    } catch (error) {
      // A file that cannot be read shows in the next call, which has someone to tell.
      if (!isDriverError(error)) throw error
      return false
    }
  }

  /** Something happened: look at the file often for a while, tidy up when it is over. */
  #touch(): void {
    if (this.#lookout === undefined) return
    this.#activeAt = performance.now()
    this.#lookout.stir()
    this.#tidier ??= setTimeout(() => this.#tidy(), tidyAfterMs).unref()
  }

  #tidy(): void {
    this.#tidier = undefined
    const idleMs = performance.now() - this.#activeAt
    if (idleMs < tidyAfterMs) {
      this.#tidier = setTimeout(() => this.#tidy(), tidyAfterMs - idleMs).unref()
      return
    }
    this.#upkeep?.tidy()
  }

  /** Beats for a worker from here, so a blocked event loop keeps its lease. */
  keepAlive(worker: string, leaseMs: number): void {
    this.letGo(worker)
    // Where time is moved by hand, so are beats.
    if (this.#clock.isManual) return
    this.#beats.set(worker, setInterval(() => this.#beat(worker), leaseMs / 3).unref())
  }

  letGo(worker: string): void {
    clearInterval(this.#beats.get(worker))
    this.#beats.delete(worker)
  }

  #beat(worker: string): void {
    this.submit({
      method: 'beat',
      args: [worker, null, []],
      resolve: (value) => {
        const reply = value as BeatReply | Closed
        if (reply.closed) this.letGo(worker)
        if (reply.closed || reply.orders.length > 0) this.#listener.hint([`orders:${worker}`])
      },
      // The next beat tries again; a lease that is lost meanwhile is reported as closed.
      reject: () => undefined,
    })
  }
}
