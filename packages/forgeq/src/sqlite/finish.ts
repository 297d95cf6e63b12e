// Ends a job: its row in done, its unique key freed, its retention planned, those who wait for it told. All in the
// transaction that ends it.
import { keptMs } from '../core/retention.ts'
import type { State } from '../core/states.ts'
import type { Counters } from '../store/counters.ts'
import { endOfKeyed } from './keys.ts'
import { stateCodes } from '../store/state-codes.ts'
import type { Turn } from './turn.ts'
import { endUnique, releaseUnique } from './unique.ts'

const addDone = /* sql */ `
  INSERT INTO forgeq_done (job, state, claim, attempt, crashes, settler, started_at, finished_at, result_until, expires_at, reason, result)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

export interface End extends Counters {
  readonly seq: number
  readonly id: string
  readonly queue: number
  readonly key: string | null
  readonly state: Extract<State, 'completed' | 'dead' | 'cancelled'>
  readonly reason: string | null
  readonly result: string | null
  /** When the claim that ended it started; `null` when it was not running. */
  readonly startedAt: number | null
  readonly keepResultMs: number
  readonly holdsUnique: boolean
}

/** What is true of a job that ends before its first claim. The key is freed if it holds one. */
export const neverClaimed = {
  claim: 0,
  attempt: 1,
  crashes: 0,
  settler: 0,
  startedAt: null,
  result: null,
  keepResultMs: 0,
  holdsUnique: true,
} as const

export const finish = (turn: Turn, end: End): void => {
  const state = stateCodes[end.state]
  turn
    .sql(addDone)
    .run(
      end.seq,
      state,
      end.claim,
      end.attempt,
      end.crashes,
      end.settler,
      end.startedAt,
      turn.now,
      end.state === 'completed' ? turn.now + end.keepResultMs : null,
      turn.expire(end.seq, keptMs(end.state, end.keepResultMs)),
      end.reason,
      end.result,
    )
  turn.tally(end.queue, state, 1)
  if (end.key !== null) endOfKeyed(turn, { queue: end.queue, key: end.key, seq: end.seq })
  // Of a job that was cancelled or came too late, nothing was done that a time to hold the key is there for.
  if (end.holdsUnique) (end.state === 'cancelled' ? releaseUnique : endUnique)(turn, end.seq)
  turn.hintEnded(end.id)
}
