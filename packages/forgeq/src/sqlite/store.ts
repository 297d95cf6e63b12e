// The store on one SQLite file: opens it when first needed, passes every call to the engine, spreads its hints.
import { existsSync } from 'node:fs'
import { CallingStore, type Answer } from '../store/calling-store.ts'
import type { ManualClock } from '../store/clock.ts'
import type * as records from '../store/records.ts'
import type { Migration, Store, Topic } from '../store/store.ts'
import type { WorkerEnd } from '../store/worker-record.ts'
import { planFrom } from './checks.ts'
import type { HostOptions } from './host.ts'
import { Inline } from './inline.ts'
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

export class SqliteStore extends CallingStore<Link> {
  readonly #options: HostOptions & { readonly inline: boolean }
  /** Workers to beat for, with their leases: a thread that is started anew goes on with them. */
  readonly #kept = new Map<string, number>()
  /** Has been told of every listener. */
  #told: Link | undefined
  #inline: Inline | undefined

  constructor(path: string, options: SqliteOptions) {
    super()
    this.#options = {
      path,
      durability: options.durability ?? 'full',
      allowUnsafe: options.allowUnsafe ?? process.env['FORGEQ_ALLOW_VOLATILE'] === '1',
      clock: options.clock?.memory ?? null,
      inline: options.inline ?? false,
    }
  }

  async migrate(mode: 'plan' | 'apply'): Promise<Migration> {
    // Opening would make the file.
    if (mode === 'plan' && this.#isNowhere()) return planFrom(0)
    return this.#beside((link) => link.migrate(mode))
  }

  async drift(): Promise<readonly string[]> {
    return this.#isNowhere() ? [] : this.#beside((link) => link.drift())
  }

  #isNowhere(): boolean {
    return this.#options.path !== ':memory:' && !existsSync(this.#options.path)
  }

  /** On a link of its own: an open store has a schema that is as it should be, or none. */
  async #beside<T>(work: (link: Link) => Promise<T>): Promise<T> {
    // What is in memory is made with the newest schema, and nowhere else.
    if (this.#options.path === ':memory:') return work(await this.connected())
    const link = await Remote.open(
      this.#options,
      'none',
      () => {},
      () => {},
    )
    try {
      return await work(link)
    } finally {
      await link.close()
    }
  }

  override async register(worker: records.Registration): Promise<Answer<'register'>> {
    const answer = await super.register(worker)
    if (worker.keepAlive) {
      this.#kept.set(worker.id, worker.leaseMs)
      this.#told?.keepAlive(worker.id, worker.leaseMs)
    }
    return answer
  }

  override leave(worker: string, end?: WorkerEnd): Promise<void> {
    this.#kept.delete(worker)
    this.#told?.letGo(worker)
    return super.leave(worker, end)
  }

  /** Reads without waiting; only an inline store can. `undefined` before it is open. */
  readNow(...[method, ...args]: ['find', ...Parameters<Store['find']>]): Answer<'find'> | undefined {
    return this.#inline?.callNow(method, args) as Answer<'find'> | undefined
  }

  // Opening takes all listeners along.
  protected override listened(topics: readonly Topic[]): void {
    this.#told?.listen(topics)
  }

  protected override unlistened(topics: readonly Topic[]): void {
    this.#told?.unlisten(topics)
  }

  protected override disconnected(): void {
    this.#told = undefined
  }

  protected override async connect(lost: () => void): Promise<Link> {
    const hint = (topics: readonly Topic[]): void => this.spread(topics)
    if (this.#options.inline) this.#inline = new Inline(this.#options, 'schema', hint)
    const link = this.#inline ?? (await Remote.open(this.#options, 'schema', hint, lost))
    const topics = this.topics()
    if (topics.length > 0) link.listen(topics)
    for (const [worker, leaseMs] of this.#kept) link.keepAlive(worker, leaseMs)
    this.#told = link
    return link
  }
}
