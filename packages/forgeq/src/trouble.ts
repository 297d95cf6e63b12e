// Which errors of a store pass by themselves, and how long to wait before the same call is made again.
import { delayAfter, type BackoffPlan } from './core/backoff.ts'
import { errorCodes, ForgeError } from './core/errors.ts'

export const willPass = (error: unknown): error is ForgeError =>
  ForgeError.is(error) && errorCodes[error.code].retryable

const plan: BackoffPlan = { type: 'exponential', baseMs: 50, factor: 2, maxMs: 5_000, jitter: true }

/** 25 to 50 ms after the first failure, in the end 2.5 to 5 s. */
export const pauseMs = (failures: number, random: () => number): number => delayAfter(plan, failures, random)

export interface Patience {
  readonly random: () => number
  /** Told of each failure. */
  readonly unavailable: (error: ForgeError) => void
}

/** The body of a loop that comes again after a pause when its round fails because of something that passes. */
export function withPauses<Delay>(round: () => Promise<Delay>, host: Patience): () => Promise<Delay | number> {
  let failures = 0
  return async () => {
    try {
      const delayMs = await round()
      failures = 0
      return delayMs
    } catch (error) {
      if (!willPass(error)) throw error
      host.unavailable(error)
      failures += 1
      return pauseMs(failures, host.random)
    }
  }
}
