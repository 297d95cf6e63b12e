// What is closed until an instant. A hold: a handler asked that nothing of a queue, type or key starts before. An alarm: when
// something that a rate or a hold closed opens again, so that nobody polls for it; a needless one only wakes in vain.
import type { HoldBack } from '../store/records.ts'
import type { Sql } from './statements.ts'
import type { Turn } from './turn.ts'

// Keys come before the rest in binary order: what holds the queue and its types is read as a range.
const heldQueue = 'q'
const heldType = (type: number): string => `t${type}`
export const heldKey = (key: string): string => `k${key}`
/** The alarm of a queue that is held back; that of its rate is `q`. */
const queueAlarm = 'h'

const addHold = /* sql */ `
  INSERT INTO forgeq_hold (queue, what, until) VALUES (?, ?, ?)
  ON CONFLICT (queue, what) DO UPDATE SET until = max(until, excluded.until) RETURNING until`
const holdOf = /* sql */ `SELECT until FROM forgeq_hold WHERE queue = ? AND what = ? AND until > ?`
const forget = /* sql */ `
  DELETE FROM forgeq_hold WHERE (queue, what) IN (SELECT queue, what FROM forgeq_hold WHERE until <= ? ORDER BY until LIMIT ?)`
const anyOver = /* sql */ `SELECT 1 FROM forgeq_hold WHERE until <= ? LIMIT 1`
const addAlarm = /* sql */ `
  INSERT INTO forgeq_alarm (queue, what, at) VALUES (?, ?, ?)
  ON CONFLICT (queue, what) DO UPDATE SET at = excluded.at`

export const keyHeldUntil = (db: Sql, queue: number, key: string, now: number): number | null =>
  (db.sql(holdOf).get(queue, heldKey(key), now) as { until: number } | undefined)?.until ?? null

/** Holds back what the handler of this job asked for. */
export const holdBack = (
  turn: Turn,
  job: { readonly queue: number; readonly type: number; readonly key: string | null },
  hold: HoldBack | undefined,
): void => {
  if (hold === undefined || (hold.scope === 'key' && job.key === null)) return
  const { scope, forMs } = hold
  const what = scope === 'key' ? heldKey(job.key!) : scope === 'type' ? heldType(job.type) : heldQueue
  const longest = turn.sql(addHold).get(job.queue, what, turn.now + forMs) as { until: number }
  // A key sets its alarm itself, when somebody waits for it.
  if (scope === 'key') return turn.touch(job.queue, job.key!)
  turn.forgetGate(job.queue)
  setAlarm(turn, job.queue, scope === 'type' ? what : queueAlarm, longest.until)
}

export const setAlarm = (turn: Turn, queue: number, what: string, at: number): void => {
  turn.sql(addAlarm).run(queue, what, at)
  turn.dueAt(at)
}

export const anyHoldOver = (db: Sql, now: number): boolean => db.sql(anyOver).get(now) !== undefined

export const forgetHolds = (turn: Turn, limit: number): void => {
  turn.sql(forget).run(turn.now, limit)
}
