// The one error class, its codes, and the table that maps a code to an HTTP status and an exit code.

/** Every code, with the HTTP status and the exit code it becomes; `retryable`: the same call may succeed later as it is. */
export const errorCodes = {
  /** A payload does not match its schema; `problems` has the path of each fault. */
  INVALID_INPUT: { status: 422, exit: 2, retryable: false },
  /** An option, name or duration is out of range. */
  INVALID_OPTION: { status: 400, exit: 2, retryable: false },
  /** A body, payload or result is not valid JSON, or is nested too deep. */
  INVALID_JSON: { status: 400, exit: 2, retryable: false },
  /** A job id is not a UUIDv7, or its time is more than a day from the store's. */
  INVALID_ID: { status: 400, exit: 2, retryable: false },
  TOO_LARGE: { status: 413, exit: 2, retryable: false },
  /** The path is known, but not with this HTTP method. */
  METHOD_NOT_ALLOWED: { status: 405, exit: 2, retryable: false },
  /** A body that is not sent as application/json, or compressed. */
  UNSUPPORTED_MEDIA_TYPE: { status: 415, exit: 2, retryable: false },
  /** The Host header names a host that the server does not answer for. */
  WRONG_HOST: { status: 421, exit: 5, retryable: false },
  CONFIG: { status: 500, exit: 2, retryable: false },
  USAGE: { status: 400, exit: 2, retryable: false },
  NOT_FOUND: { status: 404, exit: 3, retryable: false },
  /** The id belongs to a job with another type or payload. */
  ID_CONFLICT: { status: 409, exit: 4, retryable: false },
  /** Another job holds the unique key; `holder` names it. */
  UNIQUE_CONFLICT: { status: 409, exit: 4, retryable: false },
  /** The job is in a state that does not allow this. */
  STATE_CONFLICT: { status: 409, exit: 4, retryable: false },
  /** As many jobs wait in the queue as it may hold: enqueue again later, or raise its `maxDepth`. */
  QUEUE_FULL: { status: 429, exit: 4, retryable: true },
  /** The queue takes no new jobs (`accepting: false`). */
  QUEUE_CLOSED: { status: 409, exit: 4, retryable: false },
  /** This process waits for the store to answer so many enqueues that it takes no more. */
  TOO_MANY_WAITING: { status: 429, exit: 6, retryable: true },
  FORBIDDEN: { status: 403, exit: 5, retryable: false },
  STORE_UNAVAILABLE: { status: 503, exit: 6, retryable: true },
  /** The answer was lost: the job may or may not be stored. Enqueue again with the same id. */
  OUTCOME_UNKNOWN: { status: 503, exit: 6, retryable: true },
  MIGRATION_NEEDED: { status: 503, exit: 6, retryable: false },
  /** The store cannot keep what it acknowledges, or is known to corrupt data. */
  STORE_UNSAFE: { status: 503, exit: 6, retryable: false },
  STORE_CLOSED: { status: 503, exit: 6, retryable: false },
  UNSUPPORTED: { status: 501, exit: 1, retryable: false },
  TIMEOUT: { status: 504, exit: 7, retryable: true },
  /** The job ended dead. */
  JOB_DEAD: { status: 409, exit: 1, retryable: false },
  CANCELLED: { status: 409, exit: 1, retryable: false },
  RESULT_EXPIRED: { status: 410, exit: 3, retryable: false },
  /** This claim of the job is no longer valid: another worker may hold it. */
  LEASE_LOST: { status: 409, exit: 4, retryable: false },
  /** The worker is stopping; the job goes back to its queue. */
  SHUTDOWN: { status: 503, exit: 1, retryable: true },
  INTERNAL: { status: 500, exit: 1, retryable: false },
} as const

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
  // Declared, not defined: what does not apply is not printed with the error.
  declare readonly id?: string
  declare readonly problems?: readonly Problem[]
  declare readonly holder?: string

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

/** INVALID_OPTION with its problem: `path` is the option, `message` what it must be. */
export function invalidOption(path: string, message: string): ForgeError {
  return new ForgeError('INVALID_OPTION', `${path} ${message}`, { problems: [{ path, message }] })
}

/** NOT_FOUND. */
export function unknownJob(id: string): ForgeError {
  const message = `no job has the id ${id.slice(0, 60)}: it never had one, or its retention is over`
  return new ForgeError('NOT_FOUND', message, { id })
}

/** NOT_FOUND. */
export const unknownQueue = (name: string): ForgeError =>
  new ForgeError('NOT_FOUND', `no queue is called ${name.slice(0, 128)}: it has never had a job or a setting`)

const problemsTold = 3

/** The first problems in a line, and how many more there are. */
export function tellProblems(problems: readonly Problem[]): string {
  const told = problems
    .slice(0, problemsTold)
    .map(({ path, message }) => (path === '' ? message : `${path}: ${message}`))
    .join('; ')
  return problems.length > problemsTold ? `${told}; and ${problems.length - problemsTold} more` : told
}
