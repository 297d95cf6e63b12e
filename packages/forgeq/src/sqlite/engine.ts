// Runs operations on one connection, many per transaction: whatever waits is written together and answered after the
// commit, so the cost of a commit is shared. The only place that begins and commits.
import { ForgeError } from '../core/errors.ts'
import type { Topic } from '../store/store.ts'
import { isBusy, withBusyRetry, type Database } from './connect.ts'
import { Refused } from './enqueue.ts'
import { explainFailure } from './failures.ts'
import { protectLeases } from './lease.ts'
import { Names } from './names.ts'
import { operations, type Memory, type Method, type Operation } from './operations.ts'
import type { Reader } from './reader.ts'
import { Topics } from './topics.ts'
import { Statements } from './statements.ts'
import type { StoreClock } from './store-clock.ts'
import { Turn } from './turn.ts'

/** A call that waits for its turn. */
export interface Call {
  readonly method: Method
  readonly args: readonly unknown[]
  resolve(value: unknown): void
  reject(error: unknown): void
}

export interface EngineOptions {
  readonly durability: 'full' | 'relaxed'
  readonly clock: StoreClock
  readonly hint: (topics: readonly Topic[]) => void
}

/** A turn stops taking calls after this long: other processes want the lock too. */
const turnMs = 5
/** How long a turn tries to get the write lock before its calls fail. */
const lockDeadlineMs = 2_000

// The calls of one method share a shape that only `operations` knows; the engine passes them through.
type AnyOperation = Operation<Method> & {
  write?(turn: Turn, memory: Memory, ...args: readonly unknown[]): unknown
  peek?(db: Reader, memory: Memory, ...args: readonly unknown[]): unknown
  isPromise?(...args: readonly unknown[]): boolean
  read?(db: Reader, ...args: readonly unknown[]): unknown
}
const operationOf = (call: Call): AnyOperation => operations[call.method]

/** What processes do when there is nothing to do. */
const upkeep: ReadonlySet<Method> = new Set(['register', 'beat', 'leave', 'lost', 'promote', 'prune'])

const seenTime = /* sql */ `SELECT now FROM forgeq_meta`
// A commit under FULL syncs the WAL, and with it every commit before.
const touch = /* sql */ `UPDATE forgeq_meta SET now = now`

export class Engine {
  readonly topics: Topics
  readonly #db: Database
  readonly #options: EngineOptions
  readonly statements: Statements
  readonly #names: Names
  readonly #memory: Memory = { lookedAt: 0, wasShutOut: false, dueAt: Infinity }
  #synchronous: 'FULL' | 'NORMAL' | undefined
  #waiting: Call[] = []

  constructor(db: Database, options: EngineOptions) {
    this.#db = db
    this.#options = options
    this.statements = new Statements(db)
    this.#names = new Names(this.statements)
    this.topics = new Topics(this.statements, this.#memory, options.hint)
  }

  /** Puts a call in line; beats go first, a lease must not wait behind work. */
  submit(call: Call): void {
    if (call.method === 'beat') this.#waiting.unshift(call)
    else this.#waiting.push(call)
  }

  get isWaiting(): boolean {
    return this.#waiting.length > 0
  }

  /** Runs what waits, as much as fits one turn; answers whether that was work, not just upkeep. */
  runTurn(): boolean {
    const calls = this.#waiting
    this.#waiting = []
    const writes = calls.filter((call) => operationOf(call).write !== undefined)
    const mustWrite = writes.length > 0 && this.#mustWrite(writes)
    if (mustWrite) this.#waiting.unshift(...this.#write(writes))
    for (const call of calls) {
      if (operationOf(call).read === undefined) continue
      this.#answer(call, () => operationOf(call).read!(this.#reader(), ...call.args))
    }
    return mustWrite && writes.some((call) => !upkeep.has(call.method))
  }

  /** Store time, as far as this connection knows. */
  get now(): number {
    return this.#reader().now
  }

  /** Looks whether other connections wrote, and hints whom it concerns. Cheap when nobody did. */
  poll(): { readonly changed: boolean; readonly heard: boolean } {
    return this.topics.pollForeign()
  }

  /** Answers whatever waits with `error`. */
  refuse(error: ForgeError): void {
    for (const call of this.#waiting.splice(0)) call.reject(error)
  }

  close(): void {
    this.refuse(new ForgeError('STORE_CLOSED', 'the store was closed before this call ran'))
    this.#db.close()
  }

  #reader(): Reader {
    const { clock } = this.#options
    clock.hear((this.statements.sql(seenTime).get() as { now: number }).now)
    return {
      sql: (text) => this.statements.sql(text),
      tuples: (text) => this.statements.tuples(text),
      names: this.#names,
      now: clock.now(),
    }
  }

  /** When every call can be answered by a look, it is, and no lock is taken. */
  #mustWrite(calls: readonly Call[]): boolean {
    if (calls.some((call) => operationOf(call).peek === undefined)) return true
    const answers: unknown[] = []
    const reader = this.#reader()
    try {
      for (const call of calls) {
        const answer = operationOf(call).peek!(reader, this.#memory, ...call.args)
        if (answer === undefined) return true
        answers.push(answer)
      }
    } catch (error) {
      if (isBusy(error)) return true
      for (const call of calls) call.reject(explainFailure(error))
      return false
    }
    for (const [i, call] of calls.entries()) call.resolve(answers[i])
    return false
  }

  /** One transaction; answers the calls that did not fit. */
  #write(calls: readonly Call[]): Call[] {
    const outcomes: { call: Call; value?: unknown; error?: unknown }[] = []
    const endAt = performance.now() + turnMs
    let turn: Turn | undefined
    try {
      const isPromise = calls.some((call) => operationOf(call).isPromise!(...call.args))
      this.#begin(isPromise)
      turn = new Turn(this.statements, this.#names, this.#options.clock.now(), this.topics.isAwaited)
      if (this.#memory.wasShutOut) protectLeases(turn)
      for (const call of calls) {
        outcomes.push({ call, ...this.#run(turn, call) })
        if (performance.now() > endAt) break
      }
      turn.flush()
      withBusyRetry(() => this.#db.exec('COMMIT'), lockDeadlineMs)
      if (turn.isPromise && !isPromise) this.#sync()
    } catch (error) {
      this.#rollback(turn)
      const failure = explainFailure(error)
      for (const call of calls) call.reject(failure)
      return []
    }
    this.#options.clock.hear(turn.now)
    this.#memory.wasShutOut = false
    for (const { call, value, error } of outcomes) {
      if (error === undefined) call.resolve(value)
      else if (error instanceof Refused) call.resolve(error.answers)
      else call.reject(explainFailure(error))
    }
    turn.committed()
    this.topics.announce(turn.hints, turn.earliestDueAt)
    return calls.slice(outcomes.length)
  }

  #begin(isPromise: boolean): void {
    this.#setSynchronous(isPromise)
    try {
      withBusyRetry(() => this.#db.exec('BEGIN IMMEDIATE'), lockDeadlineMs)
    } catch (error) {
      // Nobody here could beat meanwhile, and perhaps nobody elsewhere.
      this.#memory.wasShutOut = true
      throw error
    }
  }

  /** Puts what was committed without a promise on disk after all. */
  #sync(): void {
    this.#begin(true)
    this.#db.exec(touch)
    this.#db.exec('COMMIT')
  }

  /** A savepoint each, so that a call that fails fails alone. */
  #run(turn: Turn, call: Call): { value?: unknown; error?: unknown } {
    this.#db.exec('SAVEPOINT call')
    try {
      const value = operationOf(call).write!(turn, this.#memory, ...call.args)
      this.#db.exec('RELEASE call')
      turn.keep()
      return { value }
    } catch (error) {
      turn.drop()
      try {
        this.#db.exec('ROLLBACK TO call; RELEASE call')
      } catch {
        // A full disk or a failing one takes the whole transaction back at once: nobody's call was done.
        throw error
      }
      return { error }
    }
  }

  #rollback(turn: Turn | undefined): void {
    turn?.drop()
    try {
      this.#db.exec('ROLLBACK')
    } catch {
      // SQLite has rolled back by itself, or the transaction never began.
    }
  }

  #answer(call: Call, read: () => unknown): void {
    let value: unknown
    try {
      value = withBusyRetry(read, lockDeadlineMs)
    } catch (error) {
      call.reject(explainFailure(error))
      return
    }
    call.resolve(value)
  }

  /** FULL syncs the WAL at the commit, and with it every commit before. Set before BEGIN: inside it has no effect. */
  #setSynchronous(isPromise: boolean): void {
    const wanted = isPromise && this.#options.durability === 'full' ? 'FULL' : 'NORMAL'
    if (this.#synchronous === wanted) return
    this.#db.exec(`PRAGMA synchronous = ${wanted}`)
    this.#synchronous = wanted
  }
}
