// What a supervisor and its worker processes say to each other, over the channel that node opens between them; and how a
// process is looked at that does not listen to it.
import type { ErrorCode, Problem } from '../core/errors.ts'
import type { Stuck } from '../store/worker-record.ts'

export type CrewOrder =
  /** Comes first. `task` is the supervisor's own: it reaches whoever starts the worker in the process. */
  | { readonly order: 'start'; readonly task: unknown; readonly graceMs: number; readonly limits: RecycleLimits }
  /** Comes again with a shorter grace when there is a hurry. */
  | { readonly order: 'stop'; readonly graceMs: number }

/** When a process is replaced by a fresh one; `null` = never. */
export interface RecycleLimits {
  readonly maxJobs: number | null
  readonly maxRssBytes: number | null
}

export interface RunningJob {
  readonly id: string
  readonly type: string
}

/** `jobs` and `memory`: it reached a limit · `stuck`: a handler did not end when it was aborted. */
export type RecycleReason = 'jobs' | 'memory' | 'stuck'

export type Report =
  /** It is about to run the code of this module. */
  | { readonly report: 'loading'; readonly module: string }
  /** It is about to work; `details` are those of whoever made the worker. */
  | { readonly report: 'loaded'; readonly details: unknown }
  /** It is registered and works. */
  | { readonly report: 'serving'; readonly worker: string }
  /** It closed its record, or lost it. */
  | { readonly report: 'left'; readonly worker: string }
  /** What still runs, told while it stops. */
  | { readonly report: 'running'; readonly jobs: readonly RunningJob[] }
  /** It ends as soon as what runs has ended, and wants to be started anew. */
  | { readonly report: 'recycle'; readonly reason: RecycleReason }
  /** It was to end when nothing is left to do, and nothing is. */
  | { readonly report: 'drained' }
  /** It has nothing more to do but to end with this code, at once. */
  | { readonly report: 'leaving'; readonly exitCode: number }
  /** It cannot work, and could not the next time. */
  | {
      readonly report: 'refused'
      readonly code: ErrorCode
      readonly message: string
      readonly problems?: readonly Problem[]
    }

/**
 * By this signal a process that is stuck ends itself. Nobody else sends it: it belongs to a timer that JavaScript cannot set.
 * Unlike SIGXCPU it leaves no core file behind, which takes seconds to write.
 */
export const stuckSignal = 'SIGVTALRM'

/**
 * File descriptor through which the watchdog of a process is told what to do, a line of JSON each, and tells, before it ends
 * the process, why: a `Stuck` as JSON.
 */
export const watchdogPipe = 4

export type PipeWord =
  /** Print what the process does. */
  | { readonly word: 'show' }
  /** This job was cancelled and should have ended by now. */
  | { readonly word: 'cancelled'; readonly job: string }

/** What it says about itself in the end, when it said so; the signal alone tells as much as that it was stuck. */
export function readStuck(lastWords: string, signal: string | null): Stuck | null {
  try {
    return JSON.parse(lastWords) as Stuck
  } catch {
    return signal === stuckSignal ? { over: 'limit', blocker: null } : null
  }
}
