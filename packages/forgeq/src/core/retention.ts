// How long ended jobs are kept. The id of an ended job is always remembered long enough to answer a repeated enqueue.
import type { State } from './states.ts'

const minuteMs = 60_000
const dayMs = 24 * 60 * minuteMs

/** The least time for which the id of an ended job is known. */
export const rememberMs: number = 10 * minuteMs

export const keepDeadMs: number = 30 * dayMs
export const keepCancelledMs: number = dayMs

/** How long the record of a worker that left is kept: no longer than the attempts that name it. */
export const keepWorkerMs: number = 30 * dayMs

/** How long a job that ended in `state` is kept; a completed one as long as its result. */
export const keptMs = (state: State, keepResultMs: number): number =>
  state === 'dead' ? keepDeadMs : state === 'cancelled' ? keepCancelledMs : keepResultMs
