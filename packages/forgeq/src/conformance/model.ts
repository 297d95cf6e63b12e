// The reference store: the contract of the seam kept in memory, written to be read and compared with, not to be fast.
// Every other store must answer as it does. Its jobs are in model-jobs.ts, its workers in model-crew.ts.
import { ForgeError } from '../core/errors.ts'
import { type State, states } from '../core/states.ts'
import type {
  ActRequest,
  ActVerdict,
  BeatReply,
  Closed,
  Enqueued,
  ExchangeReply,
  ExchangeRequest,
  JobFilter,
  JobPage,
  JobRecord,
  LostJob,
  NewJob,
  Note,
  QueueRecord,
  Registration,
  Settlement,
  TypeRecord,
  Verdict,
  WorkerEnd,
  WorkerFacts,
  WorkerRecord,
} from '../store/records.ts'
import { charsOf, pageChars, type Migration, type Store, type StoreInfo, type Topic } from '../store/store.ts'
import { ModelCrew } from './model-crew.ts'
import { toRecord } from './model-job.ts'
import { ModelJobs } from './model-jobs.ts'

interface Listener {
  readonly topics: readonly Topic[]
  readonly fn: (topic: Topic) => void
}

export class Model implements Store {
  readonly #clock: () => number
  readonly #jobs: ModelJobs
  readonly #crew: ModelCrew
  readonly #listeners = new Set<Listener>()
  #latest = -Infinity
  #isClosed = false

  /** `clock` is the store's, in epoch milliseconds; the parts are exchanged to see that a wrong one is noticed. */
  constructor(clock: () => number, Jobs: typeof ModelJobs = ModelJobs, Crew: typeof ModelCrew = ModelCrew) {
    this.#clock = clock
    this.#jobs = new Jobs((topic) => this.#hint(topic))
    this.#crew = new Crew()
  }

  async open(): Promise<StoreInfo> {
    const now = this.now()
    return { kind: 'model', version: '1', now, durability: 'none', capabilities: ['notify'], problems: [] }
  }

  async migrate(): Promise<Migration> {
    this.now()
    return { version: 1, target: 1, steps: [] }
  }

  async close(): Promise<void> {
    this.#isClosed = true
  }

  async enqueue(jobs: readonly NewJob[], options: { readonly atomic: boolean }): Promise<readonly Enqueued[]> {
    return this.#jobs.enqueue(jobs, options.atomic, this.now())
  }

  async register(worker: Registration): Promise<{ readonly now: number }> {
    const now = this.now()
    this.#crew.register(worker, now)
    return { now }
  }

  async exchange(request: ExchangeRequest): Promise<ExchangeReply | Closed> {
    const now = this.now()
    const worker = this.#crew.open(request.worker)
    if (!worker) return { closed: true }
    if (request.turn < worker.turn) {
      throw new ForgeError('LEASE_LOST', `turn ${request.turn} is over: ${worker.turn} was answered; register anew`)
    }
    if (request.turn > worker.turn) {
      this.#jobs.checkFollowUps(request.worker, request.settlements)
      // Before the settlements: what a try said last belongs to it.
      for (const note of request.notes) this.#jobs.note(request.worker, note, now)
      const verdicts = request.settlements.map((settlement) =>
        this.#jobs.settle(request.worker, settlement, false, now),
      )
      const claimed = this.#jobs.handOut(request, worker.facts, now)
      worker.turn = request.turn
      worker.answer = { verdicts, claimed }
    }
    const orders = this.#jobs.orders(request.worker)
    const suspects = this.#jobs.leavesSuspects(request, worker.facts)
    return { closed: false, ...worker.answer, orders, suspects, more: false, nextDueAt: this.#jobs.nextDueAt(), now }
  }

  async beat(id: string, facts: WorkerFacts | null, notes: readonly Note[]): Promise<BeatReply | Closed> {
    const now = this.now()
    const worker = this.#crew.open(id)
    if (!worker) return { closed: true }
    this.#crew.beat(worker, facts, now)
    for (const note of notes) this.#jobs.note(id, note, now)
    return { closed: false, orders: [...this.#jobs.orders(id), ...this.#crew.resizes(worker)], now }
  }

  async leave(id: string, end?: WorkerEnd): Promise<void> {
    this.now()
    this.#crew.close(id, end)
  }

  async lost(limit: number): Promise<{ readonly jobs: readonly LostJob[]; readonly nextExpiryAt: number | null }> {
    const nextExpiryAt = this.#crew.closeExpired(this.now())
    const jobs = this.#jobs
      .all(() => true)
      .flatMap((job): LostJob[] => {
        const worker = this.#crew.closed(job.worker)
        if (!worker) return []
        const { id, type, claim, crashes, attempt, attemptBase, policy } = job
        const { facts, vitals, end } = worker
        const tries = { crashes, attempt, attemptBase, policy, startedAt: job.startedAt! }
        const process = { host: facts.host, pid: facts.pid, rssBytes: vitals?.rssBytes ?? null, end }
        return [{ job: id, type, claim, worker: facts.id, ...tries, ...process }]
      })
    return { jobs: jobs.slice(0, limit), nextExpiryAt }
  }

  async settle(settlements: readonly (Settlement & { readonly worker: string })[]): Promise<readonly Verdict[]> {
    const now = this.now()
    return settlements.map((settlement) =>
      this.#crew.closed(settlement.worker) ? this.#jobs.settle(settlement.worker, settlement, true, now) : 'lost',
    )
  }

  async promote(limit: number): Promise<{ readonly moved: number; readonly nextDueAt: number | null }> {
    const moved = this.#jobs.promote(limit, this.now())
    return { moved, nextDueAt: this.#jobs.nextDueAt() }
  }

  async prune(limit: number): Promise<{ readonly removed: number; readonly more: boolean }> {
    return this.#jobs.prune(limit, this.now())
  }

  async setWorker(id: string, settings: { readonly slots: number }): Promise<boolean> {
    this.now()
    this.#hint(`orders:${id}`)
    return this.#crew.resize(id, settings.slots)
  }

  async setQueue(queue: string, settings: { readonly paused: boolean }): Promise<void> {
    this.now()
    if (settings.paused) this.#jobs.paused.add(queue)
    else if (this.#jobs.paused.delete(queue)) this.#hint(`ready:${queue}`)
  }

  async queues(): Promise<readonly QueueRecord[]> {
    this.now()
    const { paused } = this.#jobs
    const names = new Set([...this.#jobs.all(() => true).map((job) => job.policy.queue), ...paused])
    return [...names].sort().map((queue) => {
      const jobs = this.#jobs.all((job) => job.policy.queue === queue)
      const ready = jobs.filter((job) => job.state === 'ready')
      const counts = states.map((state) => [state, jobs.filter((job) => job.state === state).length])
      return {
        queue,
        paused: paused.has(queue),
        counts: Object.fromEntries(counts) as Record<State, number>,
        oldestReadyAt: ready.length === 0 ? null : Math.min(...ready.map((job) => job.readyAt)),
      }
    })
  }

  async workers(): Promise<readonly WorkerRecord[]> {
    this.now()
    return this.#crew.records((id) => this.#jobs.heldBy(id))
  }

  async types(names?: readonly string[]): Promise<readonly TypeRecord[]> {
    this.now()
    return [...this.#crew.types.values()].filter(({ type }) => names?.includes(type) ?? true)
  }

  async jobs(ids: readonly string[], include: readonly ('attempts' | 'logs')[] = []): Promise<readonly JobRecord[]> {
    const now = this.now()
    return ids.flatMap((id) => this.#jobs.byId.get(id) ?? []).map((job) => toRecord(job, now, include))
  }

  /** Newest first; a page looks at `limit` jobs, so a filter makes it short, and large jobs make it shorter. */
  async find(filter: JobFilter, cursor: string | null, limit: number): Promise<JobPage> {
    const now = this.now()
    const rest = this.#jobs.all((job) => cursor === null || job.id < cursor).sort((a, b) => (a.id < b.id ? 1 : -1))
    const scanned: typeof rest = []
    let chars = 0
    for (const job of rest) {
      if (scanned.length === limit || chars >= pageChars) break
      scanned.push(job)
      chars += charsOf(job)
    }
    const found = scanned.filter(
      (job) =>
        (filter.state ?? job.state) === job.state &&
        (filter.type ?? job.type) === job.type &&
        (filter.queue ?? job.policy.queue) === job.policy.queue &&
        (filter.tag === undefined || job.tags.includes(filter.tag)),
    )
    return {
      jobs: found.map((job) => toRecord(job, now, [])),
      cursor: rest.length > scanned.length ? scanned.at(-1)!.id : null,
      scanned: scanned.length,
    }
  }

  async act(request: ActRequest): Promise<readonly ActVerdict[]> {
    const now = this.now()
    return request.ids.map((id) => this.#jobs.act(id, request, now))
  }

  listen(topics: readonly Topic[], fn: (topic: Topic) => void): () => void {
    const listener = { topics, fn }
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  /** The time of the store: it stands still while the clock goes back. */
  protected now(): number {
    if (this.#isClosed) throw new ForgeError('STORE_CLOSED', 'this store was closed; open a new one')
    return (this.#latest = Math.max(this.#latest, this.#clock()))
  }

  #hint(topic: Topic): void {
    for (const { topics, fn } of this.#listeners) if (topics.includes(topic)) queueMicrotask(() => fn(topic))
  }
}
