// Ends a job: its row in done, its unique key freed, its retention planned, those who wait for it told. All in the
// transaction that ends it.
import { keptMs } from '../core/retention.ts'
import type { Ending } from '../store/ending.ts'
import { endOfKeyed } from './keys.ts'
import { stateCodes } from '../store/state-codes.ts'
import type { Turn } from './turn.ts'
import { endUnique, releaseUnique } from './unique.ts'

const addDone = /* sql */ `
  INSERT INTO forgeq_done (job, state, claim, attempt, crashes, settler, started_at, finished_at, result_until, expires_at, reason, result)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

export interface End extends Ending {
  readonly seq: number
  readonly id: string
  /** Whether its unique key is to be freed, if it has one. */
  readonly holdsUnique: boolean
}

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
