// One builder per outcome, so that a case names how a claim ends and nothing else.
import type { Scope } from '../core/limit.ts'
import type { DeadReason, Failure, Hold, HoldBack, NewJob, Settlement } from '../store/records.ts'

export const failure = (message: string): Failure => ({ code: 'HANDLER_ERROR', name: 'Error', message })

const boom = failure('boom')

// A claimed or lost job is a hold with more to it: what is not part of the settlement stays out of it.
const held = ({ job, claim }: Hold): Hold => ({ job, claim })

export const complete = (hold: Hold, result: string | null = null, followUps?: readonly NewJob[]): Settlement => ({
  ...held(hold),
  outcome: 'complete',
  result,
  ...(followUps && { followUps }),
})

export const retry = (hold: Hold, delayMs = 0, error: Failure = boom): Settlement => ({
  ...held(hold),
  outcome: 'retry',
  delayMs,
  error,
})

export const snooze = (hold: Hold, delayMs = 0, error: Failure | null = null, scope?: Scope): Settlement => ({
  ...held(hold),
  outcome: 'snooze',
  delayMs,
  error,
  ...(scope && { holdBack: { scope, forMs: delayMs } }),
})

export const release = (hold: Hold): Settlement => ({ ...held(hold), outcome: 'release' })

export const bury = (
  hold: Hold,
  reason: DeadReason = 'exhausted',
  error: Failure = boom,
  holdBack?: HoldBack,
): Settlement => ({
  ...held(hold),
  outcome: 'bury',
  reason,
  error,
  ...(holdBack && { holdBack }),
})

export const cancel = (hold: Hold, error: Failure | null = null): Settlement => ({
  ...held(hold),
  outcome: 'cancel',
  error,
})

export const crash = (hold: Hold, reason?: DeadReason): Settlement => ({
  ...held(hold),
  outcome: 'crash',
  error: { code: 'WORKER_LOST', name: 'WorkerLost', message: 'the worker went away' },
  ...(reason && { bury: reason }),
})
