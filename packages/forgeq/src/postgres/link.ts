// What an open store has: its pool, the calls that run on it, and the hints that come of them.
import { ForgeError } from '../core/errors.ts'
import { failpoint } from '../store/failpoint.ts'
import type { StoreInfo, Topic } from '../store/store.ts'
import { checkServer, type ServerFacts } from './checks.ts'
import type { Ask, Pool, Pooled, Query, Result } from './connect.ts'
import { Deadline } from './deadline.ts'
import { Refused } from '../core/refusal.ts'
import { explainFailure } from './failures.ts'
import { Heads } from './heads.ts'
import { checkSchema } from './migrate.ts'
import { Names } from './names.ts'
import { Notifier, type Hears } from './notify.ts'
import type { Answer, Calls, Method } from '../store/calling-store.ts'
import type { ExchangeRequest } from '../store/records.ts'
import { operations, type Memory, type Operation } from './operations.ts'
import { reach, type Way } from './reach.ts'
import type { Step } from './schema.ts'
import { Statements } from './statements.ts'
import { enqueueFor } from './enqueue-for.ts'
import { Transactions } from './transactions.ts'
import type { Turn } from './turn.ts'
import { Waits, type End } from './waits.ts'

export interface LinkOptions {
  readonly url: string
  readonly schema: string
  readonly allowUnsafe: boolean
  /** The migrations that this code knows. */
  readonly steps: readonly Step[]
}

/** Those who listen in this process. */
export interface Listeners {
  has(topic: Topic): boolean
  /** What is listened to. */
  all(): Iterable<Topic>
  spread(topics: Iterable<Topic>): void
}

// The calls of one method share a shape that only `operations` knows; the link passes them through.
interface AnyOperation extends Pick<Operation<Method>, 'promises' | 'quietWrites' | 'asksFirst'> {
  run(turn: Turn, memory: Memory, ...args: readonly unknown[]): Promise<unknown>
  mayPeek?(memory: Memory, ...args: readonly unknown[]): boolean
  quiet?(ask: Ask, memory: Memory, ...args: readonly unknown[]): unknown
  peek?(turn: Turn, memory: Memory, ...args: readonly unknown[]): Promise<unknown>
  names?(names: Names, ...args: readonly unknown[]): Promise<void>
  after?(memory: Memory, answer: unknown, turn: Turn): void
  withinMs?(...args: readonly unknown[]): number | undefined
}

/** To say how the store is: who asks wants to know soon. */
const tellMs = 5_000
/** Calls that do not say how long they may take. */
const callMs = 30_000

const pooledProblem =
  'connected through a pooler: statements are not prepared, and hints of other processes are not heard, so their jobs wait ' +
  'for the next poll; connect to the server itself where you can'

const committed = (method: Method): void => failpoint(`${method}.after-commit`)

export class Link {
  readonly #pool: Pool
  readonly #statements: Statements
  readonly #facts: ServerFacts
  readonly #isPooled: boolean
  readonly #listeners: Listeners
  readonly #names: Names
  readonly #transactions: Transactions
  readonly #notifier: Notifier
  readonly #heads = new Heads()
  readonly #memory: Memory
  readonly #running = new Set<Promise<unknown>>()
  readonly #waits = new Waits()
  /** Exchanges that were more than a look. */
  readonly #written = new WeakSet<object>()
  #isClosed = false

  private constructor({ pool, isPooled }: Way, options: LinkOptions, facts: ServerFacts, listeners: Listeners) {
    this.#pool = pool
    this.#isPooled = isPooled
    this.#statements = new Statements(options.schema, isPooled)
    this.#facts = facts
    this.#listeners = listeners
    this.#names = new Names(pool, this.#statements)
    const isAwaited = (id: string): boolean => listeners.has(`ended:${id}`) || this.#notifier.isAwaited(id)
    const [statements, names, heads] = [this.#statements, this.#names, this.#heads]
    this.#memory = { lookedAt: 0, dueAt: Infinity, woken: new Set(), quiet: undefined, changes: 0, names, heads }
    this.#transactions = new Transactions({ pool, isPooled, statements, names, heads, isAwaited })
    const hears: Hears = {
      topics: (topics) => this.#spread(topics),
      due: (at) => this.#hearDue(at),
      missed: () => this.#spread(listeners.all()),
      all: () => listeners.all(),
      has: (topic) => listeners.has(topic),
    }
    this.#notifier = new Notifier(options.url, `forgeq ${options.schema}`, pool, hears)
  }

  static async open(options: LinkOptions, listeners: Listeners, making: () => void): Promise<Link> {
    let way: Way | undefined
    try {
      way = await reach(options.url)
      const facts = await checkServer(way.pool, options.allowUnsafe)
      const { schema, steps } = options
      await checkSchema(way.pool, { statements: new Statements(schema, way.isPooled), schema, steps }, making)
      return new Link(way, options, facts, listeners)
    } catch (error) {
      await way?.pool.end()
      throw explainFailure(error)
    }
  }

  async tell(): Promise<StoreInfo> {
    const { value: now } = await this.#transactions.run('look', async (turn) => turn.now, new Deadline(tellMs))
    const { version, durability, problems } = this.#facts
    const info = { kind: 'postgres', version, now, durability } as const
    return this.#isPooled
      ? { ...info, capabilities: ['shared'], problems: [...problems, pooledProblem] }
      : { ...info, capabilities: ['notify', 'shared'], problems }
  }

  /** Hears of other processes from now on, of these topics too. */
  listen(topics: readonly Topic[]): void {
    // Behind a pooler another client would hear it.
    if (!this.#isPooled) this.#notifier.listen(topics)
  }

  async call<M extends Method>(method: M, args: readonly unknown[]): Promise<Answer<M>> {
    const answer = (await this.#track(this.#route(method, args))) as Answer<M>
    if (this.#heads.isDue && !this.#isClosed) this.#lookAtHeads()
    return answer
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#waits.endAll()
    await Promise.allSettled(this.#running)
    await this.#notifier.close()
    await this.#pool.end()
  }

  /** Nobody waits for it: without what it finds, lanes are read from the start. */
  #lookAtHeads(): void {
    this.#track(this.#heads.look(this.#askForHeads)).catch(() => this.#heads.forget())
  }

  /** Closing waits for it. */
  async #track<T>(running: Promise<T>): Promise<T> {
    this.#running.add(running)
    try {
      return await running
    } finally {
      this.#running.delete(running)
    }
  }

  // A statement alone is planned as the session says, and behind a pooler the session is nobody's.
  readonly #askForHeads: Ask = async (sql, ...values) => {
    const deadline = new Deadline(callMs)
    if (!this.#isPooled) return this.#askAlone(this.#statements.query(sql, values), deadline)
    try {
      const rows = (turn: Turn): Promise<readonly unknown[]> => turn.all(sql, ...values)
      const { value } = await this.#transactions.run('look', rows, deadline)
      return { rows: value, rowCount: value.length }
    } catch {
      // Then it is not known; who has work to do is told why.
      return undefined
    }
  }

  #route(method: Method, args: readonly unknown[]): Promise<unknown> {
    if (method === 'enqueue') return this.#enqueue(args as Parameters<Calls['enqueue']>)
    if (method === 'exchange') return this.#exchange(args[0] as ExchangeRequest)
    if (method === 'beat' || method === 'leave') this.#waits.endOf(args[0] as string)
    return this.#call(method, operations[method], args)
  }

  async #exchange(request: ExchangeRequest): Promise<Answer<'exchange'>> {
    const waiting = request.waits === true ? this.#waits.begin(request) : undefined
    try {
      const answer = await this.#ask(request)
      // A turn that the store has seen brings nothing new any more.
      const isOver = answer.closed || answer.claimed.length + answer.orders.length > 0 || this.#written.has(request)
      if (waiting === undefined || isOver || answer.suspects) return answer
      const askedAt = performance.now()
      const end = await waiting.wait(this.#waits.forMs)
      // It is later by now.
      if (end === 'over') return { ...answer, now: answer.now + Math.floor(performance.now() - askedAt) }
      return end === 'look' ? await this.#ask(request) : end.reply
    } finally {
      if (waiting !== undefined) this.#waits.done(waiting)
    }
  }

  async #ask(request: ExchangeRequest): Promise<Answer<'exchange'>> {
    const answer = (await this.#call('exchange', operations.exchange, [request])) as Answer<'exchange'>
    if (!answer.closed && answer.claimed.length > 0) this.#waits.busy()
    return answer
  }

  /** Jobs that an idle worker of this process waits for are claimed by the transaction that stores them. */
  async #enqueue(args: Parameters<Calls['enqueue']>): Promise<unknown> {
    const { enqueue, exchange } = operations
    const waiting = this.#waits.find(new Set(args[0].map(({ policy }) => policy.queue)))
    if (waiting === undefined) return this.#call('enqueue', enqueue, args)
    const { request } = waiting
    const finish = waiting.take()
    let reply: Answer<'exchange'> | undefined
    let end: End = 'look'
    const both: AnyOperation = {
      ...(enqueue as AnyOperation),
      names: async (names) => {
        await exchange.names!(names, request)
        await enqueue.names!(names, ...args)
      },
      run: async (turn, memory) => {
        const given = await enqueueFor(turn, request, () => enqueue.run(turn, memory, ...args))
        reply = given.reply
        return given.answers
      },
      after: () => (end = { reply: reply! }),
    }
    try {
      return await this.#call('enqueue', both, args)
    } catch (error) {
      // The worker is at another turn: that is its own trouble.
      if (!ForgeError.is(error) || error.code !== 'LEASE_LOST') throw error
      return await this.#call('enqueue', enqueue, args)
    } finally {
      if (typeof end === 'object') this.#waits.busy()
      finish(end)
    }
  }

  async #call(method: Method, called: unknown, args: readonly unknown[]): Promise<unknown> {
    const operation = called as AnyOperation
    const deadline = new Deadline(operation.withinMs?.(...args) ?? callMs)
    const mayPeek = operation.mayPeek?.(this.#memory, ...args) ?? true
    // A statement alone is planned as the session says, and behind a pooler the session is nobody's.
    if (operation.quiet !== undefined && mayPeek && !this.#isPooled) {
      const ask: Ask = (sql, ...values) => this.#askAlone(this.#statements.query(sql, values), deadline)
      const answer = await operation.quiet(ask, this.#memory, ...args)
      if (answer !== undefined && operation.quietWrites === true) committed(method)
      if (answer !== undefined) return answer
    }
    try {
      if (operation.names !== undefined) await deadline.wait(operation.names(this.#names, ...args))
    } catch (error) {
      throw explainFailure(error)
    }
    if (operation.peek !== undefined && mayPeek) {
      const peek = (look: Turn): Promise<unknown> => operation.peek!(look, this.#memory, ...args)
      const { value, turn } = await this.#transactions.run('look', peek, deadline)
      if (value !== undefined) {
        if (method !== 'lost') operation.after?.(this.#memory, value, turn)
        return value
      }
    }
    return this.#write(method, operation, args, deadline)
  }

  /** What fails here is tried again as a transaction, which tells what it was. */
  async #askAlone(query: Query, deadline: Deadline): Promise<Result | undefined> {
    let client: Pooled | undefined
    let unwatch: (() => void) | undefined
    try {
      client = await deadline.wait(this.#pool.connect(), (late) => late.release())
      unwatch = deadline.watch(client)
      const result = await client.query(query)
      client.release()
      return result
    } catch (error) {
      client?.release(error as Error)
      return undefined
    } finally {
      unwatch?.()
    }
  }

  async #write(
    method: Method,
    operation: AnyOperation,
    args: readonly unknown[],
    deadline: Deadline,
  ): Promise<unknown> {
    this.#forgetQuiet()
    if (method === 'exchange') this.#written.add(args[0] as object)
    try {
      const work = (turn: Turn): Promise<unknown> => operation.run(turn, this.#memory, ...args)
      const { value, turn } = await this.#transactions.run(operation.promises, work, deadline, operation.asksFirst)
      operation.after?.(this.#memory, value, turn)
      this.#announce(turn)
      committed(method)
      return value
    } catch (error) {
      if (error instanceof Refused) return error.answers
      this.#heads.forget()
      throw error
    }
  }

  #forgetQuiet(): void {
    this.#memory.quiet = undefined
    this.#memory.changes += 1
  }

  #announce(turn: Turn): void {
    this.#forgetQuiet()
    this.#spread(turn.hints)
    if (turn.earliestDueAt < Infinity) this.#hearDue(turn.earliestDueAt)
    this.#notifier.tell(turn.hints, turn.earliestDueAt)
  }

  #spread(topics: Iterable<Topic>): void {
    for (const topic of topics) {
      if (topic.startsWith('ready:') && this.#listeners.has(topic)) this.#memory.woken.add(topic.slice('ready:'.length))
    }
    this.#waits.hint(topics)
    this.#listeners.spread(topics)
  }

  #hearDue(at: number): void {
    this.#forgetQuiet()
    if (at >= this.#memory.dueAt) return
    this.#memory.dueAt = at
    this.#listeners.spread(['due'])
  }
}
