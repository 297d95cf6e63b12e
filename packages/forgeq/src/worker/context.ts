// What a handler holds in its hand. Every part is made when it is first asked for, so that a handler which uses none
// costs nothing, and works when taken out of the object: `({ input, log }) => ...`.
import { formatWithOptions } from 'node:util'
import { ForgeError } from '../core/errors.ts'
import type { Context, JobLog } from '../job.ts'
import { batchLimit } from '../store/store.ts'
import type { LogLine } from '../store/records.ts'
import type { Preparer } from '../prepare.ts'
import type { Timers } from '../timers.ts'
import { boundLine, type Run } from './run.ts'

/** What the context needs of the worker around it. */
export interface Desk {
  readonly timers: Timers
  readonly newId: () => string
  readonly preparer: Preparer
  /** Notes wait to be written. */
  readonly noted: (run: Run) => void
  readonly logged: (run: Run, level: LogLine['level'], message: string) => void
}

const levels = ['debug', 'info', 'warn', 'error'] as const

export class JobContext implements Context<unknown> {
  readonly input: unknown
  readonly #run: Run
  readonly #desk: Desk
  #job: Context<unknown>['job'] | undefined
  #log: JobLog | undefined

  constructor(input: unknown, run: Run, desk: Desk) {
    this.input = input
    this.#run = run
    this.#desk = desk
  }

  get job(): Context<unknown>['job'] {
    const { job, attempt, claim, createdAt } = this.#run.claimed
    this.#job ??= { id: job, attempt, claim, enqueuedAt: new Date(createdAt) }
    return this.#job
  }

  get signal(): AbortSignal {
    return this.#run.signal
  }

  get log(): JobLog {
    this.#log ??= Object.fromEntries(
      levels.map((level) => [level, (...parts: unknown[]) => this.#write(level, parts)]),
    ) as unknown as JobLog
    return this.#log
  }

  get progress(): Context<unknown>['progress'] {
    return (done, total, label) => {
      if (this.#run.ended) return
      for (const [name, value] of [
        ['done', done],
        ['total', total ?? 0],
      ] as const) {
        if (typeof value !== 'number' || !Number.isFinite(value) || value < 0) {
          throw new ForgeError('INVALID_OPTION', `progress: ${name} must be a number from 0, not ${String(value)}`)
        }
      }
      if (label !== undefined && typeof label !== 'string') {
        throw new ForgeError('INVALID_OPTION', `progress: label must be a text, not of type ${typeof label}`)
      }
      this.#run.setProgress({
        done,
        ...(total !== undefined && { total }),
        ...(label !== undefined && { label: label.slice(0, 200) }),
      })
      this.#desk.noted(this.#run)
    }
  }

  get enqueue(): Context<unknown>['enqueue'] {
    return (job, input, options = {}) => {
      const run = this.#run
      if (run.ended) throw leaseLost(run)
      run.followUps ??= []
      if (run.followUps.length >= mostFollowUps) throw tooManyFollowUps()
      const id = options.id ?? this.#desk.newId()
      const prepared = this.#desk.preparer.prepare(job, input, { ...options, id })
      // Its fault comes up when the job ends, not as a rejection that nobody handles.
      if (prepared instanceof Promise) prepared.catch(() => {})
      run.followUps.push(prepared)
      return id
    }
  }

  #write(level: LogLine['level'], parts: readonly unknown[]): void {
    const run = this.#run
    const message = boundLine(formatWithOptions({ breakLength: Infinity }, ...parts))
    this.#desk.logged(run, level, message)
    if (!run.ended && run.addLine(level, message, this.#desk.timers.now())) this.#desk.noted(run)
  }
}

/** They are stored with the completion of the job, in one call. */
export const mostFollowUps: number = batchLimit - 1

export const tooManyFollowUps = (): ForgeError =>
  new ForgeError('INVALID_OPTION', `a job may enqueue ${mostFollowUps} others; enqueue one that enqueues the rest`)

export const leaseLost = (run: Run): ForgeError =>
  new ForgeError('LEASE_LOST', `this try of job ${run.claimed.job} is over; nothing it still does is stored`, {
    id: run.claimed.job,
  })
