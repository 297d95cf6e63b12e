// What a worker and the threads and processes that run its isolated handlers say to each other: plain data, and errors in
// a form that keeps what the engine reads of them.
import type { BackoffFunction } from '../core/backoff.ts'
import { Discard, RateLimited, RetryIn } from '../core/decisions.ts'
import { toMs } from '../core/duration.ts'
import { ForgeError, type ErrorCode } from '../core/errors.ts'
import { keepFailure, toFailure } from '../core/failure.ts'
import type { Scope } from '../core/limit.ts'
import type { PolicyOverrides } from '../core/policy.ts'
import type { Claimed, Failure, LogLine, NewJob, Progress } from '../store/records.ts'
import type { Look } from './look.ts'

/** File descriptor of a process for its thread that watches it, which talks when a handler blocks the process: reports as JSON. */
export const watchPipe = 4
/** Asked through it, a line: answered by the report `look`. */
export const lookWord = 'look'

/** One try of a job. */
export interface Task {
  /** Of this child: what it says about another task comes too late. */
  readonly task: number
  /** URL of the module that exports the handler. */
  readonly module: string
  readonly claimed: Claimed
  readonly worker: string
  /** Ids that the handler makes carry the store's time. */
  readonly storeNow: number
}

export type ChildOrder =
  /** Comes first. `defaults` are those of the forge, `parent` is the process that the child belongs to. */
  | { readonly order: 'start'; readonly defaults: PolicyOverrides; readonly parent: number }
  | { readonly order: 'run'; readonly task: Task }
  | { readonly order: 'abort'; readonly task: number; readonly code: ErrorCode; readonly message: string }
  | { readonly order: 'end' }

export type ChildReport =
  /** It can run a task: after its start, and when what the last one left in the event loop has had its turn. */
  | { readonly report: 'free' }
  /** The module is about to be loaded, the handler to be called. */
  | { readonly report: 'begun'; readonly task: number }
  | {
      readonly report: 'note'
      readonly task: number
      readonly lines: readonly Pick<LogLine, 'level' | 'message'>[]
      readonly progress?: Progress
    }
  /** `result` is JSON text that has passed the output schema. */
  | { readonly report: 'done'; readonly task: number; readonly result: string; readonly followUps: readonly NewJob[] }
  | { readonly report: 'failed'; readonly task: number; readonly error: SentError }
  /** Nobody caught this: the child is about to die of it. */
  | { readonly report: 'uncaught'; readonly error: Failure }
  /** Resident memory of a process, heap of a thread. */
  | { readonly report: 'memory'; readonly bytes: number }
  /** What its handler does now. */
  | { readonly report: 'look'; readonly look: Look }

export interface SentError {
  readonly failure: Failure
  readonly kind:
    | { readonly is: 'error' | 'discard' }
    | { readonly is: 'retry-in'; readonly delayMs: number; readonly countAttempt: boolean }
    | { readonly is: 'rate-limited'; readonly retryAfterMs: number; readonly scope: Scope }
    | { readonly is: 'forge-error'; readonly code: ErrorCode; readonly id?: string; readonly holder?: string }
  /** What the backoff function of the type says to this error, which only the child has. */
  readonly backoff?: { readonly delayMs: number } | { readonly problem: string }
}

/** Never throws, whatever was thrown. `backoff` is given where the engine would ask it. */
export function packError(error: unknown, backoff?: { readonly ask: BackoffFunction; failures: number }): SentError {
  return {
    failure: toFailure(error),
    kind: kindOf(error),
    ...(backoff !== undefined && { backoff: askBackoff(backoff.ask, backoff.failures, error) }),
  }
}

function kindOf(error: unknown): SentError['kind'] {
  try {
    if (error instanceof Discard) return { is: 'discard' }
    if (error instanceof RetryIn) {
      return { is: 'retry-in', delayMs: Number(error.delayMs), countAttempt: Boolean(error.countAttempt) }
    }
    if (error instanceof RateLimited) {
      return { is: 'rate-limited', retryAfterMs: Number(error.retryAfterMs), scope: error.scope }
    }
    if (error instanceof ForgeError) {
      const { code, id, holder } = error
      return { is: 'forge-error', code, ...(id !== undefined && { id }), ...(holder !== undefined && { holder }) }
    }
  } catch {
    // A proxy whose traps throw: nothing that steers a job.
  }
  return { is: 'error' }
}

function askBackoff(ask: BackoffFunction, failures: number, error: unknown): SentError['backoff'] & object {
  try {
    return { delayMs: toMs(ask(failures, error), 'backoff') }
  } catch (problem) {
    return { problem: toFailure(problem).message }
  }
}

const backoffs = new WeakMap<object, BackoffFunction>()

/** An error for which the engine decides as it would have for the one that was thrown, and keeps the same record. */
export function unpackError({ failure, kind, backoff }: SentError): Error {
  const error = makeError(kind, failure)
  error.stack = failure.stack ?? `${failure.name}: ${failure.message}`
  keepFailure(error, failure)
  if (backoff !== undefined) backoffs.set(error, () => answer(backoff))
  return error
}

/** What the backoff function said to an error in the child. */
export const backoffOf = (error: unknown): BackoffFunction | undefined => backoffs.get(error as object)

function makeError(kind: SentError['kind'], { name, message, problems }: Failure): Error {
  switch (kind.is) {
    case 'discard':
      return new Discard(message)
    case 'retry-in':
      return new RetryIn(kind.delayMs, { countAttempt: kind.countAttempt, message })
    case 'rate-limited':
      return new RateLimited(kind.retryAfterMs, kind.scope, { message })
    case 'forge-error': {
      const { code, id, holder } = kind
      return new ForgeError(code, message, {
        ...(id !== undefined && { id }),
        ...(problems !== undefined && { problems }),
        ...(holder !== undefined && { holder }),
      })
    }
    case 'error':
      return Object.assign(new Error(message), { name })
  }
}

function answer(backoff: SentError['backoff'] & object): number {
  if ('problem' in backoff) throw new Error(backoff.problem)
  return backoff.delayMs
}
