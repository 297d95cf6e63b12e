// How a job ends, as stores write it down.
import type { Counters } from '../core/counters.ts'
import type { State } from '../core/states.ts'

export interface Ending extends Counters {
  readonly queue: number
  readonly key: string | null
  readonly state: Extract<State, 'completed' | 'dead' | 'cancelled'>
  readonly reason: string | null
  readonly result: string | null
  /** When the claim that ended it started; `null` when it was not running. */
  readonly startedAt: number | null
  readonly keepResultMs: number
}

/** What is true of a job that ends before its first claim. */
export const neverClaimed = {
  claim: 0,
  attempt: 1,
  crashes: 0,
  settler: 0,
  startedAt: null,
  result: null,
  keepResultMs: 0,
} as const
