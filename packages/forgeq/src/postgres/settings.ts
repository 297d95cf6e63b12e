// Changes the settings of a queue.
import { changeLimits, noLimits, type QueueSettings } from '../core/limit.ts'
import { setAlarm } from './holds.ts'
import { alarmIfClosed } from './openings.ts'
import type { Turn } from './turn.ts'

const save = /* sql */ `UPDATE forgeq.queue SET paused = $2, accepting = $3, limits = $4 WHERE id = $1`
// Who had the turn may have a token before those who come first in the line: the review gives it to them.
const dropTokens = /* sql */ `
  DELETE FROM forgeq.live WHERE queue = $1 AND worker IS NULL AND key IN (SELECT key FROM forgeq.key_turn WHERE queue = $1)`
const forgetTurns = /* sql */ `DELETE FROM forgeq.key_turn WHERE queue = $1`
const forgetReview = /* sql */ `DELETE FROM forgeq.alarm WHERE queue = $1 AND what >= 'v'`

/** The keys behind this one, by name, are to be looked at: by the next promote calls, for they may be many. */
export const reviewFrom = (turn: Turn, queue: number, key: string): void => {
  setAlarm(turn, queue, `v${key}`, turn.now)
}

/** Whoever claims or enqueues is out of the queue while this runs, and sees it afterwards. */
export const setQueue = async (turn: Turn, name: string, settings: QueueSettings): Promise<void> => {
  const queue = turn.names.queue.id(name)
  const before = await turn.gates.of(queue, true)
  const limits = changeLimits(before.limits, settings)
  const { paused = before.isPaused, accepting = before.isAccepting } = settings
  const text = JSON.stringify(limits)
  await turn.run(save, queue, paused, accepting, text === JSON.stringify(noLimits) ? null : text)
  turn.gates.forget(queue)
  const gate = await turn.gates.of(queue)
  if (settings.rate) await alarmIfClosed(turn, gate, 'q')
  for (const level of Object.keys(settings.rates ?? {})) await alarmIfClosed(turn, gate, `l${Number(level)}`)
  if (settings.perKey !== undefined) {
    if (before.limits.perKey.ordered && !limits.perKey.ordered) {
      await turn.run(dropTokens, queue)
      await turn.run(forgetTurns, queue)
    }
    await turn.run(forgetReview, queue)
    reviewFrom(turn, queue, '')
  }
  const isOnlyPause = settings.paused === true && Object.keys(settings).length === 1
  if (!isOnlyPause) turn.hint(`ready:${name}`)
}
