// Which errors of a store pass by themselves, and how long to wait before the same call is made again.
import { delayAfter, type BackoffPlan } from './core/backoff.ts'
import { errorCodes, ForgeError } from './core/errors.ts'

export const willPass = (error: unknown): error is ForgeError =>
  ForgeError.is(error) && errorCodes[error.code].retryable

const plan: BackoffPlan = { type: 'exponential', baseMs: 50, factor: 2, maxMs: 5_000, jitter: true }

/** 25 to 50 ms after the first failure, in the end 2.5 to 5 s. */
export const pauseMs = (failures: number, random: () => number): number => delayAfter(plan, failures, random)
