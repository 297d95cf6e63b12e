// What becomes of a job after a try: decided here, carried out by the store under the claim's fence.
import type { Claimed, Failure, LostJob, NewJob, Settlement } from '../store/records.ts'
import { delayAfter, type BackoffFunction } from './backoff.ts'
import { caps } from './caps.ts'
import { Discard, RetryIn } from './decisions.ts'
import { toMs } from './duration.ts'
import { ForgeError } from './errors.ts'
import { toFailure } from './failure.ts'

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
  if (aborted === 'cancel') {
    return { job, claim, outcome: 'cancel', error: hasCode(error, 'CANCELLED') ? null : toFailure(error) }
  }
  const bury = (reason: 'discarded' | 'invalid' | 'lost' | 'exhausted', failure: Failure): Settlement => {
    return { job, claim, outcome: 'bury', reason, error: failure }
  }
  if (isA(error, Discard)) return bury('discarded', toFailure(error, 'DISCARDED'))
  // Without the id it is another job's input, which the handler tried to enqueue: an error like any other.
  if (hasCode(error, 'INVALID_INPUT') && error.id === job) return bury('invalid', toFailure(error))

  const asked = isA(error, RetryIn) ? error : undefined
  if (asked?.countAttempt === false) {
    return { job, claim, outcome: 'snooze', delayMs: asked.delayMs, error: toFailure(asked, 'RETRY_IN') }
  }
  if (asked === undefined && aborted === 'shutdown') {
    if (policy.delivery === 'at-least-once') return { job, claim, outcome: 'release' }
    return bury('lost', toFailure(error, 'SHUTDOWN'))
  }
  const failure = toFailure(error, asked ? 'RETRY_IN' : aborted === 'timeout' ? 'TIMEOUT' : undefined)
  if (attempt >= policy.maxAttempts) return bury('exhausted', failure)
  if (asked) return { job, claim, outcome: 'retry', delayMs: asked.delayMs, error: failure }
  const { delayMs, fault } = backOff(claimed, error, context)
  return { job, claim, outcome: 'retry', delayMs, error: fault ?? failure }
}

/** A lost job of a dead or stalled worker: it runs again, unless it may not or has taken too many workers with it. */
export function afterCrash(lost: LostJob): Settlement & { readonly worker: string } {
  const { job, claim, worker, crashes, policy, host, pid } = lost
  const message = `Worker ${worker} (process ${pid} on ${host}) died, or stalled for longer than its lease, while it ran this job.`
  const crash = {
    job,
    claim,
    worker,
    outcome: 'crash',
    error: { code: 'WORKER_LOST', name: 'WorkerLost', message },
  } as const
  if (policy.delivery === 'at-most-once') return { ...crash, bury: 'lost' }
  return crashes + 1 >= caps.crashes ? { ...crash, bury: 'poison' } : crash
}

function backOff(
  { attempt, attemptBase, policy }: Claimed,
  error: unknown,
  { backoff, random }: FailureContext,
): { delayMs: number; fault?: Failure } {
  const failures = attempt - attemptBase
  const byPlan = { delayMs: delayAfter(policy.backoff, failures, random) }
  if (policy.backoff.type !== 'function' || backoff === undefined) return byPlan
  try {
    return { delayMs: toMs(backoff(failures, error), 'the result of the backoff function') }
  } catch (problem) {
    const { message } = toFailure(problem)
    const fault = new ForgeError('INVALID_OPTION', `Mend the backoff function; the default was used. ${message}`, {
      cause: error,
    })
    return { ...byPlan, fault: toFailure(fault) }
  }
}

/** `instanceof` that a hostile proxy cannot make throw. */
function isA<T>(error: unknown, kind: abstract new (...args: never) => T): error is T {
  try {
    return error instanceof kind
  } catch {
    return false
  }
}

const hasCode = (error: unknown, code: 'CANCELLED' | 'INVALID_INPUT'): error is ForgeError =>
  isA(error, ForgeError) && error.code === code
