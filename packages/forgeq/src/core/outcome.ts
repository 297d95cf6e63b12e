// What becomes of a job after a try: decided here, carried out by the store under the claim's fence.
import type { Claimed, DeadReason, Failure, LostJob, NewJob, Settlement } from '../store/records.ts'
import type { Stuck } from '../store/worker-record.ts'
import { delayAfter, type BackoffFunction } from './backoff.ts'
import { caps } from './caps.ts'
import { Discard, RateLimited, RetryIn } from './decisions.ts'
import { formatMs, toMs } from './duration.ts'
import { ForgeError } from './errors.ts'
import { toFailure } from './failure.ts'
import type { Scope } from './limit.ts'

/** The handler returned; `result` is JSON text. What it enqueued in its own name is stored with the completion. */
export function afterSuccess(claimed: Claimed, result: string | null, followUps: readonly NewJob[]): Settlement {
  const { job, claim } = claimed
  const complete = { job, claim, outcome: 'complete', result } as const
  return followUps.length === 0 ? complete : { ...complete, followUps }
}

export interface FailureContext {
  readonly random: () => number
  /** Of the job's definition, when that is a function. */
  readonly backoff?: BackoffFunction | undefined
  /** Why the worker had aborted the handler, if it had. */
  readonly aborted?: 'cancel' | 'timeout' | 'shutdown' | undefined
}

/** The handler threw `error`, or its input did not parse. Never throws. */
export function afterFailure(claimed: Claimed, error: unknown, context: FailureContext): Settlement {
  const { job, claim, attempt, policy } = claimed
  const { aborted } = context
  const ask = readAsk(error, job)
  const bury = (reason: DeadReason, code?: string) => {
    return { job, claim, outcome: 'bury', reason, error: toFailure(error, code) } as const
  }
  if (aborted === 'cancel') return { job, claim, outcome: 'cancel', error: ask === 'cancel' ? null : toFailure(error) }
  if (ask === 'discard') return bury('discarded', 'DISCARDED')
  if (ask === 'refuse-input') return bury('invalid')
  const isOnce = policy.delivery === 'at-most-once'
  if (typeof ask === 'object') {
    const { code, delayMs, countAttempt, holdBack } = ask
    const held = holdBack && { holdBack: { scope: holdBack, forMs: delayMs } }
    // It may not start again, but others need not run into the same limit.
    if (isOnce) return { ...bury('lost', code), ...held }
    if (countAttempt && attempt >= policy.maxAttempts) return bury('exhausted', code)
    const again = { job, claim, delayMs, error: toFailure(error, code) }
    return countAttempt ? { ...again, outcome: 'retry' } : { ...again, outcome: 'snooze', ...held }
  }
  if (aborted === 'shutdown') {
    return isOnce ? bury('lost', 'SHUTDOWN') : { job, claim, outcome: 'release' }
  }
  const code = aborted === 'timeout' ? 'TIMEOUT' : undefined
  if (attempt >= policy.maxAttempts) return bury('exhausted', code)
  return isOnce ? bury('lost', code) : { job, claim, outcome: 'retry', ...backOff(claimed, error, code, context) }
}

type Ask = 'discard' | 'refuse-input' | 'cancel' | AskForLater

interface AskForLater extends Pick<RetryIn, 'delayMs' | 'countAttempt'> {
  readonly code: 'RETRY_IN' | 'RATE_LIMITED'
  readonly holdBack?: Scope
}

/** What the error says shall become of the job; most say nothing, and a proxy whose traps throw is one of those. */
function readAsk(error: unknown, job: string): Ask | undefined {
  try {
    if (error instanceof Discard) return 'discard'
    if (error instanceof RetryIn) {
      return { code: 'RETRY_IN', delayMs: error.delayMs, countAttempt: error.countAttempt }
    }
    if (error instanceof RateLimited) {
      return { code: 'RATE_LIMITED', delayMs: error.retryAfterMs, countAttempt: false, holdBack: error.scope }
    }
    if (ForgeError.is(error, 'CANCELLED')) return 'cancel'
    // With another id or none it is the input of a job that the handler tried to enqueue: a failure like any other.
    if (ForgeError.is(error, 'INVALID_INPUT') && error.id === job) return 'refuse-input'
  } catch {
    return undefined
  }
  return undefined
}

function backOff(
  { attempt, attemptBase, policy }: Claimed,
  error: unknown,
  code: string | undefined,
  { backoff, random }: FailureContext,
): { delayMs: number; error: Failure } {
  const failures = attempt - attemptBase
  const delayMs = delayAfter(policy.backoff, failures, random)
  if (policy.backoff.type !== 'function' || backoff === undefined) return { delayMs, error: toFailure(error, code) }
  try {
    return { delayMs: toMs(backoff(failures, error), 'backoff'), error: toFailure(error, code) }
  } catch (problem) {
    const message = `the backoff function failed, so the default was used: ${toFailure(problem).message}`
    return { delayMs, error: toFailure(new ForgeError('INVALID_OPTION', message, { cause: error })) }
  }
}

/** What settles for another process says whose claim it is. */
type ForWorker = Settlement & { readonly worker: string }

/** A job that a closed worker held. */
export function afterLoss(lost: LostJob, storeNow: number, random: () => number): ForWorker {
  const stuck = lost.end?.stuck ?? null
  const settlement = stuck === null ? crash(lost, describeLoss(lost)) : afterStuck(lost, stuck, storeNow, random)
  return { ...settlement, worker: lost.worker }
}

/** What ran it died: it runs again, unless it may not or has taken too many with it. */
function crash({ job, claim, crashes, policy }: LostJob | Claimed, error: Failure): Settlement {
  const settlement = { job, claim, outcome: 'crash', error } as const
  if (policy.delivery === 'at-most-once') return { ...settlement, bury: 'lost' }
  return crashes + 1 >= caps.crashes ? { ...settlement, bury: 'poison' } : settlement
}

function describeLoss({ worker, host, pid, rssBytes, end }: LostJob): Failure {
  const failure = { code: 'WORKER_LOST', name: 'WorkerLost' } as const
  if (end === null) {
    const message = `worker ${worker} (process ${pid} on ${host}) died, or stalled for longer than its lease, while it ran this job`
    return { ...failure, message }
  }
  const { exitCode, signal } = end
  const how = signal !== null ? `died with ${signal}` : exitCode !== null ? `ended with exit code ${exitCode}` : 'died'
  const memory = rssBytes === null ? '' : ` (last memory ${Math.round(rssBytes / 1_000_000)} MB)`
  const message = `process ${pid} on ${host} ${how} while it ran this job${memory}`
  return { ...failure, message, process: { exitCode, signal, rssBytes } }
}

/**
 * Of a worker that was ended because its event loop stood still. Who held it has failed if it was past its timeout; the
 * others could not help it, and nothing is counted for them. When it was over a limit and nobody knows whose doing it was, all
 * of them become suspects: next time they run apart, where each can only harm itself.
 */
function afterStuck(lost: LostJob, { over, blocker }: Stuck, storeNow: number, random: () => number): Settlement {
  const { job, claim, startedAt, attempt, attemptBase, policy, host, pid } = lost
  const isOnce = policy.delivery === 'at-most-once'
  const ended = `process ${pid} on ${host} was ended while it ran this job`
  const workerLost = { code: 'WORKER_LOST', name: 'WorkerLost' } as const
  if (over === 'limit' && blocker === null) {
    return crash(lost, { ...workerLost, message: `${ended}: a handler did not let it go on, perhaps this one` })
  }
  if (blocker !== job || policy.timeoutMs === 0 || storeNow < startedAt + policy.timeoutMs) {
    if (!isOnce) return { job, claim, outcome: 'release' }
    const message = `${ended}: ${blocker === null || blocker === job ? 'it had to stop' : 'another one did not let it go on'}`
    return { job, claim, outcome: 'bury', reason: 'lost', error: { ...workerLost, message } }
  }
  const limit = `its timeout of ${formatMs(policy.timeoutMs)}`
  const message = `the handler of job ${job} did not end within ${limit}, and process ${pid} on ${host} with it`
  const error = { code: 'TIMEOUT', name: 'ForgeError', message }
  if (attempt >= policy.maxAttempts) return { job, claim, outcome: 'bury', reason: 'exhausted', error }
  if (isOnce) return { job, claim, outcome: 'bury', reason: 'lost', error }
  const delayMs = delayAfter(policy.backoff, attempt - attemptBase, random)
  return { job, claim, outcome: 'retry', delayMs, error }
}

/** The thread or process that ran the job for its worker died, and nobody had wanted that. */
export const afterChildDeath = (
  claimed: Claimed,
  message: string,
  process: NonNullable<Failure['process']>,
): Settlement => crash(claimed, { code: 'CHILD_LOST', name: 'ChildLost', message, process })

/** There was no thread or process to run it in: put off, no attempt counted, for the handler was not called. */
export const afterNoStart = ({ job, claim }: Claimed, message: string, delayMs: number): Settlement => ({
  job,
  claim,
  outcome: 'snooze',
  delayMs,
  error: { code: 'CHILD_UNAVAILABLE', name: 'ChildUnavailable', message },
})
