// Looks again at what was closed, when its alarm is due.
import { openQueueAgain } from './openings.ts'
import { rowsAt } from './seek.ts'
import { reviewFrom } from './settings.ts'
import type { Turn } from './turn.ts'

const dueQueues = /* sql */ `
  SELECT DISTINCT queue FROM (SELECT queue FROM forgeq.alarm WHERE at <= $1 ORDER BY at, queue, what LIMIT $2) a`
// Who promotes at the same time takes others.
const take = /* sql */ `
  WITH due AS MATERIALIZED (
    SELECT queue, what FROM forgeq.alarm WHERE at <= $1 AND queue = ANY ($3::int[]) ORDER BY at, queue, what LIMIT $2
    FOR UPDATE SKIP LOCKED)
  SELECT queue, what FROM due`
const remove = /* sql */ `
  DELETE FROM forgeq.alarm WHERE ${rowsAt('alarm', { queue: 'int', what: 'text' })}`
const nextKeys = /* sql */ `
  WITH RECURSIVE k AS (
    (SELECT key, 1 AS n FROM forgeq.line WHERE queue = $1 AND key > $2 ORDER BY key LIMIT 1)
    UNION ALL
    SELECT (SELECT l.key FROM forgeq.line l WHERE l.queue = $1 AND l.key > k.key ORDER BY l.key LIMIT 1), n + 1
    FROM k WHERE k.key IS NOT NULL AND n < $3)
  SELECT key FROM k WHERE key IS NOT NULL`

/** Queues with an alarm that is due. */
export const alarmedQueues = async (turn: Turn, limit: number): Promise<readonly number[]> =>
  (await turn.all<{ queue: number }>(dueQueues, turn.now, limit)).map(({ queue }) => queue)

interface Alarm {
  readonly queue: number
  readonly what: string
}

/**
 * Touches the keys whose alarm is due; others hear that their queue may be open. Looks at `limit` of them at most, in queues
 * in which the caller is alone, and answers at how many it did.
 */
export const ring = async (turn: Turn, limit: number, queues: readonly number[]): Promise<number> => {
  if (queues.length === 0) return 0
  const rows = await turn.all<Alarm>(take, turn.now, limit, queues)
  const others = rows.filter((row) => !isReview(row))
  await removeAll(turn, others)
  for (const { queue, what } of others) {
    if (what.startsWith('k')) turn.touch(queue, what.slice(1))
    else if (what.startsWith('a')) turn.touch(queue, what.slice(what.indexOf(' ') + 1))
    else await openQueueAgain(turn, await turn.gates.of(queue), what)
  }
  let room = limit - others.length
  for (const alarm of rows.filter(isReview)) {
    if (room <= 0) break
    await removeAll(turn, [alarm])
    room = await review(turn, alarm.queue, alarm.what.slice(1), room)
  }
  return limit - room
}

const isReview = ({ what }: Alarm): boolean => what.startsWith('v')

const removeAll = async (turn: Turn, alarms: readonly Alarm[]): Promise<void> => {
  if (alarms.length === 0) return
  await turn.run(
    remove,
    alarms.map(({ queue }) => queue),
    alarms.map(({ what }) => what),
  )
}

/** Limits of keys have changed: looks at the keys behind `from`, and leaves an alarm for those that it did not reach. */
const review = async (turn: Turn, queue: number, from: string, limit: number): Promise<number> => {
  const keys = await turn.all<{ key: string }>(nextKeys, queue, from, limit)
  for (const { key } of keys) turn.touch(queue, key)
  if (keys.length < limit) return limit - keys.length
  reviewFrom(turn, queue, keys.at(-1)!.key)
  return 0
}
