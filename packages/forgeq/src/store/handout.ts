// What a claim is asked for and answers, and how far it goes.
import type { WideHolds } from './opening.ts'
import type { Claimed, ExchangeRequest } from './records.ts'

/** The worker's record as an exchange needs it. */
export interface Claimer {
  readonly id: number
  readonly turn: number
  /** Numbers of the types it handles. */
  readonly types: ReadonlySet<number>
}

export type Wanted = Pick<ExchangeRequest, 'wants' | 'slots' | 'suspects' | 'suspectSlots'>

export interface Handout {
  readonly claimed: Claimed[]
  /** It stopped before it had looked at all it could hand out. */
  readonly more: boolean
  /** Keys gave what they had first: others of them may be in the lanes now. */
  readonly metKeys: boolean
}

/**
 * `park`: this worker does not know it, or its type is held back · `expire`: it is too late to start · `close`: its key has
 * no room any more, or another job of it is next.
 */
export type Fate = 'run' | 'park' | 'expire' | 'close'

export const isToPark = (worker: Claimer, holds: WideHolds, type: number): boolean =>
  holds.types.has(type) || !worker.types.has(type)

/** A claim looks at most at this many jobs it cannot hand out, and hands out at most so much payload (but one job). */
export const skipLimit = 1000
export const byteLimit: number = 8 * 1024 * 1024
/** Jobs without a key that are set aside in one step, where nothing that could be handed out stands between them. */
export const runLimit = 5000
/** How many looks such a step counts as: it takes no longer. */
export const looksOf = (run: number): number => Math.ceil(run / 10)
