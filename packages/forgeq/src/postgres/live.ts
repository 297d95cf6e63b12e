// Rows of live: how they get into a lane, and out of it.
import type { Counters } from '../core/counters.ts'
import { exactly, type Batch } from './batch.ts'
import { rowsAt } from './seek.ts'
import type { Turn } from './turn.ts'

const addReady: Batch = {
  sql: /* sql */ `
  INSERT INTO forgeq.live (queue, lane, seq, job, type, at, claim, attempt, crashes, settler, moved)
  SELECT r.*, true FROM unnest($1::int[], $2::int[], $3::bigint[], $4::uuid[], $5::int[], $6::bigint[], $7::int[], $8::int[], $9::int[],
    $10::int[]) AS r`,
}

/** At the end of a lane. */
export const putInLane = (
  turn: Turn,
  job: { readonly queue: number; readonly id: string; readonly type: number },
  lane: number,
  at: number,
  { claim, attempt, crashes, settler }: Counters,
): void => {
  turn.hasFilledLanes = true
  turn.push(addReady, job.queue, lane, turn.nextSeq(), job.id, job.type, at, claim, attempt, crashes, settler)
}

// A claimer that shares the queue may have been faster.
export const takeLive: Batch = {
  sql: exactly(/* sql */ `
  DELETE FROM forgeq.live WHERE ${rowsAt('live', { queue: 'int', lane: 'int', seq: 'bigint' })}`),
}
