// Changes the settings of a queue.
import { changeLimits, noLimits, type QueueSettings } from '../core/limit.ts'
import { setAlarm } from './holds.ts'
import { alarmIfClosed } from './openings.ts'
import type { Turn } from './turn.ts'

const save = /* sql */ `UPDATE forgeq_queue SET paused = ?, accepting = ?, limits = ? WHERE id = ?`
// Who had the turn may have a token before those who come first in the line: the review gives it to them.
const dropTokens = /* sql */ `
  DELETE FROM forgeq_ready INDEXED BY forgeq_ready_key
  WHERE (queue, key) IN (SELECT queue, key FROM forgeq_key_turn WHERE queue = ?) AND key IS NOT NULL`
const forgetTurns = /* sql */ `DELETE FROM forgeq_key_turn WHERE queue = ?`
const forgetReview = /* sql */ `DELETE FROM forgeq_alarm WHERE queue = ? AND what >= 'v'`

/** The keys behind this one, by name, are to be looked at: by the next promote calls, for they may be many. */
export const reviewFrom = (turn: Turn, queue: number, key: string): void => {
  setAlarm(turn, queue, `v${key}`, turn.now)
}

export const setQueue = (turn: Turn, name: string, settings: QueueSettings): void => {
  const queue = turn.names.queue.id(name)
  const before = turn.gate(queue)
  const limits = changeLimits(before.limits, settings)
  const { paused = before.isPaused, accepting = before.isAccepting } = settings
  const text = JSON.stringify(limits)
  turn.sql(save).run(Number(paused), Number(accepting), text === JSON.stringify(noLimits) ? null : text, queue)
  turn.forgetGate(queue)
  const gate = turn.gate(queue)
  if (settings.rate) alarmIfClosed(turn, gate, 'q')
  for (const level of Object.keys(settings.rates ?? {})) alarmIfClosed(turn, gate, `l${Number(level)}`)
  if (settings.perKey !== undefined) {
    if (before.limits.perKey.ordered && !limits.perKey.ordered) {
      turn.sql(dropTokens).run(queue)
      turn.sql(forgetTurns).run(queue)
    }
    turn.sql(forgetReview).run(queue)
    reviewFrom(turn, queue, '')
  }
  const isOnlyPause = settings.paused === true && Object.keys(settings).length === 1
  if (!isOnlyPause) turn.hint(`ready:${name}`)
}
