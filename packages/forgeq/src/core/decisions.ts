// What a handler throws to steer its job: decisions, not failures, so they are not ForgeErrors.
import { toMs, type Duration } from './duration.ts'

/** Thrown by a handler: the job ends dead at once, with this message as the reason. */
export class Discard extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'Discard'
  }
}

/**
 * Thrown by a handler: the job runs again after `delay`. `countAttempt: false` does not use up an attempt (default: it
 * does).
 */
export class RetryIn extends Error {
  readonly delayMs: number
  readonly countAttempt: boolean

  constructor(delay: Duration, options: ErrorOptions & { countAttempt?: boolean; message?: string } = {}) {
    const { countAttempt = true, message = `retry in ${delay}`, ...rest } = options
    super(message, rest)
    this.name = 'RetryIn'
    this.delayMs = toMs(delay, 'delay')
    this.countAttempt = countAttempt
  }
}
