// One claim while this process works on it: its abort signal, its deadline, what it wrote down and how it ends.
import type { ForgeError } from '../core/errors.ts'
import type { Isolation } from '../core/policy.ts'
import type { Handler } from '../job.ts'
import { isolationOf } from './handler-module.ts'
import type { Claimed, LogLine, NewJob, Note, Progress, Settlement } from '../store/records.ts'
import { storable } from '../store/storable.ts'
import { caps } from '../core/caps.ts'

/** In characters: one huge line must not use up what is kept for all, nor fill the log of the process. */
const longestLine = 16_384

/** A line as it is kept, and told. */
export const boundLine = (text: string): string =>
  storable(text.length > longestLine ? `${text.slice(0, longestLine - 1)}…` : text)

interface Line {
  readonly level: LogLine['level']
  readonly message: string
  readonly madeAt: number
}

export class Run {
  readonly claimed: Claimed
  readonly handler: Handler
  readonly worker: string
  readonly isolation: Isolation
  /** By the monotonic clock, like every instant in here. */
  readonly startedAt: number
  /** When it is aborted, and once it is, when it is settled without its handler. */
  deadlineAt: number
  /** Why it was aborted. */
  reason: ForgeError | undefined
  /** It kept the event loop from looking at its deadline itself. */
  isLate = false
  /** Its deadline was put off because another one may have held the event loop. */
  isExcused = false
  ended = false
  durationMs = 0
  /** How the claim ends; stays `undefined` when the claim was lost. */
  settlement: Settlement | undefined
  followUps: (NewJob | Promise<NewJob>)[] | undefined
  /** Of an isolated handler: JSON text, checked where it ran. */
  result: string | undefined
  /** How the claim ends whatever is made of it around the handler: its child died, or there was none. */
  forced: Settlement | undefined
  /** Its child was killed, and may not be dead yet. */
  isKilled = false
  #controller: AbortController | undefined
  #progress: Progress | undefined
  #lines: Line[] | undefined
  #lineCount = 0
  #lineBytes = 0

  constructor(claimed: Claimed, handler: Handler, worker: string, now: number) {
    this.claimed = claimed
    this.worker = worker
    this.handler = handler
    this.isolation = isolationOf(handler, claimed.crashes)
    this.startedAt = now
    this.deadlineAt = claimed.policy.timeoutMs === 0 ? Infinity : now + claimed.policy.timeoutMs
  }

  /** Made when the handler first asks: most never do. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      if (this.reason !== undefined) this.#controller.abort(this.reason)
    }
    return this.#controller.signal
  }

  abort(reason: ForgeError, deadlineAt: number): void {
    this.reason = reason
    this.deadlineAt = deadlineAt
    this.#controller?.abort(reason)
  }

  setProgress(progress: Progress): void {
    this.#progress = progress
  }

  /** `message`: bounded where it was made. False when the line is beyond what is kept of one try. */
  addLine(level: LogLine['level'], message: string, now: number): boolean {
    const bytes = Buffer.byteLength(message)
    if (this.#lineCount >= caps.logLines || this.#lineBytes + bytes > caps.logBytes) return false
    this.#lineCount += 1
    this.#lineBytes += bytes
    this.#lines ??= []
    this.#lines.push({ level, message, madeAt: now })
    return true
  }

  /** What was written down since the last call. */
  takeNote(now: number): Note | undefined {
    if (this.#progress === undefined && this.#lines === undefined) return undefined
    const note: Note = {
      job: this.claimed.job,
      claim: this.claimed.claim,
      ...(this.#progress && { progress: this.#progress }),
      ...(this.#lines && {
        logs: this.#lines.map(({ level, message, madeAt }) => ({ level, message, ageMs: Math.round(now - madeAt) })),
      }),
    }
    this.#progress = undefined
    this.#lines = undefined
    return note
  }
}
