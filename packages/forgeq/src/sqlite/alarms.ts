// Looks again at what was closed, when its alarm is due.
import { openQueueAgain } from './openings.ts'
import { reviewFrom } from './settings.ts'
import type { Turn } from './turn.ts'

const due = /* sql */ `SELECT queue, what FROM forgeq_alarm WHERE at <= ? ORDER BY at, queue, what LIMIT ?`
const take = /* sql */ `DELETE FROM forgeq_alarm WHERE queue = ? AND what = ?`
const nextKey = /* sql */ `SELECT key FROM forgeq_line WHERE queue = ? AND key > ? ORDER BY key LIMIT 1`

/**
 * Touches the keys whose alarm is due; others hear that their queue may be open. Looks at `limit` of them at most, and answers
 * at how many it did.
 */
export const ring = (turn: Turn, limit: number): number => {
  const rows = turn.sql(due).all(turn.now, limit) as { queue: number; what: string }[]
  const [reviews, others] = [rows.filter(isReview), rows.filter((row) => !isReview(row))]
  for (const { queue, what } of others) {
    turn.sql(take).run(queue, what)
    if (what.startsWith('k')) turn.touch(queue, what.slice(1))
    else openQueueAgain(turn, turn.gate(queue), what)
  }
  let room = limit - others.length
  for (const { queue, what } of reviews) {
    if (room <= 0) break
    turn.sql(take).run(queue, what)
    room = review(turn, queue, what.slice(1), room)
  }
  return limit - room
}

const isReview = ({ what }: { readonly what: string }): boolean => what.startsWith('v')

/** Limits of keys have changed: looks at the keys behind `from`, and leaves an alarm for those that it did not reach. */
const review = (turn: Turn, queue: number, from: string, limit: number): number => {
  let last = from
  for (let room = limit; room > 0; room--) {
    const next = turn.sql(nextKey).get(queue, last) as { key: string } | undefined
    if (next === undefined) return room
    last = next.key
    turn.touch(queue, last)
  }
  reviewFrom(turn, queue, last)
  return 0
}
