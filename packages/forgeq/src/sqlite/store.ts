// The store on one SQLite file: opens it when first needed, passes every call to the engine, spreads its hints.
import { existsSync } from 'node:fs'
import { ForgeError } from '../core/errors.ts'
import type { ManualClock } from '../store/clock.ts'
import { failpoint } from '../store/failpoint.ts'
import type * as records from '../store/records.ts'
import type { Migration, Store, StoreInfo, Topic } from '../store/store.ts'
import type { WorkerEnd, WorkerFacts } from '../store/worker-record.ts'
import { planFrom } from './checks.ts'
import type { HostOptions } from './host.ts'
import { Inline } from './inline.ts'
import type { Answer, Method } from './operations.ts'
import { Remote, type Link } from './remote.ts'

export interface SqliteOptions {
  /** `full` (default): what is acknowledged survives power loss. `relaxed`: faster, power loss may take back the last commits. */
  readonly durability?: 'full' | 'relaxed'
  /** Goes on where data is at risk: a network file system, an SQLite with known corruption bugs. Default FORGEQ_ALLOW_VOLATILE=1. */
  readonly allowUnsafe?: boolean
  /** For tests: time that stands still until it is moved. */
  readonly clock?: ManualClock
  /** For tests: runs in the calling thread. Default: in a thread of its own. */
  readonly inline?: boolean
}

export class SqliteStore implements Store {
  readonly #options: HostOptions & { readonly inline: boolean }
  readonly #listeners = new Map<Topic, Set<(topic: Topic) => void>>()
  /** Workers to beat for, with their leases: a thread that is started anew goes on with them. */
  readonly #kept = new Map<string, number>()
  #link: Promise<Link> | undefined
  /** Has been told of every listener. */
  #told: Link | undefined
  #inline: Inline | undefined
  #isClosed = false

  constructor(path: string, options: SqliteOptions) {
    this.#options = {
      path,
      durability: options.durability ?? 'full',
      allowUnsafe: options.allowUnsafe ?? process.env['FORGEQ_ALLOW_VOLATILE'] === '1',
      clock: options.clock?.memory ?? null,
      inline: options.inline ?? false,
    }
  }

  async open(): Promise<StoreInfo> {
    return (await this.#connected()).tell()
  }

  async migrate(mode: 'plan' | 'apply'): Promise<Migration> {
    // What is in memory is made with the newest schema.
    if (this.#options.path === ':memory:') return (await this.#connected()).migrate(mode)
    // Opening would make the file.
    if (mode === 'plan' && !existsSync(this.#options.path)) return planFrom(0)
    const link = await Remote.open(
      this.#options,
      'none',
      () => {},
      () => {},
    )
    try {
      return await link.migrate(mode)
    } finally {
      await link.close()
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true
    const link = this.#link
    this.#link = undefined
    this.#told = undefined
    // A store that never opened has nothing to close.
    await (await link?.catch(() => undefined))?.close()
  }

  enqueue(jobs: readonly records.NewJob[], options: { readonly atomic: boolean }): Promise<Answer<'enqueue'>> {
    return this.#call('enqueue', jobs, options)
  }

  async register(worker: records.Registration): Promise<Answer<'register'>> {
    const answer = await this.#call('register', worker)
    if (worker.keepAlive) {
      this.#kept.set(worker.id, worker.leaseMs)
      this.#told?.keepAlive(worker.id, worker.leaseMs)
    }
    return answer
  }

  exchange(request: records.ExchangeRequest): Promise<Answer<'exchange'>> {
    return this.#call('exchange', request)
  }

  beat(worker: string, facts: WorkerFacts | null, notes: readonly records.Note[]): Promise<Answer<'beat'>> {
    return this.#call('beat', worker, facts, notes)
  }

  leave(worker: string, end?: WorkerEnd): Promise<void> {
    this.#kept.delete(worker)
    this.#told?.letGo(worker)
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

  setQueue(queue: string, settings: { readonly paused: boolean }): Promise<void> {
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

  jobs(ids: readonly string[], include?: readonly ('attempts' | 'logs')[]): Promise<Answer<'jobs'>> {
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
      const fns = this.#listeners.get(topic)
      if (fns === undefined) this.#listeners.set(topic, new Set([fn]))
      else fns.add(fn)
    }
    // Opening takes all listeners along.
    this.#told?.listen(topics)
    let isOver = false
    return () => {
      if (isOver) return
      isOver = true
      for (const topic of topics) {
        const fns = this.#listeners.get(topic)
        fns?.delete(fn)
        if (fns?.size === 0) this.#listeners.delete(topic)
      }
      this.#told?.unlisten(topics)
    }
  }

  /** Reads without waiting; only an inline store can. `undefined` before it is open. */
  readNow(...[method, ...args]: ['find', ...Parameters<Store['find']>]): Answer<'find'> | undefined {
    return this.#inline?.callNow(method, args) as Answer<'find'> | undefined
  }

  async #call<M extends Method>(method: M, ...args: unknown[]): Promise<Answer<M>> {
    const link = await this.#connected()
    failpoint(`${method}.before-send`)
    const answer = await link.call(method, args)
    failpoint(`${method}.after-reply`)
    return answer as Answer<M>
  }

  #connected(): Promise<Link> {
    if (this.#isClosed) {
      return Promise.reject(new ForgeError('STORE_CLOSED', 'the store is closed; make a new one'))
    }
    if (this.#link === undefined) {
      const link: Promise<Link> = this.#connect(() => this.#forget(link))
      this.#link = link
      // A failed start is tried anew by the next call.
      link.catch(() => this.#forget(link))
    }
    return this.#link
  }

  async #connect(lost: () => void): Promise<Link> {
    const hint = (topics: readonly Topic[]): void => this.#spread(topics)
    if (this.#options.inline) this.#inline = new Inline(this.#options, 'schema', hint)
    const link = this.#inline ?? (await Remote.open(this.#options, 'schema', hint, lost))
    const topics = [...this.#listeners].flatMap(([topic, fns]) => Array.from(fns, () => topic))
    if (topics.length > 0) link.listen(topics)
    for (const [worker, leaseMs] of this.#kept) link.keepAlive(worker, leaseMs)
    this.#told = link
    return link
  }

  #forget(link: Promise<Link> | undefined): void {
    if (this.#link !== link) return
    this.#link = undefined
    this.#told = undefined
  }

  #spread(topics: readonly Topic[]): void {
    for (const topic of topics) {
      for (const fn of this.#listeners.get(topic) ?? []) fn(topic)
    }
  }
}
