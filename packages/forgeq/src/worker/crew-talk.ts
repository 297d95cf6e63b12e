// What a supervisor and its worker processes say to each other, over the channel that node opens between them.
import type { ErrorCode, Problem } from '../core/errors.ts'

export type Order =
  /** Comes first. `task` is the supervisor's own: it reaches whoever starts the worker in the process. */
  | { readonly order: 'start'; readonly task: unknown; readonly graceMs: number }
  /** Comes again with a shorter grace when there is a hurry. */
  | { readonly order: 'stop'; readonly graceMs: number }

export interface RunningJob {
  readonly id: string
  readonly type: string
}

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
  /** It was to end when nothing is left to do, and nothing is. */
  | { readonly report: 'drained' }
  /** It cannot work, and could not the next time. */
  | {
      readonly report: 'refused'
      readonly code: ErrorCode
      readonly message: string
      readonly problems?: readonly Problem[]
    }
