// What an open store has: its pool, the calls that run on it, and the hints that come of them.
import { ForgeError } from '../core/errors.ts'
import { failpoint } from '../store/failpoint.ts'
import type { Migration, StoreInfo, Topic } from '../store/store.ts'
import { Claims } from './claims.ts'
import { checkServer, longTransaction, type ServerFacts } from './checks.ts'
import type { Ask, Pool, Pooled, Query, Result } from './client.ts'
import { Deadline } from './deadline.ts'
import { Refusals } from './direct.ts'
import { Refused } from '../core/refusal.ts'
import { Exchanges } from './exchanges.ts'
import { explainFailure } from './failures.ts'
import { Heads } from './heads.ts'
import { checkSchema, knownVersion, migrate, type Place } from './migrate.ts'
import { Names } from './names.ts'
import { Notifier, type Hears } from './notify.ts'
import type { Answer, Calls, Method } from '../store/calling-store.ts'
import type { ExchangeRequest } from '../store/records.ts'
import { operations, type AnyOperation, type Memory } from './operations.ts'
import { reach, type Way } from './reach.ts'
import type { Step } from './schema.ts'
import { Statements } from './statements.ts'
import { Transactions } from './transactions.ts'
import type { Turn } from './turn.ts'

export interface LinkOptions {
  readonly url: string
  readonly schema: string
  readonly allowUnsafe: boolean
  /** The migrations that this code knows. */
  readonly steps: readonly Step[]
  /** How old it may be, in milliseconds, what is known of the schema's version: it may be migrated while it is worked on. */
  readonly versionMs: number
}

/** Those who listen in this process. */
export interface Listeners {
  has(topic: Topic): boolean
  /** What is listened to. */
  all(): Iterable<Topic>
  spread(topics: Iterable<Topic>): void
}

/** To say how the store is: who asks wants to know soon. */
const tellMs = 5_000
/** While a migration is being made nobody can look, and nobody has to. */
const versionLookMs = 2_000
/** Calls that do not say how long they may take. */
const callMs = 30_000

const pooledProblem =
  'connected through a pooler: statements are not prepared, and hints of other processes are not heard, so their jobs wait ' +
  'for the next poll; connect to the server itself where you can'

const committed = (method: Method): void => failpoint(`${method}.after-commit`)

export class Link {
  readonly #pool: Pool
  readonly #statements: Statements
  readonly #place: Place
  readonly #facts: ServerFacts
  readonly #isPooled: boolean
  readonly #listeners: Listeners
  readonly #names: Names
  readonly #transactions: Transactions
  readonly #notifier: Notifier
  readonly #heads = new Heads()
  readonly #memory: Memory
  readonly #running = new Set<Promise<unknown>>()
  readonly #exchanges = new Exchanges((method, operation, args) => this.#call(method, operation, args))
  readonly #versionMs: number
  #versionAt = performance.now()
  /** This code is too old by now. */
  #refusal: ForgeError | undefined
  #isClosed = false

  private constructor({ pool, isPooled }: Way, options: LinkOptions, facts: ServerFacts, listeners: Listeners) {
    this.#pool = pool
    this.#isPooled = isPooled
    this.#statements = new Statements(options.schema, isPooled)
    this.#place = { statements: this.#statements, schema: options.schema, steps: options.steps }
    this.#versionMs = options.versionMs
    this.#facts = facts
    this.#listeners = listeners
    this.#names = new Names(pool, this.#statements)
    const isAwaited = (id: string): boolean => listeners.has(`ended:${id}`) || this.#notifier.isAwaited(id)
    const [statements, names, heads] = [this.#statements, this.#names, this.#heads]
    this.#memory = {
      lookedAt: 0,
      dueAt: Infinity,
      woken: new Set(),
      quiet: undefined,
      changes: 0,
      names,
      heads,
      claims: new Claims(),
      refusals: new Refusals(),
      isAwaited,
    }
    this.#transactions = new Transactions({ pool, isPooled, statements, names, heads, isAwaited })
    const hears: Hears = {
      topics: (topics) => this.#spread(topics),
      due: (at) => this.#hearDue(at),
      missed: () => this.#spread(listeners.all()),
      all: () => listeners.all(),
      has: (topic) => listeners.has(topic),
    }
    const channel = `forgeq ${options.schema}`
    this.#notifier = new Notifier({ url: options.url, channel, pool, statements, hears })
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
    const long = await longTransaction((query) => this.#askAlone(query, new Deadline(tellMs)))
    const info = { kind: 'postgres', version, now, durability } as const
    const seen = long === undefined ? problems : [...problems, long]
    return this.#isPooled
      ? { ...info, capabilities: ['shared'], problems: [...seen, pooledProblem] }
      : { ...info, capabilities: ['notify', 'shared'], problems: seen }
  }

  /** What a migration would do, over the connections that are there. */
  async plan(): Promise<Migration> {
    try {
      return await migrate(this.#pool, this.#place, 'plan')
    } catch (error) {
      throw explainFailure(error)
    }
  }

  /** Hears of other processes from now on, of these topics too. */
  listen(topics: readonly Topic[]): void {
    // Behind a pooler another client would hear it.
    if (!this.#isPooled) this.#notifier.listen(topics)
  }

  async call<M extends Method>(method: M, args: readonly unknown[]): Promise<Answer<M>> {
    if (this.#refusal !== undefined) throw this.#refusal
    let answer: Answer<M>
    try {
      answer = (await this.#track(this.#route(method, args))) as Answer<M>
    } finally {
      // Also when it failed, which may be for that.
      if (performance.now() > this.#versionAt + this.#versionMs && !this.#isClosed) this.#lookAtVersion()
    }
    if (this.#heads.isDue && !this.#isClosed) this.#lookAtHeads()
    return answer
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#exchanges.endAll()
    await Promise.allSettled(this.#running)
    await this.#notifier.close()
    await this.#pool.end()
  }

  /** Nobody waits for it: without what it finds, lanes are read from the start. */
  #lookAtHeads(): void {
    this.#track(this.#heads.look(this.#askForHeads)).catch(() => this.#heads.forget())
  }

  #lookAtVersion(): void {
    this.#versionAt = performance.now()
    const looking = new Deadline(versionLookMs).wait(knownVersion(this.#pool, this.#place))
    this.#track(looking).catch((error: unknown) => {
      // Any other failure is met by who has work to do.
      if (ForgeError.is(error, 'MIGRATION_NEEDED')) this.#refusal = error
    })
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

  /** As what is quiet: alone where the session is ours. */
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

  async #route(method: Method, args: readonly unknown[]): Promise<unknown> {
    if (method === 'enqueue') return this.#exchanges.enqueue(args as Parameters<Calls['enqueue']>)
    if (method === 'exchange') return this.#exchanges.exchange(args[0] as ExchangeRequest)
    if (method === 'beat' || method === 'leave') this.#exchanges.endOf(args[0] as string)
    const answer = await this.#call(method, operations[method], args)
    if (method === 'beat' && (answer as Answer<'beat'>).closed) this.#memory.claims.forget(args[0] as string)
    return answer
  }

  async #call(method: Method, operation: AnyOperation, args: readonly unknown[]): Promise<unknown> {
    const deadline = new Deadline(operation.withinMs?.(...args) ?? callMs)
    const mayPeek = operation.mayPeek?.(this.#memory, ...args) ?? true
    // A statement alone is planned as the session says, and behind a pooler the session is nobody's.
    if (operation.quiet !== undefined && mayPeek && !this.#isPooled) {
      const ask: Ask = (sql, ...values) => this.#askAlone(this.#statements.query(sql, values), deadline)
      const answer = await operation.quiet(ask, this.#memory, ...args)
      if (answer !== undefined && operation.quietWrites === true) committed(method)
      if (answer !== undefined) return answer
    }
    // Without a pooler the look was quiet.
    const looks = operation.peek !== undefined && mayPeek
    if (!(this.#isPooled && looks)) {
      const answer = await this.#goDirectly(method, operation, args, deadline)
      if (answer !== undefined) return answer
    }
    try {
      if (operation.names !== undefined) await deadline.wait(operation.names(this.#names, ...args))
    } catch (error) {
      throw explainFailure(error)
    }
    if (looks) {
      const peek = (look: Turn): Promise<unknown> => operation.peek!(look, this.#memory, ...args)
      const { value, turn } = await this.#transactions.run('look', peek, deadline)
      if (value !== undefined) {
        if (method !== 'lost') operation.after?.(this.#memory, value, turn, ...args)
        return value
      }
      if (this.#isPooled) {
        const answer = await this.#goDirectly(method, operation, args, deadline)
        if (answer !== undefined) return answer
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
      this.#heads.forget()
      return undefined
    } finally {
      unwatch?.()
    }
  }

  /** `undefined` when that is not for this call, or was refused: then nothing that it answers with is stored. */
  async #goDirectly(
    method: Method,
    operation: AnyOperation,
    args: readonly unknown[],
    deadline: Deadline,
  ): Promise<unknown> {
    const direct = operation.direct?.(this.#memory, ...args)
    if (direct === undefined) return undefined
    this.#forgetQuiet()
    try {
      const results = await this.#transactions.atOnce(direct.statements, deadline)
      const answered = results && direct.answer(results)
      if (answered === undefined) {
        for (const kind of direct.kinds) this.#memory.refusals.add(kind)
        return undefined
      }
      this.#announce(answered.hints, answered.dueAt ?? Infinity)
      committed(method)
      return answered.value
    } catch (error) {
      this.#heads.forget()
      throw error
    }
  }

  async #write(
    method: Method,
    operation: AnyOperation,
    args: readonly unknown[],
    deadline: Deadline,
  ): Promise<unknown> {
    this.#forgetQuiet()
    try {
      const work = (turn: Turn): Promise<unknown> => operation.run(turn, this.#memory, ...args)
      const { value, turn } = await this.#transactions.run(operation.promises, work, deadline, operation.asksFirst)
      operation.after?.(this.#memory, value, turn, ...args)
      this.#announce(turn.hints, turn.earliestDueAt)
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

  #announce(hints: Iterable<Topic>, dueAt: number): void {
    this.#forgetQuiet()
    this.#spread(hints)
    if (dueAt < Infinity) this.#hearDue(dueAt)
    this.#notifier.tell(hints, dueAt)
  }

  #spread(topics: Iterable<Topic>): void {
    for (const topic of topics) {
      if (topic.startsWith('ready:') && this.#listeners.has(topic)) this.#memory.woken.add(topic.slice('ready:'.length))
    }
    this.#exchanges.hint(topics)
    this.#listeners.spread(topics)
  }

  #hearDue(at: number): void {
    this.#forgetQuiet()
    if (at >= this.#memory.dueAt) return
    this.#memory.dueAt = at
    this.#listeners.spread(['due'])
  }
}
