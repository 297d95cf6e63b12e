// How much of a queue is open: which lanes, and how many jobs may start from them. Keys have an opening each: keys.ts.
import type { RateFill } from '../core/limit.ts'
import { isWideOpen, measuresOf, openingOf, startsOf, wide, type Opening, type Gate } from '../store/opening.ts'
import type { Claimed } from '../store/records.ts'
import { stateCodes } from '../store/state-codes.ts'
import { setAlarm } from './holds.ts'
import type { Reader } from './reader.ts'
import { noteStarts, rateFill, rateFills } from './starts.ts'
import type { Turn } from './turn.ts'

export const openingNow = (db: Reader, gate: Gate): Opening => {
  if (isWideOpen(gate)) return wide
  const { queue, limits } = gate
  const fills = rateFills(db, queue, measuresOf(limits))
  return openingOf(gate, fills, limits.concurrency === null ? 0 : db.count(queue, stateCodes.running))
}

/**
 * Whether something of a queue, by name, may start that `sql` finds: it gets the number of the queue, the first and the last
 * lane of a part, and the worker's types as JSON text without those that are held back.
 */
export const isOpenTo = (db: Reader, name: string, types: string, sql: string): boolean => {
  const queue = db.names.queue.find(name)
  if (queue === undefined) return false
  const gate = db.gate(queue)
  const { holds } = gate
  const free =
    holds.types.size === 0 ? types : JSON.stringify(numbersOf(types).filter((type) => !holds.types.has(type)))
  const { parts } = openingNow(db, gate)
  return parts.some(({ from, to }) => db.sql(sql).get(queue, from, to, free) !== undefined)
}

const numbersOf = (types: string): number[] => JSON.parse(types) as number[]

/** Charges what was claimed, and sets an alarm where that was the last that a rate leaves. */
export const charge = (turn: Turn, { queue, limits }: Gate, claimed: readonly Claimed[]): void => {
  for (const [what, rate, n] of startsOf(limits, claimed)) {
    noteStarts(turn, queue, what, n, rate)
    alarmIfShut(turn, queue, what, rateFill(turn, queue, what, rate))
  }
}

const alarmIfShut = (turn: Turn, queue: number, what: string, { opensAt }: RateFill): void => {
  if (opensAt !== null) setAlarm(turn, queue, what, opensAt)
}

/** Limits were set: an alarm for what is closed at once. */
export const alarmIfClosed = (turn: Turn, { queue, limits }: Gate, what: string): void => {
  for (const [measured, rate] of measuresOf(limits)) {
    if (measured === what) alarmIfShut(turn, queue, what, rateFill(turn, queue, measured, rate))
  }
}

/** Its alarm is due: tells those who wait, and sets the next one where a rate is closed all the same. */
export const openQueueAgain = (turn: Turn, gate: Gate, what: string): void => {
  alarmIfClosed(turn, gate, what)
  turn.hint(`ready:${turn.names.queue.name(gate.queue)}`)
}
