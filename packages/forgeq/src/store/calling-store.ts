// A store whose calls are answered elsewhere, in a thread or by a server: opens its link when first needed and anew when it
// was lost, passes every call on, spreads hints to those who listen.
import { ForgeError } from '../core/errors.ts'
import type { QueueSettings } from '../core/limit.ts'
import { failpoint } from './failpoint.ts'
import type { Images } from './moved.ts'
import type * as records from './records.ts'
import type { EnqueueHow, Migration, Store, StoreInfo, Topic } from './store.ts'
import type { WorkerEnd, WorkerFacts } from './worker-record.ts'

export type Calls = Omit<Store, 'open' | 'migrate' | 'drift' | 'close' | 'listen'>
export type Method = keyof Calls
export type Answer<M extends Method> = Awaited<ReturnType<Calls[M]>>

/** To where the calls are answered. */
export interface StoreLink {
  tell(): Promise<StoreInfo>
  call(method: Method, args: readonly unknown[]): Promise<unknown>
  close(): Promise<void>
}

export abstract class CallingStore<L extends StoreLink> implements Store {
  readonly #listeners = new Map<Topic, Set<(topic: Topic) => void>>()
  #link: Promise<L> | undefined
  #isClosed = false
  #isMaking = false
  readonly #whenMaking = new Set<() => void>()

  /** Opens a link that hears of `topics()`. `lost` is called when it ends by itself. */
  protected abstract connect(lost: () => void): Promise<L>
  abstract migrate(mode: 'plan' | 'apply'): Promise<Migration>
  abstract drift(): Promise<readonly string[]>

  /** Somebody listens who did not before. */
  protected abstract listened(topics: readonly Topic[]): void
  protected unlistened(_topics: readonly Topic[]): void {}
  /** The link is of no use any more. */
  protected disconnected(): void {}
  /** Ends what goes on beside the link. */
  protected closing(): Promise<void> {
    return Promise.resolve()
  }

  async open(making?: () => void): Promise<StoreInfo> {
    const link = this.connected()
    if (making !== undefined) this.#whenMaking.add(making)
    if (this.#isMaking) making?.()
    try {
      return await (await link).tell()
    } finally {
      if (making !== undefined) this.#whenMaking.delete(making)
    }
  }

  /** The link that is being opened makes the schema. */
  protected making(): void {
    this.#isMaking = true
    for (const fn of this.#whenMaking) fn()
  }

  async close(): Promise<void> {
    this.#isClosed = true
    const link = this.#link
    this.#forget(link)
    await this.closing()
    // A store that never opened has nothing to close.
    await (await link?.catch(() => undefined))?.close()
  }

  enqueue(jobs: readonly records.NewJob[], options: EnqueueHow): Promise<Answer<'enqueue'>> {
    return this.#call('enqueue', jobs, options)
  }

  register(worker: records.Registration): Promise<Answer<'register'>> {
    return this.#call('register', worker)
  }

  exchange(request: records.ExchangeRequest): Promise<Answer<'exchange'>> {
    return this.#call('exchange', request)
  }

  beat(worker: string, facts: WorkerFacts | null, notes: readonly records.Note[]): Promise<Answer<'beat'>> {
    return this.#call('beat', worker, facts, notes)
  }

  leave(worker: string, end?: WorkerEnd): Promise<void> {
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

  dump(cursor: string | null, limit: number): Promise<Answer<'dump'>> {
    return this.#call('dump', cursor, limit)
  }

  load(images: Images): Promise<Answer<'load'>> {
    return this.#call('load', images)
  }

  listen(topics: readonly Topic[], fn: (topic: Topic) => void): () => void {
    for (const topic of topics) {
      const fns = this.#listeners.get(topic)
      if (fns === undefined) this.#listeners.set(topic, new Set([fn]))
      else fns.add(fn)
    }
    this.listened(topics)
    let isOver = false
    return () => {
      if (isOver) return
      isOver = true
      for (const topic of topics) {
        const fns = this.#listeners.get(topic)
        fns?.delete(fn)
        if (fns?.size === 0) this.#listeners.delete(topic)
      }
      this.unlistened(topics)
    }
  }

  /** Each topic as often as somebody listens to it. */
  protected topics(): Topic[] {
    return [...this.#listeners].flatMap(([topic, fns]) => Array.from(fns, () => topic))
  }

  protected hears(topic: Topic): boolean {
    return this.#listeners.has(topic)
  }

  protected spread(topics: Iterable<Topic>): void {
    for (const topic of topics) for (const fn of this.#listeners.get(topic) ?? []) fn(topic)
  }

  protected connected(): Promise<L> {
    if (this.#isClosed) {
      return Promise.reject(new ForgeError('STORE_CLOSED', 'the store is closed; make a new one'))
    }
    if (this.#link === undefined) {
      this.#isMaking = false
      const link: Promise<L> = this.connect(() => this.#forget(link))
      this.#link = link
      // A failed start is tried anew by the next call.
      link.then(
        () => (this.#isMaking = false),
        () => this.#forget(link),
      )
    }
    return this.#link
  }

  #forget(link: Promise<L> | undefined): void {
    if (this.#link !== link) return
    this.#link = undefined
    this.disconnected()
  }

  async #call<M extends Method>(method: M, ...args: unknown[]): Promise<Answer<M>> {
    const link = await this.connected()
    failpoint(`${method}.before-send`)
    const answer = await link.call(method, args)
    failpoint(`${method}.after-reply`)
    return answer as Answer<M>
  }
}
