// Runs operations on one connection, many per transaction: whatever waits is written together and answered after the
// commit, so the cost of a commit is shared. The only place that begins and commits.
import { ForgeError } from '../core/errors.ts'
import { failpoint } from '../store/failpoint.ts'
import type { Topic } from '../store/store.ts'
import { isBusy, withBusyRetry, type Database } from './connect.ts'
import { Refused } from '../core/refusal.ts'
import { explainFailure } from './failures.ts'
import { protectLeases } from './lease.ts'
import { Held, type Wait } from './held.ts'
import { Names } from './names.ts'
import type { Method } from '../store/calling-store.ts'
import { operations, type Memory, type Operation, type Promised } from './operations.ts'
import { readerOf, type Reader } from './reader.ts'
import { Topics } from './topics.ts'
import { Statements } from './statements.ts'
import type { StoreClock } from './store-clock.ts'
import { lockDeadlineMs, Transactions } from './transactions.ts'
import { Turn } from './turn.ts'

/** A call that waits for its turn. */
export interface Call {
  readonly method: Method
  readonly args: readonly unknown[]
  /** Its answer may come when there is one. */
  readonly mayWait?: boolean
  /** When it came, on the clock of this thread; set by the engine. */
  readonly since?: number
  readonly resolve: (value: unknown) => void
  readonly reject: (error: unknown) => void
}

export interface EngineOptions {
  readonly durability: 'full' | 'relaxed'
  readonly clock: StoreClock
  readonly hint: (topics: readonly Topic[]) => void
  /** Sends the answers given so far: the turn goes on for a while. */
  readonly send: () => void
}

/** A turn stops taking calls after this long: other processes want the lock too. */
const turnMs = 5

// The calls of one method share a shape that only `operations` knows; the engine passes them through.
type AnyOperation = Operation<Method> & {
  write?(turn: Turn, memory: Memory, ...args: readonly unknown[]): unknown
  peek?(db: Reader, memory: Memory, ...args: readonly unknown[]): unknown
  waits?(...args: readonly unknown[]): Wait | undefined
  ends?(...args: readonly unknown[]): string
  feeds?(...args: readonly unknown[]): readonly Topic[]
  promises?(...args: readonly unknown[]): Promised
  read?(db: Reader, ...args: readonly unknown[]): unknown
}
const operationOf = (call: Call): AnyOperation => operations[call.method]
const waitOf = (call: Call): Wait | undefined => operationOf(call).waits?.(...call.args)
const feedOf = (call: Call): readonly Topic[] => operationOf(call).feeds?.(...call.args) ?? []
const promiseOf = (call: Call): Promised => operationOf(call).promises?.(...call.args) ?? 'nothing'

/** What came of a call, once the transaction stands. */
type Outcome = { readonly call: Call } & ({ readonly value: unknown } | { readonly error: unknown })

const answer = (outcome: Outcome, failure?: ForgeError): void => {
  const { call } = outcome
  try {
    failpoint(`${call.method}.after-commit`)
  } catch (error) {
    return call.reject(error)
  }
  if (failure !== undefined) call.reject(failure)
  else if ('value' in outcome) call.resolve(outcome.value)
  else if (outcome.error instanceof Refused) call.resolve(outcome.error.answers)
  else call.reject(explainFailure(outcome.error))
}

/** What processes do when there is nothing to do. */
const upkeep: ReadonlySet<Method> = new Set(['register', 'beat', 'leave', 'lost', 'promote', 'prune'])

const seenTime = /* sql */ `SELECT now FROM forgeq_meta`

export class Engine {
  readonly topics: Topics
  readonly #db: Database
  readonly #options: EngineOptions
  readonly statements: Statements
  readonly #names: Names
  readonly #memory: Memory = { lookedAt: 0, wasShutOut: false, dueAt: Infinity }
  readonly #transactions: Transactions
  readonly #held = new Held<Call>()
  #waiting: Call[] = []
  /** Others have the write lock since then. */
  #lockedSince: number | undefined

  constructor(db: Database, options: EngineOptions) {
    this.#db = db
    this.#options = options
    this.statements = new Statements(db)
    this.#names = new Names(this.statements)
    this.#transactions = new Transactions(db, options.durability)
    this.topics = new Topics(this.statements, this.#memory, options.hint)
  }

  /** Puts a call in line; beats go first, a lease must not wait behind work. */
  submit(submitted: Call): void {
    const call = { ...submitted, since: performance.now() }
    if (call.method === 'beat') this.#waiting.unshift(call)
    else this.#waiting.push(call)
  }

  get isWaiting(): boolean {
    return this.#waiting.length > 0
  }

  /** Runs what waits, as much as fits one turn; answers whether that was work, not just upkeep. */
  runTurn(): boolean {
    const calls = this.#endWaits(this.#waiting)
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
    const { changed, heard } = this.topics.pollForeign()
    if (heard.length > 0) this.#waiting.push(...this.#held.take(new Set(heard)))
    return { changed, heard: heard.length > 0 }
  }

  /** Answers whatever waits with `error`. */
  refuse(error: ForgeError): void {
    for (const call of [...this.#waiting.splice(0), ...this.#held.takeAll()]) call.reject(error)
  }

  close(): void {
    this.refuse(new ForgeError('STORE_CLOSED', 'the store was closed before this call ran'))
    this.#db.close()
  }

  #reader(): Reader {
    const { clock } = this.#options
    clock.hear((this.statements.sql(seenTime).get() as { now: number }).now)
    return readerOf(this.statements, this.#names, clock.now())
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
    for (const [i, call] of calls.entries()) {
      if (!this.#hold(call, answers[i])) call.resolve(answers[i])
    }
    return false
  }

  /** Whether the call is kept until there is a better answer than this one. */
  #hold(call: Call, answer: unknown): boolean {
    const isOpen = call.mayWait === true && answer !== undefined && !(answer as { closed?: boolean }).closed
    const wait = isOpen ? waitOf(call) : undefined
    if (wait !== undefined) this.#held.add(call, wait)
    return wait !== undefined
  }

  /** A beat ends the wait of its worker's exchange, whether that came before it or with it. */
  #endWaits(calls: readonly Call[]): readonly Call[] {
    const workers = new Set(calls.map((call) => operationOf(call).ends?.(...call.args)))
    workers.delete(undefined)
    if (workers.size === 0) return calls
    const ended = [...workers].flatMap((worker) => this.#held.takeOf(worker!))
    return [...calls, ...ended].map((call) => {
      const worker = call.mayWait === true ? waitOf(call)?.worker : undefined
      return worker !== undefined && workers.has(worker) ? { ...call, mayWait: false } : call
    })
  }

  /** One transaction; answers the calls that did not fit. */
  #write(calls: readonly Call[]): readonly Call[] {
    const promised = new Set(calls.map(promiseOf))
    // Whoever waits for work gets it before the disk has it.
    const isEarly = !promised.has('all') && calls.some((call) => this.#held.hears(feedOf(call)))
    const toDisk = !isEarly && (promised.has('answer') || promised.has('all'))
    const unanswered = new Set(calls)
    const outcomes: Outcome[] = []
    let turn: Turn | undefined
    let count = 0
    try {
      this.#begin(toDisk)
      turn = new Turn(this.statements, this.#names, this.#options.clock.now(), this.topics.isAwaited)
      if (this.#memory.wasShutOut) protectLeases(turn)
      const endAt = performance.now() + turnMs
      for (const call of calls) {
        count++
        if (this.#keep(turn, call)) unanswered.delete(call)
        else outcomes.push(this.#run(turn, call))
        if (performance.now() > endAt) break
      }
      for (const call of this.#held.take(turn.hints)) {
        unanswered.add(call)
        outcomes.push(this.#run(turn, call))
      }
      turn.flush()
      this.#transactions.commit()
    } catch (error) {
      turn?.drop()
      this.#transactions.rollback()
      if (turn === undefined && isBusy(error)) return this.#putOff(calls, error)
      const failure = explainFailure(error)
      for (const call of unanswered) call.reject(failure)
      return []
    }
    this.#options.clock.hear(turn.now)
    this.#memory.wasShutOut = false
    turn.committed()
    const mustSync = !toDisk && (turn.isPromise || promised.has('answer'))
    this.#conclude(turn, outcomes, mustSync)
    return calls.slice(count)
  }

  /** Answers what was committed, and what promises something once it is on disk. */
  #conclude(turn: Turn, outcomes: readonly Outcome[], mustSync: boolean): void {
    const isEarly = ({ call }: Outcome): boolean => mustSync && !turn.isPromise && promiseOf(call) === 'nothing'
    const early = outcomes.filter(isEarly)
    if (early.length > 0) {
      for (const outcome of early) answer(outcome)
      this.#options.send()
    }
    const failure = mustSync ? this.#sync() : undefined
    for (const outcome of outcomes) if (!isEarly(outcome)) answer(outcome, failure)
    this.topics.announce(turn.hints, turn.earliestDueAt)
  }

  /** Whether the call has nothing to do in this turn and waits on. */
  #keep(turn: Turn, call: Call): boolean {
    return call.mayWait === true && this.#hold(call, operationOf(call).peek?.(turn, this.#memory, ...call.args))
  }

  #run(turn: Turn, call: Call): Outcome {
    const outcome = this.#transactions.attempt(() => operationOf(call).write!(turn, this.#memory, ...call.args))
    if ('error' in outcome) turn.drop()
    else turn.keep()
    return { call, ...outcome }
  }

  #begin(toDisk: boolean): void {
    try {
      this.#transactions.begin(toDisk)
      this.#lockedSince = undefined
    } catch (error) {
      this.#lockedSince ??= performance.now()
      // Nobody here could beat meanwhile, and perhaps nobody elsewhere.
      if (performance.now() - this.#lockedSince >= lockDeadlineMs) this.#memory.wasShutOut = true
      throw error
    }
  }

  /** Somebody else has the lock: calls wait on, but for those that have waited for too long. */
  #putOff(calls: readonly Call[], error: unknown): readonly Call[] {
    const cameBefore = performance.now() - lockDeadlineMs
    const late = new Set(calls.filter(({ since = 0 }) => since <= cameBefore))
    for (const call of late) call.reject(explainFailure(error))
    return calls.filter((call) => !late.has(call))
  }

  /** What went wrong, when it did: then what was committed may or may not survive power loss. */
  #sync(): ForgeError | undefined {
    try {
      this.#transactions.sync()
      return undefined
    } catch (error) {
      this.#transactions.rollback()
      return new ForgeError(
        'OUTCOME_UNKNOWN',
        'it is written, but the disk has not confirmed it; the call may be repeated',
        {
          cause: error,
        },
      )
    }
  }

  #answer(call: Call, read: () => unknown): void {
    let value: unknown
    try {
      value = withBusyRetry(() => this.#transactions.look(read), lockDeadlineMs)
    } catch (error) {
      call.reject(explainFailure(error))
      return
    }
    call.resolve(value)
  }
}
