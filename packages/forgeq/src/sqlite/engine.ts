// Runs operations on one connection, many per transaction: whatever waits is written together and answered after the
// commit, so the cost of a commit is shared. Also the only place that begins, commits, checkpoints and polls for writes
// of other connections.
import { statSync } from 'node:fs'
import { ForgeError } from '../core/errors.ts'
import type { Topic } from '../store/store.ts'
import { isBusy, withBusyRetry, type Database } from './connect.ts'
import { Refused } from './enqueue.ts'
import { explainFailure } from './failures.ts'
import { Names } from './names.ts'
import { operations, type Memory, type Method, type Operation } from './operations.ts'
import type { Reader } from './query.ts'
import { Topics } from './topics.ts'
import { Statements } from './statements.ts'
import { Turn } from './turn.ts'

/** A call that waits for its turn. */
export interface Call {
  readonly method: Method
  readonly args: readonly unknown[]
  resolve(value: unknown): void
  reject(error: unknown): void
}

export interface EngineOptions {
  /** Path of the file, `:memory:` for none. */
  readonly path: string
  readonly durability: 'full' | 'relaxed'
  readonly now: () => number
  readonly hint: (topics: readonly Topic[]) => void
}

/** A turn stops taking calls after this long: other processes want the lock too. */
const turnMs = 5
/** How long a turn tries to get the write lock before its calls fail. */
const lockDeadlineMs = 2_000
/** The WAL is copied back beyond this size. */
const checkpointBytes = 16 * 1024 * 1024
/** Free pages stay for the next jobs up to this many; above, this many go back at a time. */
const freePagesKept = 4096
const vacuumPages = 1024

// The calls of one method share a shape that only `operations` knows; the engine passes them through.
type AnyOperation = Operation<Method> & {
  write?(turn: Turn, memory: Memory, ...args: readonly unknown[]): unknown
  peek?(db: Reader, memory: Memory, ...args: readonly unknown[]): unknown
  isPromise?(...args: readonly unknown[]): boolean
  read?(db: Reader, ...args: readonly unknown[]): unknown
}
const operationOf = (call: Call): AnyOperation => operations[call.method]

export class Engine {
  readonly topics: Topics
  readonly #db: Database
  readonly #options: EngineOptions
  readonly #statements: Statements
  readonly #names: Names
  readonly #memory: Memory = { lookedAt: 0, dueAt: Infinity }
  #synchronous: 'FULL' | 'NORMAL' | undefined
  #lastNow = 0
  #waiting: Call[] = []

  constructor(db: Database, options: EngineOptions) {
    this.#db = db
    this.#options = options
    this.#statements = new Statements(db)
    this.#names = new Names(this.#statements)
    this.topics = new Topics(this.#statements, this.#memory, options.hint)
  }

  /** Puts a call in line; beats go first, a lease must not wait behind work. */
  submit(call: Call): void {
    if (call.method === 'beat') this.#waiting.unshift(call)
    else this.#waiting.push(call)
  }

  get isWaiting(): boolean {
    return this.#waiting.length > 0
  }

  /** Runs what waits, as much as fits one turn. */
  runTurn(): void {
    const calls = this.#waiting
    this.#waiting = []
    const writes = calls.filter((call) => operationOf(call).write !== undefined)
    const pending = writes.length > 0 && this.#mustWrite(writes) ? this.#write(writes) : []
    this.#waiting.unshift(...pending)
    for (const call of calls) {
      if (operationOf(call).read === undefined) continue
      this.#answer(call, () => operationOf(call).read!(this.#reader(), ...call.args))
    }
  }

  /** Looks whether other connections wrote, and hints whom it concerns. Cheap when nobody did. */
  poll(): boolean {
    return this.topics.pollForeign()
  }

  /** Copies the WAL back when it has grown; readers and other writers go on. */
  checkpoint(): void {
    if (this.#walBytes() >= checkpointBytes) this.#checkpoint('PASSIVE')
  }

  /** Gives space back to the file system: the WAL, and a part of the free pages. */
  tidy(): void {
    if (this.#walBytes() > 0) this.#checkpoint('TRUNCATE')
    const { freelist_count: free } = this.#statements.sql('PRAGMA freelist_count').get() as { freelist_count: number }
    if (free > freePagesKept) this.#unlessBusy(() => this.#db.exec(`PRAGMA incremental_vacuum(${vacuumPages})`))
  }

  close(): void {
    for (const call of this.#waiting.splice(0)) {
      call.reject(new ForgeError('STORE_CLOSED', 'the store was closed before this call ran'))
    }
    this.#db.close()
  }

  #now(): number {
    this.#lastNow = Math.max(this.#lastNow, this.#options.now())
    return this.#lastNow
  }

  #reader(): Reader {
    return {
      sql: (text) => this.#statements.sql(text),
      tuples: (text) => this.#statements.tuples(text),
      names: this.#names,
      now: this.#now(),
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
      this.#setSynchronous(calls.some((call) => operationOf(call).isPromise!(...call.args)))
      withBusyRetry(() => this.#db.exec('BEGIN IMMEDIATE'), lockDeadlineMs)
      turn = new Turn(this.#statements, this.#names, this.#now(), this.topics.isAwaited)
      for (const call of calls) {
        outcomes.push({ call, ...this.#run(turn, call) })
        if (performance.now() > endAt) break
      }
      turn.flush()
      withBusyRetry(() => this.#db.exec('COMMIT'), lockDeadlineMs)
    } catch (error) {
      this.#rollback(turn)
      const failure = explainFailure(error)
      for (const call of calls) call.reject(failure)
      return []
    }
    this.#lastNow = turn.now
    for (const { call, value, error } of outcomes) {
      if (error === undefined) call.resolve(value)
      else if (error instanceof Refused) call.resolve(error.answers)
      else call.reject(explainFailure(error))
    }
    this.topics.announce(turn.hints, turn.earliestDueAt)
    return calls.slice(outcomes.length)
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
      this.#db.exec('ROLLBACK TO call; RELEASE call')
      turn.drop()
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

  #checkpoint(mode: 'PASSIVE' | 'TRUNCATE'): void {
    this.#unlessBusy(() => this.#statements.sql(`PRAGMA wal_checkpoint(${mode})`).get())
  }

  /** For upkeep: another process that holds the lock does it too, or the next time will do. */
  #unlessBusy(fn: () => void): void {
    try {
      fn()
    } catch (error) {
      if (!isBusy(error)) throw error
    }
  }

  #walBytes(): number {
    return statSync(`${this.#options.path}-wal`, { throwIfNoEntry: false })?.size ?? 0
  }
}
