// What operators do and see: looks at jobs, queues, workers and types, acts on jobs and queues. The command line and the
// HTTP API are built on it.
import { caps } from './core/caps.ts'
import { toMs, type Duration } from './core/duration.ts'
import { ForgeError, invalidOption } from './core/errors.ts'
import { checkJson, encodeJson } from './core/json.ts'
import { readLimits, type Limits } from './core/limit-text.ts'
import { checkName } from './core/name.ts'
import { explainWait, type Explanation } from './core/why.ts'
import type { State } from './core/states.ts'
import type { EndedJobs } from './await-results.ts'
import type {
  ActRequest,
  ActVerdict,
  AttemptRecord,
  Failure,
  JobFilter,
  JobRecord,
  LogRecord,
  Progress,
  TypeRecord,
  Unique,
} from './store/records.ts'
import { findQueue } from './store/queue-record.ts'
import type { WorkerRecord } from './store/worker-record.ts'
import { viewOfQueue, type QueueView } from './queue-view.ts'
import { batchLimit, type Store } from './store/store.ts'
import { checkSlots } from './worker/options.ts'

/** One claim of a job that has ended. */
export interface AttemptView extends Omit<AttemptRecord, 'startedAt' | 'endedAt' | 'error'> {
  readonly startedAt: Date
  readonly endedAt: Date
  readonly error?: Failure
}

/** A line that a handler logged. */
export interface LogView extends Omit<LogRecord, 'at'> {
  readonly at: Date
}

/** A job as operators see it. */
export interface JobView {
  readonly id: string
  readonly type: string
  readonly queue: string
  /** 0 runs first. */
  readonly priority: number
  readonly state: State
  /** Failures and timeouts so far plus one. */
  readonly attempt: number
  readonly maxAttempts: number
  readonly crashes: number
  readonly payload: unknown
  /** The same as it was stored: large numbers keep their digits. */
  readonly payloadJson: string
  readonly result?: unknown
  readonly resultJson?: string
  /** Of the last try that failed. */
  readonly error?: Failure
  /** Why it is dead or cancelled. */
  readonly reason?: string
  readonly progress?: Progress
  readonly createdAt: Date
  readonly runAt: Date
  readonly startedAt?: Date
  readonly finishedAt?: Date
  readonly expireAt?: Date
  readonly worker?: string
  readonly cancelRequested: boolean
  readonly tags: readonly string[]
  readonly unique?: Unique
  readonly key?: string
  /** Where asked for: the last 20 claims, oldest first. */
  readonly attempts?: readonly AttemptView[]
  /** Where asked for. */
  readonly logs?: readonly LogView[]
}

/** A page of jobs; it may be short while `cursor` is there: the search is bounded, and a page ends at 8 MiB of payloads. */
export interface JobViews {
  readonly jobs: readonly JobView[]
  readonly cursor?: string
}

/** One of the two, or none. */
export interface NewPayload {
  readonly payload?: unknown
  /** The same as JSON text: large numbers keep their digits. */
  readonly payloadJson?: string
}

const pageLimit = 100

export class Admin {
  readonly #store: Store
  readonly #ended: EndedJobs

  constructor(store: Store, ended: EndedJobs) {
    this.#store = store
    this.#ended = ended
  }

  /**
   * A page of jobs: ready ones by queue and in the order they are claimed in (of each key the next one, its others behind),
   * scheduled ones as they are due, all others newest first. `limit`: 1 to 1000, default 100, INVALID_OPTION beyond.
   */
  async jobs(
    filter: JobFilter = {},
    page: { readonly limit?: number; readonly cursor?: string } = {},
  ): Promise<JobViews> {
    const { limit = pageLimit } = page
    if (!Number.isInteger(limit) || limit < 1 || limit > batchLimit) {
      throw invalidOption('limit', `must be a whole number from 1 to ${batchLimit}`)
    }
    const { jobs, cursor } = await this.#store.find(filter, page.cursor ?? null, limit)
    return { jobs: jobs.map(viewOf), ...(cursor !== null && { cursor }) }
  }

  /** `undefined` when the id is not known. */
  async job(id: string, include: readonly ('attempts' | 'logs')[] = []): Promise<JobView | undefined> {
    const [job] = await this.#store.jobs([id], include)
    return job && viewOf(job)
  }

  /** The job once it ended, `undefined` when the id is not known; TIMEOUT after `timeout` (default: never). */
  async wait(id: string, options: { readonly timeout?: Duration } = {}): Promise<JobView | undefined> {
    const timeoutMs = options.timeout === undefined ? undefined : toMs(options.timeout, 'timeout')
    const job = await this.#ended.wait(id, timeoutMs)
    return job && viewOf(job)
  }

  /** Why the job is where it is and what to do about it; `undefined` when the id is not known. */
  async why(id: string): Promise<Explanation | undefined> {
    const [job] = await this.#store.jobs([id], ['line'])
    if (job === undefined) return undefined
    const [queues, workers, { now }] = await Promise.all([
      this.#store.queues(),
      this.#store.workers(),
      this.#store.open(),
    ])
    const queue = queues.find((record) => record.queue === job.policy.queue)
    return explainWait(job, queue, workers, now)
  }

  /**
   * Ended jobs are ready again with a fresh set of tries, with another payload where one is given: as a value or as JSON
   * text, which is stored as it is. No schema looks at it before the job runs. INVALID_JSON and TOO_LARGE touch no job.
   */
  async retry(ids: readonly string[], options: NewPayload = {}): Promise<readonly ActVerdict[]> {
    const payload = readPayload(options)
    return this.#act(ids, (some) => ({ action: 'retry', ids: some, ...(payload !== undefined && { payload }) }))
  }

  /** Pending jobs end cancelled at once, running ones when their handler has reacted. */
  cancel(ids: readonly string[]): Promise<readonly ActVerdict[]> {
    return this.#act(ids, (some) => ({ action: 'cancel', ids: some }))
  }

  /** Deletes jobs that do not run. */
  remove(ids: readonly string[]): Promise<readonly ActVerdict[]> {
    return this.#act(ids, (some) => ({ action: 'delete', ids: some }))
  }

  /** Scheduled jobs are ready at once. */
  promote(ids: readonly string[]): Promise<readonly ActVerdict[]> {
    return this.#act(ids, (some) => ({ action: 'promote', ids: some }))
  }

  /** Nothing is claimed from the queue until it is resumed; what runs goes on. */
  async pause(queue: string): Promise<void> {
    await this.#store.setQueue(queue, { paused: true })
  }

  async resume(queue: string): Promise<void> {
    await this.#store.setQueue(queue, { paused: false })
  }

  /**
   * Limits a queue, at once and for all workers; it may be one that has had no job yet. INVALID_OPTION names the limit that
   * is out of range.
   */
  async limit(queue: string, limits: Limits): Promise<void> {
    checkName(queue, 'queue')
    await this.#store.setQueue(queue, readLimits(limits))
  }

  /** `undefined` when it has never had a job or a setting. */
  async queue(name: string): Promise<QueueView | undefined> {
    const record = await findQueue(this.#store, name)
    return record && viewOfQueue(record)
  }

  async queues(): Promise<readonly QueueView[]> {
    return (await this.#store.queues()).map(viewOfQueue)
  }

  workers(): Promise<readonly WorkerRecord[]> {
    return this.#store.workers()
  }

  /**
   * Has a worker run so many jobs at a time from now on, 1 to 10000; what runs beyond that may end. Queues with fewer slots
   * of their own keep them. NOT_FOUND when it is not there; STATE_CONFLICT for a supervisor, which runs no jobs.
   */
  async resizeWorker(id: string, slots: number): Promise<void> {
    checkSlots(slots, 'slots')
    const record = (await this.#store.workers()).find((worker) => worker.id === id)
    if (record?.slots === 0) {
      throw new ForgeError('STATE_CONFLICT', `${id} is a supervisor, which runs no jobs: resize one of its processes`)
    }
    if (record === undefined || !(await this.#store.setWorker(id, { slots }))) {
      throw new ForgeError('NOT_FOUND', `there is no worker ${id.slice(0, 200)}: \`forgeq workers ls\` lists them`)
    }
  }

  /** What workers announced about the types they handle. */
  types(): Promise<readonly TypeRecord[]> {
    return this.#store.types()
  }

  async #act(ids: readonly string[], request: (some: readonly string[]) => ActRequest): Promise<readonly ActVerdict[]> {
    const verdicts: ActVerdict[] = []
    for (let start = 0; start < ids.length; start += batchLimit) {
      verdicts.push(...(await this.#store.act(request(ids.slice(start, start + batchLimit)))))
    }
    return verdicts
  }
}

function readPayload({ payload, payloadJson }: NewPayload): string | undefined {
  if (payloadJson === undefined) {
    return payload === undefined ? undefined : encodeJson(payload, 'payload', caps.payloadBytes)
  }
  if (payload !== undefined) throw invalidOption('payload', 'is given twice: as a value and as payloadJson')
  checkJson(payloadJson, 'payload', caps.payloadBytes)
  return payloadJson
}

const viewOf = (job: JobRecord): JobView => ({
  id: job.id,
  type: job.type,
  queue: job.policy.queue,
  priority: job.policy.priority,
  state: job.state,
  attempt: job.attempt,
  maxAttempts: job.policy.maxAttempts,
  crashes: job.crashes,
  payload: JSON.parse(job.payload),
  payloadJson: job.payload,
  ...(job.result !== null && { result: JSON.parse(job.result), resultJson: job.result }),
  ...(job.error !== null && { error: job.error }),
  ...(job.reason !== null && { reason: job.reason }),
  ...(job.progress !== null && { progress: job.progress }),
  createdAt: new Date(job.createdAt),
  runAt: new Date(job.runAt),
  ...(job.startedAt !== null && { startedAt: new Date(job.startedAt) }),
  ...(job.finishedAt !== null && { finishedAt: new Date(job.finishedAt) }),
  ...(job.expireAt !== null && { expireAt: new Date(job.expireAt) }),
  ...(job.worker !== null && { worker: job.worker }),
  cancelRequested: job.cancelRequested,
  tags: job.tags,
  ...(job.unique !== null && { unique: job.unique }),
  ...(job.key !== null && { key: job.key }),
  ...(job.attempts !== undefined && { attempts: job.attempts.map(attemptOf) }),
  ...(job.logs !== undefined && { logs: job.logs.map(({ at, ...line }) => ({ ...line, at: new Date(at) })) }),
})

const attemptOf = ({ startedAt, endedAt, error, ...attempt }: AttemptRecord): AttemptView => ({
  ...attempt,
  startedAt: new Date(startedAt),
  endedAt: new Date(endedAt),
  ...(error !== null && { error }),
})
