// The log that rates are measured by: one row for all starts of an instant, with their running total, so that a window is
// counted by its first and its last row, however many starts it holds. What the count means: core/limit.ts.
import { fillOf, windowStart, type Rate, type RateFill } from '../core/limit.ts'
import type { Measure, Measured } from '../store/opening.ts'
import type { Reader } from './reader.ts'
import type { Sql } from './statements.ts'
import type { Turn } from './turn.ts'

// Starts of the same instant share a row; the newest row has the total.
const addStarts = /* sql */ `
  INSERT INTO forgeq_start (queue, what, at, n, total, until)
  SELECT ?1, ?2, ?3, ?4, ?4 + coalesce((SELECT total FROM forgeq_start WHERE queue = ?1 AND what = ?2 ORDER BY at DESC LIMIT 1), 0), ?5
  ON CONFLICT (queue, what, at) DO UPDATE SET n = n + excluded.n, total = excluded.total, until = max(until, excluded.until)`
const inWindow = /* sql */ `
  SELECT f.at, l.total - f.total + f.n AS count
  FROM (SELECT at, n, total FROM forgeq_start WHERE queue = ?1 AND what = ?2 AND at > ?3 ORDER BY at LIMIT 1) f,
    (SELECT total FROM forgeq_start WHERE queue = ?1 AND what = ?2 ORDER BY at DESC LIMIT 1) l`
// Oldest first: a total counts all rows between two others.
const forget = /* sql */ `
  DELETE FROM forgeq_start WHERE (queue, what, at) IN (
    SELECT queue, what, at FROM forgeq_start s WHERE until <= ?1 AND NOT EXISTS (
      SELECT 1 FROM forgeq_start o WHERE o.queue = s.queue AND o.what = s.what AND o.at < s.at AND o.until > ?1)
    ORDER BY until LIMIT ?2) RETURNING queue, what`
const anyOver = /* sql */ `SELECT 1 FROM forgeq_start WHERE until <= ? LIMIT 1`

export const noteStarts = (turn: Turn, queue: number, what: Measured, n: number, rate: Rate): void => {
  turn.sql(addStarts).run(queue, what, turn.now, n, turn.now + rate.perMs)
}

/** What a rate leaves now. */
export const rateFill = (db: Reader, queue: number, what: Measured, rate: Rate): RateFill => {
  const row = db.sql(inWindow).get(queue, what, windowStart(rate, db.now)) as { at: number; count: number } | undefined
  return fillOf(rate, { count: row?.count ?? 0, firstAt: row?.at ?? null })
}

/** What rates of a queue leave now. */
export const rateFills = (db: Reader, queue: number, rates: readonly Measure[]): ReadonlyMap<string, RateFill> =>
  new Map(rates.map(([what, rate]) => [what, rateFill(db, queue, what, rate)]))

/** Whether starts are remembered that no window counts any more. */
export const anyStartOver = (db: Sql, now: number): boolean => db.sql(anyOver).get(now) !== undefined

/** What a longer window still counted is not counted any more: whom that lets go on is told. */
export const forgetStarts = (turn: Turn, limit: number): void => {
  const rows = turn.sql(forget).all(turn.now, limit) as { queue: number; what: string }[]
  rows.sort((a, b) => (a.what < b.what ? -1 : 1))
  for (const { queue, what } of rows) {
    if (what.startsWith('k')) turn.touch(queue, what.slice(1))
    else turn.hint(`ready:${turn.names.queue.name(queue)}`)
  }
}
