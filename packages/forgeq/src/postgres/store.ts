// The store in a PostgreSQL database: opens it when first needed, passes every call on, spreads its hints.
import { ForgeError } from '../core/errors.ts'
import { failpoint } from '../store/failpoint.ts'
import type * as records from '../store/records.ts'
import type { WorkerEnd, WorkerFacts } from '../store/worker-record.ts'
import type { QueueSettings } from '../core/limit.ts'
import type { Migration, Store, StoreInfo, Topic } from '../store/store.ts'
import { migrate } from './checks.ts'
import { makePool } from './connect.ts'
import { explainFailure } from './failures.ts'
import { KeepAlive } from './keep-alive.ts'
import { Link, type Listeners } from './link.ts'
import type { Answer, Method } from './operations.ts'
import { Statements } from './statements.ts'

export interface PostgresOptions {
  /** Where the tables are. Default `forgeq`. */
  readonly schema?: string
  /** Goes on with a server that has fsync or full_page_writes off. Default FORGEQ_ALLOW_VOLATILE=1. */
  readonly allowUnsafe?: boolean
}

export class PostgresStore implements Store {
  readonly #options: { readonly url: string; readonly schema: string; readonly allowUnsafe: boolean }
  readonly #topics = new Map<Topic, Set<(topic: Topic) => void>>()
  readonly #listeners: Listeners = {
    has: (topic) => this.#topics.has(topic),
    spread: (topics) => this.#spread(topics),
  }
  readonly #keepAlive: KeepAlive
  #link: Promise<Link> | undefined
  #isClosed = false

  constructor(url: string, options: PostgresOptions) {
    this.#options = {
      url,
      schema: options.schema ?? 'forgeq',
      allowUnsafe: options.allowUnsafe ?? process.env['FORGEQ_ALLOW_VOLATILE'] === '1',
    }
    this.#keepAlive = new KeepAlive(this.#options)
  }

  async open(): Promise<StoreInfo> {
    return (await this.#connected()).tell()
  }

  async migrate(mode: 'plan' | 'apply'): Promise<Migration> {
    const { url, schema } = this.#options
    const pool = makePool(url)
    try {
      return await migrate(pool, new Statements(schema), schema, mode)
    } catch (error) {
      throw explainFailure(error)
    } finally {
      await pool.end()
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true
    const link = this.#link
    this.#link = undefined
    await this.#keepAlive.close()
    // A store that never opened has nothing to close.
    await (await link?.catch(() => undefined))?.close()
  }

  enqueue(jobs: readonly records.NewJob[], options: { readonly atomic: boolean }): Promise<Answer<'enqueue'>> {
    return this.#call('enqueue', jobs, options)
  }

  async register(worker: records.Registration): Promise<Answer<'register'>> {
    const answer = await this.#call('register', worker)
    if (worker.keepAlive) this.#keepAlive.keep(worker.id, worker.leaseMs)
    return answer
  }

  exchange(request: records.ExchangeRequest): Promise<Answer<'exchange'>> {
    return this.#call('exchange', request)
  }

  beat(worker: string, facts: WorkerFacts | null, notes: readonly records.Note[]): Promise<Answer<'beat'>> {
    return this.#call('beat', worker, facts, notes)
  }

  leave(worker: string, end?: WorkerEnd): Promise<void> {
    this.#keepAlive.drop(worker)
    return this.#call('leave', worker, end)
  }

  lost(limit: number): Promise<Answer<'lost'>> {
    return this.#call('lost', limit)
  }

  settle(settlements: readonly (records.Settlement & { readonly worker: string })[]): Promise<Answer<'settle'>> {
    return this.#call('settle', settlements)
  }

  promote(limit: number): Promise<Answer<'promote'>> {
    return this.#call('promote', limit)
  }

  prune(limit: number): Promise<Answer<'prune'>> {
    return this.#call('prune', limit)
  }

  setWorker(worker: string, settings: { readonly slots: number }): Promise<boolean> {
    return this.#call('setWorker', worker, settings)
  }

  setQueue(queue: string, settings: QueueSettings): Promise<void> {
    return this.#call('setQueue', queue, settings)
  }

  queues(): Promise<Answer<'queues'>> {
    return this.#call('queues')
  }

  workers(): Promise<Answer<'workers'>> {
    return this.#call('workers')
  }

  types(names?: readonly string[]): Promise<Answer<'types'>> {
    return this.#call('types', names)
  }

  jobs(ids: readonly string[], include?: readonly records.Include[]): Promise<Answer<'jobs'>> {
    return this.#call('jobs', ids, include)
  }

  find(filter: records.JobFilter, cursor: string | null, limit: number): Promise<Answer<'find'>> {
    return this.#call('find', filter, cursor, limit)
  }

  act(request: records.ActRequest): Promise<Answer<'act'>> {
    return this.#call('act', request)
  }

  listen(topics: readonly Topic[], fn: (topic: Topic) => void): () => void {
    for (const topic of topics) {
      const fns = this.#topics.get(topic)
      if (fns === undefined) this.#topics.set(topic, new Set([fn]))
      else fns.add(fn)
    }
    // Opening listens for those who came before.
    this.#link?.then((link) => link.listen()).catch(() => undefined)
    let isOver = false
    return () => {
      if (isOver) return
      isOver = true
      for (const topic of topics) {
        const fns = this.#topics.get(topic)
        fns?.delete(fn)
        if (fns?.size === 0) this.#topics.delete(topic)
      }
    }
  }

  async #call<M extends Method>(method: M, ...args: unknown[]): Promise<Answer<M>> {
    const link = await this.#connected()
    failpoint(`${method}.before-send`)
    const answer = await link.call(method, args)
    failpoint(`${method}.after-reply`)
    return answer
  }

  #connected(): Promise<Link> {
    if (this.#isClosed) {
      return Promise.reject(new ForgeError('STORE_CLOSED', 'the store is closed; make a new one'))
    }
    if (this.#link === undefined) {
      const link = this.#connect()
      this.#link = link
      // A failed start is tried anew by the next call.
      link.catch(() => {
        if (this.#link === link) this.#link = undefined
      })
    }
    return this.#link
  }

  async #connect(): Promise<Link> {
    const link = await Link.open(makePool(this.#options.url), this.#options, this.#listeners)
    if (this.#topics.size > 0) link.listen()
    return link
  }

  #spread(topics: Iterable<Topic>): void {
    for (const topic of topics) for (const fn of this.#topics.get(topic) ?? []) fn(topic)
  }
}
