// For how long a job holds its unique key, as the number that stores keep with the job.
import type { Unique } from './records.ts'

/** Held until the job is claimed. */
export const untilStart = -1
/** Held until the job has ended. */
export const untilDone = null

/** An end of its own, or for how many milliseconds. */
export type HeldFor = number | typeof untilDone

export const packHold = (unique: Unique): HeldFor =>
  'forMs' in unique ? unique.forMs : unique.until === 'start' ? untilStart : untilDone

export const unpackUnique = (key: string, heldFor: HeldFor): Unique =>
  heldFor === untilDone
    ? { key, until: 'done' }
    : heldFor === untilStart
      ? { key, until: 'start' }
      : { key, forMs: heldFor }
