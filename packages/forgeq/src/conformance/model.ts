// The reference store: the contract of the seam kept in memory, written to be read and compared with, not to be fast.
// Every other store must answer as it does. Its jobs are in model-jobs.ts, limits in model-limits.ts, workers in model-crew.ts.
import { ForgeError } from '../core/errors.ts'
import type { QueueSettings } from '../core/limit.ts'
import { type State, states } from '../core/states.ts'
import type { ImagePage, Images, JobImage, Loaded, Trace } from '../store/moved.ts'
import type { QueueRecord } from '../store/queue-record.ts'
import type {
  ActRequest,
  ActVerdict,
  BeatReply,
  Closed,
  Enqueued,
  ExchangeReply,
  ExchangeRequest,
  Include,
  JobFilter,
  JobPage,
  JobRecord,
  LostJob,
  NewJob,
  Note,
  Registration,
  Settlement,
  TypeRecord,
  Verdict,
} from '../store/records.ts'
import type { WorkerEnd, WorkerFacts, WorkerRecord } from '../store/worker-record.ts'
import { charsOf, pageChars, type Migration, type Store, type StoreInfo, type Topic } from '../store/store.ts'
import { ModelCrew } from './model-crew.ts'
import { toRecord } from './model-job.ts'
import { ModelJobs } from './model-jobs.ts'
import type { Parts } from './model-places.ts'

interface Listener {
  readonly topics: readonly Topic[]
  readonly fn: (topic: Topic) => void
}

interface AllParts extends Parts {
  readonly Jobs: typeof ModelJobs
  readonly Crew: typeof ModelCrew
}

export class Model implements Store {
  readonly #clock: () => number
  readonly #jobs: ModelJobs
  readonly #crew: ModelCrew
  readonly #listeners = new Set<Listener>()
  #latest = -Infinity
  #isClosed = false

  /** `clock` is the store's, in epoch milliseconds; the parts are exchanged to see that a wrong one is noticed. */
  constructor(clock: () => number, { Jobs = ModelJobs, Crew = ModelCrew, ...parts }: Partial<AllParts> = {}) {
    this.#clock = clock
    this.#jobs = new Jobs((topic) => this.#hint(topic), parts)
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

  async drift(): Promise<readonly string[]> {
    this.now()
    return []
  }

  async close(): Promise<void> {
    this.#isClosed = true
  }

  async enqueue(jobs: readonly NewJob[], options: { readonly atomic: boolean }): Promise<readonly Enqueued[]> {
    const now = this.now()
    return this.#over(this.#jobs.enqueue(jobs, options.atomic, now), now)
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
      const verdicts = this.#settle(request, now)
      const claimed = this.#jobs.handOut(request, worker.facts, now)
      worker.turn = request.turn
      worker.answer = this.#over({ verdicts, claimed }, now)
    }
    const orders = this.#jobs.orders(request.worker)
    const suspects = this.#jobs.leavesSuspects(request, worker.facts, now)
    return { closed: false, ...worker.answer, orders, suspects, more: false, nextDueAt: this.#jobs.nextDueAt(), now }
  }

  /** All or none: a follow-up that is refused takes back what its call has done so far. */
  #settle({ worker, notes, settlements }: ExchangeRequest, now: number): readonly Verdict[] {
    const undo = this.#jobs.undo()
    try {
      // Before the settlements: what a try said last belongs to it.
      for (const note of notes) this.#jobs.note(worker, note, now)
      return settlements.map((settlement) => this.#jobs.settle(worker, settlement, false, now))
    } catch (error) {
      undo()
      throw error
    }
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
    const verdicts = settlements.map((settlement) =>
      this.#crew.closed(settlement.worker) ? this.#jobs.settle(settlement.worker, settlement, true, now) : 'lost',
    )
    return this.#over(verdicts, now)
  }

  async promote(limit: number): Promise<{ readonly moved: number; readonly nextDueAt: number | null }> {
    const now = this.now()
    const moved = this.#over(this.#jobs.promote(limit, now), now)
    return { moved, nextDueAt: this.#jobs.nextDueAt() }
  }

  async prune(limit: number): Promise<{ readonly removed: number; readonly more: boolean }> {
    const now = this.now()
    return this.#over(this.#jobs.prune(limit, now), now)
  }

  async setWorker(id: string, settings: { readonly slots: number }): Promise<boolean> {
    this.now()
    this.#hint(`orders:${id}`)
    return this.#crew.resize(id, settings.slots)
  }

  async setQueue(queue: string, settings: QueueSettings): Promise<void> {
    this.#jobs.setQueue(queue, settings, this.now())
  }

  async queues(): Promise<readonly QueueRecord[]> {
    const now = this.now()
    const { limits } = this.#jobs
    const names = new Set([...this.#jobs.all(() => true).map((job) => job.policy.queue), ...limits.names()])
    return [...names].sort().map((queue) => {
      const jobs = this.#jobs.all((job) => job.policy.queue === queue)
      const ready = jobs.filter((job) => job.state === 'ready')
      const counts = states.map((state) => [state, jobs.filter((job) => job.state === state).length])
      return {
        queue,
        ...limits.record(queue, now),
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

  async jobs(ids: readonly string[], include: readonly Include[] = []): Promise<readonly JobRecord[]> {
    const now = this.now()
    const { byId, lines } = this.#jobs
    return ids
      .flatMap((id) => byId.get(id) ?? [])
      .map((job) => toRecord(job, now, include, include.includes('line') ? lines.look(job, now) : undefined))
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
    const verdicts = request.ids.map((id) => this.#jobs.act(id, request, now))
    return this.#over(verdicts, now)
  }

  async dump(cursor: string | null, limit: number): Promise<ImagePage> {
    this.now()
    const jobs = this.#jobs.images().filter(({ arrival }) => arrival > Number(cursor ?? -1))
    const page: JobImage[] = []
    for (
      let chars = 0;
      page.length < Math.min(limit, jobs.length) && chars < pageChars;
      chars += page.at(-1)!.payload.length
    ) {
      page.push(jobs[page.length]!)
    }
    if (page.length < jobs.length) return { jobs: page, traces: [], cursor: String(page.at(-1)!.arrival) }
    const types = [...this.#crew.types.values()].map((record): Trace => ({ trace: 'type', record }))
    return { jobs: page, traces: [...types, ...this.#jobs.traces()], cursor: null }
  }

  async load({ jobs, traces }: Images): Promise<readonly Loaded[]> {
    this.now()
    for (const trace of traces) {
      if (trace.trace === 'type') this.#crew.types.set(trace.record.type, trace.record)
      else this.#jobs.loadTrace(trace)
    }
    return jobs.map((image) => this.#jobs.load(image))
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

  /** A call is over: what it changed of keys is put right. */
  #over<T>(answer: T, now: number): T {
    this.#jobs.lines.endCall(now)
    return answer
  }

  #hint(topic: Topic): void {
    for (const { topics, fn } of this.#listeners) if (topics.includes(topic)) queueMicrotask(() => fn(topic))
  }
}
