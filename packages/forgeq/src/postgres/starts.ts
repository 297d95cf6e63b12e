// The log that rates are measured by: one row for all starts of an instant, with their running total, so that a window is
// counted by its first and its last row, however many starts it holds. What the count means: core/limit.ts.
import { fillOf, windowStart, type Rate, type RateFill } from '../core/limit.ts'
import type { Measure, Measured } from '../store/opening.ts'
import type { Batch } from './batch.ts'
import { rowsOf } from './seek.ts'
import type { Turn } from './turn.ts'

// Starts of the same instant share a row; the newest row has the total. Who counts starts is alone in the queue, but may have
// taken the time before somebody who was there first: starts are logged no earlier than the last.
const addStarts: Batch = {
  sql: /* sql */ `
  INSERT INTO forgeq.start (queue, what, at, n, total, until)
  SELECT s.queue, s.what, greatest(s.at, l.at), s.n, s.n + coalesce(l.total, 0), s.until + greatest(l.at - s.at, 0)
  FROM unnest($1::int[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[]) AS s (queue, what, at, n, until)
    LEFT JOIN LATERAL (SELECT at, total FROM forgeq.start x WHERE x.queue = s.queue AND x.what = s.what
      ORDER BY x.at DESC LIMIT 1) l ON true
  ON CONFLICT (queue, what, at) DO UPDATE
    SET n = start.n + excluded.n, total = excluded.total, until = greatest(start.until, excluded.until)`,
}

/** The first start after \`since\` of what row \`k\` names, and how many there are. */
export const windowOf = (what: string, since: string): string => `LATERAL (
  SELECT f.at AS first_at, l.total - f.total + f.n AS starts
  FROM (SELECT at, n, total FROM forgeq.start WHERE queue = k.queue AND what = ${what} AND at > ${since} ORDER BY at LIMIT 1) f,
    (SELECT total FROM forgeq.start WHERE queue = k.queue AND what = ${what} ORDER BY at DESC LIMIT 1) l)`

const windows = /* sql */ `
  SELECT k.what, w.first_at, w.starts FROM unnest($1::int[], $2::text[], $3::bigint[]) AS k (queue, what, since)
    CROSS JOIN ${windowOf('k.what', 'k.since')} w`
// Oldest first: a total counts all rows between two others.
const forget = /* sql */ `
  DELETE FROM forgeq.start WHERE ${rowsOf(`
    SELECT ctid FROM forgeq.start s WHERE until <= $1 AND NOT EXISTS (
      SELECT 1 FROM forgeq.start o WHERE o.queue = s.queue AND o.what = s.what AND o.at < s.at AND o.until > $1 OFFSET 0)
    ORDER BY until LIMIT $2 FOR UPDATE SKIP LOCKED`)} RETURNING queue, what`

export const noteStarts = (turn: Turn, queue: number, what: Measured, n: number, rate: Rate): void => {
  turn.push(addStarts, queue, what, turn.now, n, turn.now + rate.perMs)
}

/** What rates of a queue leave now. */
export const rateFills = async (
  turn: Turn,
  queue: number,
  rates: readonly Measure[],
): Promise<ReadonlyMap<string, RateFill>> => {
  if (rates.length === 0) return new Map()
  const rows = await turn.all<{ what: string; first_at: number; starts: number }>(
    windows,
    rates.map(() => queue),
    rates.map(([what]) => what),
    rates.map(([, rate]) => windowStart(rate, turn.now)),
  )
  const counted = new Map(rows.map((row) => [row.what, row]))
  return new Map(
    rates.map(([what, rate]) => {
      const row = counted.get(what)
      return [what, fillOf(rate, { count: row?.starts ?? 0, firstAt: row?.first_at ?? null })]
    }),
  )
}

/** What a longer window still counted is not counted any more: whom that lets go on is told. */
export const forgetStarts = async (turn: Turn, limit: number): Promise<void> => {
  const rows = await turn.all<{ queue: number; what: string }>(forget, turn.now, limit)
  const sorted = [...rows].sort((a, b) => (a.what < b.what ? -1 : 1))
  for (const { queue, what } of sorted) {
    if (what.startsWith('k')) turn.touch(queue, what.slice(1))
    else turn.hint(`ready:${turn.names.queue.name(queue)}`)
  }
}
