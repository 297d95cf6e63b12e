// What workers hold: for each exchange that claimed, where its jobs are and how many of them still run. The rows of a job
// that runs do not say so in any index.
import type { Batch } from './batch.ts'
import { rowsOf } from './seek.ts'
import type { Turn } from './turn.ts'

const note: Batch = {
  sql: /* sql */ `
  INSERT INTO forgeq.held (worker, turn, queue, lanes, seqs, open)
  SELECT h.worker, h.turn, h.queue, h.lanes::int[], h.seqs::bigint[], h.open
  FROM unnest($1::int[], $2::bigint[], $3::int[], $4::text[], $5::text[], $6::int[]) AS h (worker, turn, queue, lanes, seqs, open)`,
}

interface Spot {
  readonly lane: number
  readonly seq: number
}

/** An exchange claimed these jobs of a queue, all that it claims there. */
export const noteHeld = (
  turn: Turn,
  holder: { readonly worker: number; readonly turn: number },
  queue: number,
  spots: readonly Spot[],
): void => {
  if (spots.length === 0) return
  const [lanes, seqs] = [spots.map(({ lane }) => lane), spots.map(({ seq }) => seq)]
  turn.push(note, holder.worker, holder.turn, queue, `{${lanes.join(',')}}`, `{${seqs.join(',')}}`, spots.length)
}

/** Takes off what has ended, in columns worker, turn, queue and n: each row once. */
export const countDown = (ended: string): string => /* sql */ `
  WITH ended AS (${ended}),
  found AS MATERIALIZED (
    SELECT h.place, h.open - e.n AS rest FROM ended e CROSS JOIN LATERAL (
      SELECT ctid AS place, open FROM forgeq.held WHERE worker = e.worker AND turn = e.turn AND queue = e.queue OFFSET 0) h),
  over AS (DELETE FROM forgeq.held WHERE ${rowsOf('SELECT place FROM found WHERE rest <= 0')})
  UPDATE forgeq.held h SET open = (SELECT f.rest FROM found f WHERE f.place = h.ctid)
  WHERE ${rowsOf('SELECT place FROM found WHERE rest > 0')}`

// Whoever ends a claim has taken its row out of live before, exactly: so each row is counted down by one transaction at a time.
const takeOff: Batch = {
  sql: countDown(/* sql */ `
    SELECT e.worker, e.turn, e.queue, count(*) AS n FROM unnest($1::int[], $2::bigint[], $3::int[]) AS e (worker, turn, queue)
    GROUP BY 1, 2, 3`),
}

/** One of them does not run any more. */
export const endHeld = (turn: Turn, worker: number, inTurn: number, queue: number): void => {
  turn.push(takeOff, worker, inTurn, queue)
}
