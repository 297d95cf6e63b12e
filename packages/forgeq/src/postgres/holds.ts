// What is closed until an instant. A hold: a handler asked that nothing of a queue, type or key starts before. An alarm: when
// something that a rate or a hold closed opens again, so that nobody polls for it; a needless one only wakes in vain.
import type { HoldBack } from '../store/records.ts'
import type { Batch } from './batch.ts'
import { rowsOf } from './seek.ts'
import type { Turn } from './turn.ts'

// Keys come before the rest in binary order: what holds the queue and its types is read as a range.
const heldQueue = 'q'
const heldType = (type: number): string => `t${type}`
export const heldKey = (key: string): string => `k${key}`
/** The alarm of a queue that is held back; that of its rate is `q`. */
const queueAlarm = 'h'

const addHold = /* sql */ `
  INSERT INTO forgeq.hold (queue, what, until) VALUES ($1, $2, $3)
  ON CONFLICT (queue, what) DO UPDATE SET until = greatest(hold.until, excluded.until) RETURNING until`
const forget = /* sql */ `
  DELETE FROM forgeq.hold
  WHERE ${rowsOf('SELECT ctid FROM forgeq.hold WHERE until <= $1 ORDER BY until LIMIT $2 FOR UPDATE SKIP LOCKED')}`
// The last word of a transaction about an alarm counts.
const addAlarm: Batch = {
  sql: /* sql */ `
  INSERT INTO forgeq.alarm (queue, what, at)
  SELECT DISTINCT ON (a.queue, a.what) a.queue, a.what, a.at
  FROM unnest($1::int[], $2::text[], $3::bigint[]) WITH ORDINALITY AS a (queue, what, at, n) ORDER BY a.queue, a.what, a.n DESC
  ON CONFLICT (queue, what) DO UPDATE SET at = excluded.at`,
}

/** Holds back what the handler of this job asked for. Its caller is alone in the queue. */
export const holdBack = async (
  turn: Turn,
  job: { readonly queue: number; readonly type: number; readonly key: string | null },
  hold: HoldBack | undefined,
): Promise<void> => {
  if (hold === undefined || (hold.scope === 'key' && job.key === null)) return
  const { scope, forMs } = hold
  const what = scope === 'key' ? heldKey(job.key!) : scope === 'type' ? heldType(job.type) : heldQueue
  const longest = await turn.one<{ until: number }>(addHold, job.queue, what, turn.now + forMs)
  // A key sets its alarm itself, when somebody waits for it.
  if (scope === 'key') return turn.touch(job.queue, job.key!)
  turn.gates.forget(job.queue)
  setAlarm(turn, job.queue, scope === 'type' ? what : queueAlarm, longest!.until)
}

export const setAlarm = (turn: Turn, queue: number, what: string, at: number): void => {
  turn.push(addAlarm, queue, what, at)
  turn.dueAt(at)
}

export const forgetHolds = async (turn: Turn, limit: number): Promise<void> => {
  await turn.run(forget, turn.now, limit)
}
