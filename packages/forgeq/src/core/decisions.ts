// What a handler throws to steer its job: decisions, not failures, so they are not ForgeErrors.
import { toMs, type Duration } from './duration.ts'
import { invalidOption } from './errors.ts'
import type { Scope } from './limit.ts'

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

/**
 * Thrown by a handler: a service said that it is asked too often. The job runs again after `retryAfter`, and until then no
 * other one starts that would ask it: none of the same type in this queue (`type`, the default), none with the same key
 * (`key`), or none of this queue (`queue`). Uses up no attempt.
 */
export class RateLimited extends Error {
  readonly retryAfterMs: number
  readonly scope: Scope

  constructor(retryAfter: Duration, scope: Scope = 'type', options: ErrorOptions & { message?: string } = {}) {
    const { message = `rate limited, retry in ${retryAfter}`, ...rest } = options
    super(message, rest)
    this.name = 'RateLimited'
    this.retryAfterMs = toMs(retryAfter, 'retryAfter')
    if (!scopes.includes(scope)) throw invalidOption('scope', "must be 'key', 'type' or 'queue'")
    this.scope = scope
  }
}

const scopes: readonly Scope[] = ['key', 'type', 'queue']
