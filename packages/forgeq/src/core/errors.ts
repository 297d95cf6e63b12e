// The one error class, its codes, and the table that maps a code to an HTTP status and an exit code.
// Errors that a handler throws to steer its job (Discard, RetryIn) live here too: they are decisions, not failures.
import type { Duration } from './duration.ts'

interface CodeFacts {
  readonly status: number
  readonly exit: number
  /** The same call may succeed later without a change. */
  readonly retryable: boolean
}

const usage = (status: number): CodeFacts => ({ status, exit: 2, retryable: false })
const failed = (status: number): CodeFacts => ({ status, exit: 1, retryable: false })

/** Every code, with the HTTP status and the exit code it becomes. */
export const errorCodes = {
  /** A payload does not match its schema; `problems` has the path of each fault. */
  INVALID_INPUT: usage(422),
  /** An option, name or duration is out of range. */
  INVALID_OPTION: usage(400),
  /** A body, payload or result is not valid JSON, or is nested too deep. */
  INVALID_JSON: usage(400),
  /** A job id is not a UUIDv7, or its time is more than a day from the store's. */
  INVALID_ID: usage(400),
  TOO_LARGE: usage(413),
  CONFIG: usage(500),
  USAGE: usage(400),
  NOT_FOUND: { status: 404, exit: 3, retryable: false },
  /** The id belongs to a job with another type or payload. */
  ID_CONFLICT: { status: 409, exit: 4, retryable: false },
  /** Another job holds the unique key; `holder` names it. */
  UNIQUE_CONFLICT: { status: 409, exit: 4, retryable: false },
  /** The job is in a state that does not allow this. */
  STATE_CONFLICT: { status: 409, exit: 4, retryable: false },
  FORBIDDEN: { status: 403, exit: 5, retryable: false },
  STORE_UNAVAILABLE: { status: 503, exit: 6, retryable: true },
  /** The answer was lost: the job may or may not be stored. Enqueue again with the same id. */
  OUTCOME_UNKNOWN: { status: 503, exit: 6, retryable: true },
  MIGRATION_NEEDED: { status: 503, exit: 6, retryable: false },
  /** The store cannot keep what it acknowledges, or is known to corrupt data. */
  STORE_UNSAFE: { status: 503, exit: 6, retryable: false },
  STORE_CLOSED: { status: 503, exit: 6, retryable: false },
  UNSUPPORTED: failed(501),
  TIMEOUT: { status: 504, exit: 7, retryable: true },
  /** The job ended dead. */
  JOB_DEAD: failed(409),
  CANCELLED: failed(409),
  RESULT_EXPIRED: { status: 410, exit: 3, retryable: false },
  /** This claim of the job is no longer valid: another worker may hold it. */
  LEASE_LOST: { status: 409, exit: 4, retryable: false },
  /** The worker is stopping; the job goes back to its queue. */
  SHUTDOWN: { status: 503, exit: 1, retryable: true },
  INTERNAL: failed(500),
} as const satisfies Record<string, CodeFacts>

export type ErrorCode = keyof typeof errorCodes

/** One fault in an input: where it is and what is wrong there. */
export interface Problem {
  /** Dotted path into the payload or options, `''` for the whole. */
  readonly path: string
  readonly message: string
}

export interface ForgeErrorOptions extends ErrorOptions {
  /** The job that the error is about. */
  readonly id?: string
  readonly problems?: readonly Problem[]
  /** Id of the job that holds the unique key. */
  readonly holder?: string
}

/** The only error class that ForgeQ throws; `code` says which case it is, `message` what to do next. */
export class ForgeError extends Error {
  readonly code: ErrorCode
  readonly id?: string
  readonly problems?: readonly Problem[]
  readonly holder?: string

  constructor(code: ErrorCode, message: string, options: ForgeErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'ForgeError'
    this.code = code
    if (options.id !== undefined) this.id = options.id
    if (options.problems !== undefined) this.problems = options.problems
    if (options.holder !== undefined) this.holder = options.holder
  }

  static is<C extends ErrorCode>(error: unknown, code?: C): error is ForgeError & { readonly code: C } {
    return error instanceof ForgeError && (code === undefined || error.code === code)
  }
}

/** Thrown by a handler: the job ends dead at once, with this message as the reason. */
export class Discard extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'Discard'
  }
}

/** Thrown by a handler: the job runs again after `delay`; `countAttempt: false` does not use up an attempt (default: it does). */
export class RetryIn extends Error {
  readonly delay: Duration
  readonly countAttempt: boolean

  constructor(delay: Duration, options: ErrorOptions & { countAttempt?: boolean; message?: string } = {}) {
    super(options.message ?? `retry in ${delay}`, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'RetryIn'
    this.delay = delay
    this.countAttempt = options.countAttempt ?? true
  }
}
