// How much of a queue is open: which lanes, and how many jobs may start from them. Keys have an opening each: keys.ts.
import { isWideOpen, measuresOf, openingOf, startsOf, wide, type Measure, type Opening } from '../store/opening.ts'
import type { Claimed } from '../store/records.ts'
import { stateCodes } from '../store/state-codes.ts'
import type { Gate } from './gate.ts'
import { setAlarm } from './holds.ts'
import { noteStarts, rateFills } from './starts.ts'
import type { Turn } from './turn.ts'

export const openingNow = async (turn: Turn, gate: Gate): Promise<Opening> => {
  if (isWideOpen(gate)) return wide
  const { queue, limits } = gate
  const fills = await rateFills(turn, queue, measuresOf(limits))
  return openingOf(gate, fills, limits.concurrency === null ? 0 : await turn.count(queue, stateCodes.running))
}

/**
 * Whether something of a queue, by name, may start that `sql` finds: it gets the number of the queue, the first and the last
 * lane of a part, the worker's types without those that are held back, and the segments of the lanes that may have jobs.
 */
export const isOpenTo = async (turn: Turn, name: string, types: readonly number[], sql: string): Promise<boolean> => {
  const queue = turn.names.queue.find(name)
  if (queue === undefined) return false
  const gate = await turn.gates.of(queue)
  const free = types.filter((type) => !gate.holds.types.has(type))
  for (const { from, to } of (await openingNow(turn, gate)).parts) {
    const { first, after, last } = turn.heads.segments(queue, { from, to })
    if ((await turn.one(sql, queue, from, to, free, first, after, last)) !== undefined) return true
  }
  return false
}

/** Charges what was claimed, and sets an alarm where that was the last that a rate leaves. */
export const charge = async (turn: Turn, { queue, limits }: Gate, claimed: readonly Claimed[]): Promise<void> => {
  const charged: Measure[] = []
  for (const [what, rate, n] of startsOf(limits, claimed)) {
    noteStarts(turn, queue, what, n, rate)
    charged.push([what, rate])
  }
  await alarmIfShut(turn, queue, charged)
}

const alarmIfShut = async (turn: Turn, queue: number, measures: readonly Measure[]): Promise<void> => {
  for (const [what, { opensAt }] of await rateFills(turn, queue, measures)) {
    if (opensAt !== null) setAlarm(turn, queue, what, opensAt)
  }
}

/** Limits were set: an alarm for what is closed at once. */
export const alarmIfClosed = async (turn: Turn, { queue, limits }: Gate, what: string): Promise<void> => {
  const measures = measuresOf(limits).filter(([measured]) => measured === what)
  await alarmIfShut(turn, queue, measures)
}

/** Its alarm is due: tells those who wait, and sets the next one where a rate is closed all the same. */
export const openQueueAgain = async (turn: Turn, gate: Gate, what: string): Promise<void> => {
  await alarmIfClosed(turn, gate, what)
  turn.hint(`ready:${gate.name}`)
}
