// What cases are told with: jobs and workers with sensible values, and short ways to ask the store.
import assert from 'node:assert/strict'
import { idSource } from '../core/id.ts'
import type { Action } from '../core/states.ts'
import type { QueueSettings } from '../core/limit.ts'
import type { KeyLine, QueueRecord } from '../store/queue-record.ts'
import type {
  ActVerdict,
  Enqueued,
  JobFilter,
  JobRecord,
  LostJob,
  NewJob,
  NewUnique,
  Registration,
  Settlement,
  StoredPolicy,
  Verdict,
} from '../store/records.ts'
import type { Store } from '../store/store.ts'
import type { CaseTools } from './case.ts'
import { crash } from './endings.ts'
import { ScriptedWorker } from './scripted-worker.ts'

/** A job to enqueue; what is left out gets a sensible value. The policy's members stand beside the job's. */
export type JobOptions = Partial<Omit<NewJob, 'policy' | 'unique'> & StoredPolicy> & {
  /** A key alone is held until its job has ended, and keeps its holder. */
  readonly unique?: string | NewUnique
}

type WorkerOptions = Partial<Omit<Registration, 'types'>> & { readonly types?: readonly string[] }

export const leaseMs = 15_000

export const policy: StoredPolicy = {
  queue: 'default',
  priority: 5,
  maxAttempts: 6,
  timeoutMs: 300_000,
  backoff: { type: 'fixed', delayMs: 1000, jitter: false },
  keepResultMs: 3_600_000,
  delivery: 'at-least-once',
}

/** Of a job that is next in the line of its key, with nothing to wait for there. */
export const freeLine: KeyLine = { isNext: true, running: 0, heldUntil: null, rateOpensAt: null, turnOf: null }

const untilDone = (key: string): NewUnique => ({ key, until: 'done', onConflict: 'keep' })

export class Scene {
  readonly store: Store
  readonly #tools: CaseTools
  readonly #nextId: () => string
  #workers = 0

  constructor(tools: CaseTools) {
    this.store = tools.store
    this.#tools = tools
    this.#nextId = idSource(
      () => tools.now(),
      (bytes) => void crypto.getRandomValues(bytes),
    )
  }

  now(): number {
    return this.#tools.now()
  }

  advance(ms: number): Promise<void> {
    return this.#tools.advance(ms)
  }

  /** A job of type `work` in queue `default`, level 5, unless told otherwise. */
  newJob(options: JobOptions = {}): NewJob {
    const {
      queue = policy.queue,
      priority = policy.priority,
      maxAttempts = policy.maxAttempts,
      timeoutMs = policy.timeoutMs,
      backoff = policy.backoff,
      keepResultMs = policy.keepResultMs,
      delivery = policy.delivery,
      unique,
      ...job
    } = options
    return {
      id: this.#nextId(),
      type: 'work',
      payload: '{}',
      ...job,
      ...(unique !== undefined && { unique: typeof unique === 'string' ? untilDone(unique) : unique }),
      policy: { queue, priority, maxAttempts, timeoutMs, backoff, keepResultMs, delivery },
    }
  }

  /** Enqueues one job that must be new; answers its id. */
  async add(options: JobOptions = {}): Promise<string> {
    const [id] = await this.addMany(1, options)
    return id!
  }

  /** Enqueues jobs in one call; answers their ids in order. */
  async addMany(count: number, options: JobOptions = {}): Promise<readonly string[]> {
    const jobs = Array.from({ length: count }, () => this.newJob(options))
    const answers = await this.store.enqueue(jobs, { atomic: false })
    assert.deepEqual(
      answers,
      jobs.map(({ id }) => ({ id, duplicate: false })),
    )
    return jobs.map(({ id }) => id)
  }

  /** Registers a worker that handles type `work` in queue `default`, with a lease of 15 s. */
  async worker(options: WorkerOptions = {}): Promise<ScriptedWorker> {
    const { types = ['work'], ...facts } = options
    const registration: Registration = {
      id: `worker-${++this.#workers}`,
      host: 'host',
      pid: 1,
      pidSpace: null,
      version: '1.0.0',
      queues: ['default'],
      slots: 100,
      leaseMs,
      keepAlive: false,
      ...facts,
      types: types.map((type) => ({ type, policy, inputSchema: null })),
    }
    await this.store.register(registration)
    return new ScriptedWorker(this.store, registration.id)
  }

  /** Enqueues one job, whatever comes of it. */
  async enqueue(options: JobOptions = {}): Promise<Enqueued> {
    return this.send(this.newJob(options))
  }

  /** Sends one job as it is. */
  async send(job: NewJob): Promise<Enqueued> {
    const [answer] = await this.store.enqueue([job], { atomic: false })
    assert.ok(answer)
    return answer
  }

  async job(id: string): Promise<JobRecord> {
    const [job] = await this.store.jobs([id], ['attempts', 'logs'])
    assert.ok(job, `job ${id} is not in the store`)
    return job
  }

  async exists(id: string): Promise<boolean> {
    return (await this.store.jobs([id])).length === 1
  }

  async queue(name = 'default'): Promise<QueueRecord> {
    const queue = (await this.store.queues()).find((record) => record.queue === name)
    assert.ok(queue, `queue ${name} is not listed`)
    return queue
  }

  limit(settings: QueueSettings, queue = 'default'): Promise<void> {
    return this.store.setQueue(queue, settings)
  }

  /** Promotes until nothing is due; answers when something is due next. */
  async promote(): Promise<number | null> {
    for (let i = 0; i < 20; i++) {
      const { nextDueAt } = await this.store.promote(1000)
      if (nextDueAt === null || nextDueAt > this.now()) return nextDueAt
    }
    return assert.fail('promote always has more to do')
  }

  /** What a ready job with a key waits for; `undefined` when it is not in the line of its key. */
  async line(id: string): Promise<KeyLine | undefined> {
    const [job] = await this.store.jobs([id], ['line'])
    assert.ok(job, `job ${id} is not in the store`)
    return job.line
  }

  /** Acts on one job. */
  async act(action: Action, id: string): Promise<ActVerdict> {
    const [verdict] = await this.store.act({ action, ids: [id] })
    assert.ok(verdict)
    return verdict
  }

  /** Settles what closed workers left behind, as crashed unless told otherwise. */
  async rescue(decide: (lost: LostJob) => Settlement = (lost) => crash(lost)): Promise<readonly Verdict[]> {
    const { jobs } = await this.store.lost(1000)
    return this.store.settle(jobs.map((lost) => ({ ...decide(lost), worker: lost.worker })))
  }

  /** Every job that the filter finds, over all pages, each page at most `limit` long. */
  async findAll(filter: JobFilter, limit: number): Promise<readonly JobRecord[]> {
    const found: JobRecord[] = []
    let cursor: string | null = null
    do {
      const page = await this.store.find(filter, cursor, limit)
      assert.ok(page.jobs.length <= limit, 'a page is longer than its limit')
      found.push(...page.jobs)
      cursor = page.cursor
    } while (cursor !== null)
    return found
  }
}
