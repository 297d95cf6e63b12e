// Ends a job: its row in done, its unique key freed, its retention planned, those who wait for it told. All in the
// transaction that ends it.
import { keptMs } from '../core/retention.ts'
import type { Ending } from '../store/ending.ts'
import { stateCodes } from '../store/state-codes.ts'
import type { Batch } from './batch.ts'
import { endOfKeyed } from './keys.ts'
import type { Turn } from './turn.ts'
import { endUnique, releaseUnique, type Owner } from './unique.ts'

const addDone: Batch = {
  sql: /* sql */ `
  INSERT INTO forgeq.done (job, state, claim, attempt, crashes, settler, started_at, finished_at, result_until, expires_at, reason,
    result)
  SELECT * FROM unnest($1::uuid[], $2::int[], $3::int[], $4::int[], $5::int[], $6::int[], $7::bigint[], $8::bigint[], $9::bigint[],
    $10::bigint[], $11::text[], $12::text[])`,
}

export type End = Ending & Owner

export const finish = async (turn: Turn, end: End): Promise<void> => {
  const state = stateCodes[end.state]
  turn.push(
    addDone,
    end.id,
    state,
    end.claim,
    end.attempt,
    end.crashes,
    end.settler,
    end.startedAt,
    turn.now,
    end.state === 'completed' ? turn.now + end.keepResultMs : null,
    turn.expire(end.id, keptMs(end.state, end.keepResultMs)),
    end.reason,
    end.result,
  )
  turn.tally(end.queue, state, 1)
  if (end.key !== null) await endOfKeyed(turn, { queue: end.queue, key: end.key }, end.id)
  // Of a job that was cancelled or came too late, nothing was done that a time to hold the key is there for.
  if (end.state === 'cancelled') releaseUnique(turn, end)
  else endUnique(turn, end)
  turn.hintEnded(end.id)
}
