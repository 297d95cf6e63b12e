// The store in a PostgreSQL database: opens it when first needed, passes every call on, spreads its hints.
import { CallingStore, type Answer } from '../store/calling-store.ts'
import type * as records from '../store/records.ts'
import type { Migration, Topic } from '../store/store.ts'
import type { WorkerEnd, WorkerFacts } from '../store/worker-record.ts'
import type { Pool } from './client.ts'
import { findDrift } from './drift.ts'
import { explainFailure } from './failures.ts'
import { KeepAlive } from './keep-alive.ts'
import { Link, type LinkOptions, type Listeners } from './link.ts'
import { migrate, type Place } from './migrate.ts'
import { reach, type Way } from './reach.ts'
import { migrations, type Step } from './schema.ts'
import { Statements } from './statements.ts'

export interface PostgresOptions {
  /** Where the tables are. Default `forgeq`. */
  readonly schema?: string
  /** Goes on with a server that has fsync or full_page_writes off. Default FORGEQ_ALLOW_VOLATILE=1. */
  readonly allowUnsafe?: boolean
}

export class PostgresStore extends CallingStore<Link> {
  readonly #options: LinkOptions
  readonly #listeners: Listeners = {
    has: (topic) => this.hears(topic),
    all: () => new Set(this.topics()),
    spread: (topics) => this.spread(topics),
  }
  readonly #keepAlive: KeepAlive
  #link: Link | undefined

  /** For tests `steps`, those that other versions of the code know, and how often they look for newer ones. */
  constructor(url: string, options: PostgresOptions, steps: readonly Step[] = migrations, versionMs: number = 30_000) {
    super()
    this.#options = {
      url,
      schema: options.schema ?? 'forgeq',
      allowUnsafe: options.allowUnsafe ?? process.env['FORGEQ_ALLOW_VOLATILE'] === '1',
      steps,
      versionMs,
    }
    const { schema, allowUnsafe } = this.#options
    this.#keepAlive = new KeepAlive({ url, schema, allowUnsafe })
  }

  migrate(mode: 'plan' | 'apply'): Promise<Migration> {
    // Who asks whether it is ready asks often.
    if (mode === 'plan' && this.#link !== undefined) return this.#link.plan()
    return this.#beside((pool, place) => migrate(pool, place, mode))
  }

  drift(): Promise<readonly string[]> {
    return this.#beside(findDrift)
  }

  /** Over connections of its own: an open store has a schema that is as it should be, or none. */
  async #beside<T>(work: (pool: Pool, place: Place) => Promise<T>): Promise<T> {
    const { url, schema, steps } = this.#options
    let way: Way | undefined
    try {
      way = await reach(url)
      return await work(way.pool, { statements: new Statements(schema, way.isPooled), schema, steps })
    } catch (error) {
      throw explainFailure(error)
    } finally {
      await way?.pool.end()
    }
  }

  override async register(worker: records.Registration): Promise<Answer<'register'>> {
    const answer = await super.register(worker)
    if (worker.keepAlive) this.#keepAlive.keep(worker.id, worker.leaseMs)
    return answer
  }

  override async beat(
    worker: string,
    facts: WorkerFacts | null,
    notes: readonly records.Note[],
  ): Promise<Answer<'beat'>> {
    const answer = await super.beat(worker, facts, notes)
    this.#keepAlive.beaten(worker)
    return answer
  }

  override leave(worker: string, end?: WorkerEnd): Promise<void> {
    this.#keepAlive.drop(worker)
    return super.leave(worker, end)
  }

  // Opening listens for those who came before.
  protected override listened(topics: readonly Topic[]): void {
    this.#link?.listen(topics)
  }

  protected override disconnected(): void {
    this.#link = undefined
  }

  protected override closing(): Promise<void> {
    return this.#keepAlive.close()
  }

  protected override async connect(): Promise<Link> {
    const link = await Link.open(this.#options, this.#listeners, () => this.making())
    const topics = this.topics()
    if (topics.length > 0) link.listen(topics)
    this.#link = link
    return link
  }
}
