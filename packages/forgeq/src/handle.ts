// One job in the caller's hand: awaits its result, cancels it.
import { toMs, type Duration } from './core/duration.ts'
import { ForgeError, unknownJob } from './core/errors.ts'
import type { Stored } from './core/json.ts'
import type { EndedJobs } from './await-results.ts'
import type { Accepted } from './enqueue.ts'
import type { Failure, JobRecord } from './store/records.ts'
import type { Store } from './store/store.ts'

/** A job that was enqueued, or one that is known by its id. */
export interface Handle<Out> {
  readonly id: string
  /** The job was there before: the same id was enqueued again, or another job held the unique key. */
  readonly duplicate: boolean
  /** That job was still waiting, and does what this enqueue asked for: its `unique` says `onConflict: 'replace'`. */
  readonly replaced: boolean
  /**
   * What the handler returned, as JSON gives it back. JOB_DEAD (its cause is a `Death`), CANCELLED, RESULT_EXPIRED,
   * NOT_FOUND, and TIMEOUT when it has not ended after `timeout` (default: waits for ever).
   */
  result(options?: { readonly timeout?: Duration }): Promise<Stored<Out>>
  /** True when the job is or will be cancelled, false when it had ended otherwise. NOT_FOUND when it is unknown. */
  cancel(): Promise<boolean>
}

/** The cause of JOB_DEAD: how the last try failed. */
export interface Death extends Failure {
  readonly attempts: number
}

/** What handles share. */
export interface HandleParts {
  readonly store: Store
  readonly ended: EndedJobs
}

export class JobHandle<Out> implements Handle<Out> {
  readonly id: string
  readonly duplicate: boolean
  readonly replaced: boolean
  readonly #parts: HandleParts
  /** The store has confirmed the job: when it is not found any more, its time is over. */
  readonly #isKnown: boolean

  constructor(parts: HandleParts, { id, duplicate, replaced }: Accepted, isKnown: boolean) {
    this.#parts = parts
    this.id = id
    this.duplicate = duplicate
    this.replaced = replaced ?? false
    this.#isKnown = isKnown
  }

  async result(options: { readonly timeout?: Duration } = {}): Promise<Stored<Out>> {
    const timeoutMs = options.timeout === undefined ? undefined : toMs(options.timeout, 'timeout')
    const job = await this.#parts.ended.wait(this.id, timeoutMs)
    if (job === undefined) throw this.#isKnown ? expired(this.id) : unknownJob(this.id)
    return resultOf(job) as Stored<Out>
  }

  async cancel(): Promise<boolean> {
    const [verdict] = await this.#parts.store.act({ action: 'cancel', ids: [this.id] })
    if (verdict !== undefined && !verdict.done && verdict.code === 'NOT_FOUND') throw unknownJob(this.id)
    return verdict?.done === true
  }
}

function resultOf(job: JobRecord): unknown {
  const { id, state, reason, error } = job
  if (state === 'dead') {
    const cause: Death = { ...(error ?? unnamed), attempts: job.attempt }
    throw new ForgeError('JOB_DEAD', `job ${id} is dead (${reason}): ${cause.message}`, { id, cause })
  }
  if (state === 'cancelled') {
    const how = reason === 'expired' ? 'had not started when it expired' : 'was cancelled'
    throw new ForgeError('CANCELLED', `job ${id} ${how}`, { id, cause: { reason } })
  }
  if (job.result === null) throw expired(id)
  return JSON.parse(job.result)
}

const unnamed: Failure = { code: 'INTERNAL', name: 'Error', message: 'no error was recorded' }

const expired = (id: string): ForgeError =>
  new ForgeError('RESULT_EXPIRED', `the result of job ${id} is no longer kept; raise its keepResult`, { id })
