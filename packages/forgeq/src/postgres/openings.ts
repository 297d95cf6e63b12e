// How much of a queue is open: which lanes, and how many jobs may start from them. Keys have an opening each: keys.ts.
import type { QueueLimits, RateFill } from '../core/limit.ts'
import { lastLevel, levels, type Lanes } from '../store/lanes.ts'
import type { Claimed } from '../store/records.ts'
import { stateCodes } from '../store/state-codes.ts'
import type { Gate } from './gate.ts'
import { setAlarm } from './holds.ts'
import { noteStarts, rateFills, type Measured } from './starts.ts'
import type { Turn } from './turn.ts'

/** What of a queue may start now: how many in all, and from which lanes how many. */
export interface Opening {
  readonly most: number
  /** In order. A closed level leaves those below it open. */
  readonly parts: readonly (Lanes & { readonly most: number })[]
}

const wide: Opening = { most: Infinity, parts: [{ ...levels(0, lastLevel), most: Infinity }] }
const shut: Opening = { most: 0, parts: [] }

const hasRates = ({ rate, rates }: QueueLimits): boolean => rate !== null || Object.keys(rates).length > 0

/** Whether the whole queue is open, as it is when nobody limited it. */
const isWideOpen = ({ limits, holds, isPaused }: Gate): boolean =>
  !isPaused && holds.queue === null && limits.concurrency === null && !hasRates(limits)

export const openingOf = async (turn: Turn, gate: Gate): Promise<Opening> => {
  if (isWideOpen(gate)) return wide
  const { queue, limits, holds } = gate
  if (gate.isPaused || holds.queue !== null) return shut
  const [fill] = limits.rate === null ? [] : await rateFills(turn, queue, [['q', limits.rate]])
  const ofSlots =
    limits.concurrency === null ? Infinity : limits.concurrency - (await turn.count(queue, stateCodes.running))
  const most = Math.min(fill?.left ?? Infinity, ofSlots)
  return most <= 0 ? shut : { most, parts: await partsOf(turn, gate) }
}

const levelRates = ({ rates }: QueueLimits): readonly (readonly [`l${number}`, QueueLimits['rates'][number]])[] =>
  Object.entries(rates).map(([level, rate]) => [`l${Number(level)}`, rate])

/** The limited levels by themselves, what is between them together. */
const partsOf = async (turn: Turn, { queue, limits }: Gate): Promise<Opening['parts']> => {
  const parts: Opening['parts'][number][] = []
  const limited = levelRates(limits)
  const fills = await rateFills(turn, queue, limited)
  let first = 0
  for (const [i, [what]] of limited.entries()) {
    const level = Number(what.slice(1))
    if (first < level) parts.push({ ...levels(first, level - 1), most: Infinity })
    first = level + 1
    const { left } = fills[i]!
    if (left > 0) parts.push({ ...levels(level, level), most: left })
  }
  if (first <= lastLevel) parts.push({ ...levels(first, lastLevel), most: Infinity })
  return parts
}

/**
 * Whether something of a queue, by name, may start that `sql` finds: it gets the number of the queue, the first and the last
 * lane of a part, and the worker's types without those that are held back.
 */
export const isOpenTo = async (turn: Turn, name: string, types: readonly number[], sql: string): Promise<boolean> => {
  const queue = turn.names.queue.find(name)
  if (queue === undefined) return false
  const gate = await turn.gate(queue)
  const free = types.filter((type) => !gate.holds.types.has(type))
  for (const { from, to } of (await openingOf(turn, gate)).parts) {
    if ((await turn.one(sql, queue, from, to, free)) !== undefined) return true
  }
  return false
}

/** Charges what was claimed, and sets an alarm where that was the last that a rate leaves. */
export const charge = async (turn: Turn, { queue, limits }: Gate, claimed: readonly Claimed[]): Promise<void> => {
  if (claimed.length === 0 || !hasRates(limits)) return
  const charged: (readonly [Measured, QueueLimits['rates'][number]])[] = []
  for (const [what, rate] of levelRates(limits)) {
    const n = claimed.filter(({ policy }) => `l${policy.priority}` === what).length
    if (n === 0) continue
    noteStarts(turn, queue, what, n, rate)
    charged.push([what, rate])
  }
  if (limits.rate !== null) {
    noteStarts(turn, queue, 'q', claimed.length, limits.rate)
    charged.push(['q', limits.rate])
  }
  alarmIfShut(turn, queue, charged, await rateFills(turn, queue, charged))
}

const alarmIfShut = (
  turn: Turn,
  queue: number,
  measured: readonly (readonly [Measured, unknown])[],
  fills: readonly RateFill[],
): void => {
  for (const [i, [what]] of measured.entries()) {
    const { opensAt } = fills[i]!
    if (opensAt !== null) setAlarm(turn, queue, what, opensAt)
  }
}

/** Limits were set: an alarm for what is closed at once. */
export const alarmIfClosed = async (turn: Turn, { queue, limits }: Gate, what: 'q' | `l${number}`): Promise<void> => {
  const rate = what === 'q' ? limits.rate : limits.rates[Number(what.slice(1))]
  if (rate) alarmIfShut(turn, queue, [[what, rate]], await rateFills(turn, queue, [[what, rate]]))
}

/** Its alarm is due: tells those who wait, and sets the next one where a rate is closed all the same. */
export const openQueueAgain = async (turn: Turn, gate: Gate, what: string): Promise<void> => {
  if (what === 'q' || what.startsWith('l')) await alarmIfClosed(turn, gate, what as 'q' | `l${number}`)
  turn.hint(`ready:${gate.name}`)
}
