// How much of a queue is open: which lanes, and how many jobs may start from them. Keys have an opening each: keys.ts.
import type { QueueLimits, RateFill } from '../core/limit.ts'
import type { Claimed } from '../store/records.ts'
import type { Gate } from './gate.ts'
import { setAlarm } from './holds.ts'
import { lastLevel, levels, type Lanes } from '../store/lanes.ts'
import type { Reader } from './reader.ts'
import { stateCodes } from '../store/state-codes.ts'
import { noteStarts, rateFill } from './starts.ts'
import type { Turn } from './turn.ts'

/** What of a queue may start now: how many in all, and from which lanes how many. */
export interface Opening {
  readonly most: number
  /** In order. A closed level leaves those below it open. */
  readonly parts: readonly (Lanes & { readonly most: number })[]
}

const wide: Opening = { most: Infinity, parts: [{ ...levels(0, lastLevel), most: Infinity }] }
const shut: Opening = { most: 0, parts: [] }

export const hasRates = ({ rate, rates }: QueueLimits): boolean => rate !== null || Object.keys(rates).length > 0

/** Whether the whole queue is open, as it is when nobody limited it. */
const isWideOpen = ({ limits, holds, isPaused }: Gate): boolean =>
  !isPaused && holds.queue === null && limits.concurrency === null && !hasRates(limits)

export const openingOf = (db: Reader, gate: Gate): Opening => {
  if (isWideOpen(gate)) return wide
  const { queue, limits, holds } = gate
  if (gate.isPaused || holds.queue !== null) return shut
  const ofRate = limits.rate === null ? Infinity : rateFill(db, queue, 'q', limits.rate).left
  const ofSlots = limits.concurrency === null ? Infinity : limits.concurrency - db.count(queue, stateCodes.running)
  const most = Math.min(ofRate, ofSlots)
  return most <= 0 ? shut : { most, parts: partsOf(db, gate) }
}

/** The limited levels by themselves, what is between them together. */
const partsOf = (db: Reader, { queue, limits }: Gate): Opening['parts'] => {
  const parts: Opening['parts'][number][] = []
  let first = 0
  for (const [name, rate] of Object.entries(limits.rates)) {
    const level = Number(name)
    if (first < level) parts.push({ ...levels(first, level - 1), most: Infinity })
    first = level + 1
    const { left } = rateFill(db, queue, `l${level}`, rate)
    if (left > 0) parts.push({ ...levels(level, level), most: left })
  }
  if (first <= lastLevel) parts.push({ ...levels(first, lastLevel), most: Infinity })
  return parts
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
  const { parts } = openingOf(db, gate)
  return parts.some(({ from, to }) => db.sql(sql).get(queue, from, to, free) !== undefined)
}

const numbersOf = (types: string): number[] => JSON.parse(types) as number[]

/** Charges what was claimed, and sets an alarm where that was the last that a rate leaves. */
export const charge = (turn: Turn, { queue, limits }: Gate, claimed: readonly Claimed[]): void => {
  if (claimed.length === 0) return
  const { rate, rates } = limits
  if (rate !== null) {
    noteStarts(turn, queue, 'q', claimed.length, rate)
    alarmIfShut(turn, queue, 'q', rateFill(turn, queue, 'q', rate))
  }
  for (const [level, rateOfLevel] of Object.entries(rates)) {
    const n = claimed.filter(({ policy }) => policy.priority === Number(level)).length
    if (n === 0) continue
    const what = `l${Number(level)}` as const
    noteStarts(turn, queue, what, n, rateOfLevel)
    alarmIfShut(turn, queue, what, rateFill(turn, queue, what, rateOfLevel))
  }
}

const alarmIfShut = (turn: Turn, queue: number, what: string, { opensAt }: RateFill): void => {
  if (opensAt !== null) setAlarm(turn, queue, what, opensAt)
}

/** Limits were set: an alarm for what is closed at once. */
export const alarmIfClosed = (turn: Turn, { queue, limits }: Gate, what: 'q' | `l${number}`): void => {
  const rate = what === 'q' ? limits.rate : limits.rates[Number(what.slice(1))]
  if (rate) alarmIfShut(turn, queue, what, rateFill(turn, queue, what, rate))
}

/** Its alarm is due: tells those who wait, and sets the next one where a rate is closed all the same. */
export const openQueueAgain = (turn: Turn, gate: Gate, what: string): void => {
  if (what === 'q' || what.startsWith('l')) alarmIfClosed(turn, gate, what as 'q' | `l${number}`)
  turn.hint(`ready:${turn.names.queue.name(gate.queue)}`)
}
