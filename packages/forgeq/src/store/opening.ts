// How much of a queue is open: which lanes, and how many jobs may start from them. Stores count what has started and what runs.
import type { QueueLimits, Rate, RateFill } from '../core/limit.ts'
import { lastLevel, levels, type Lanes } from './lanes.ts'
import type { QueueRecord } from './queue-record.ts'
import type { Claimed } from './records.ts'

/** Instants until which jobs are held back: all of the queue, and those of types. */
export interface WideHolds {
  /** `null`: it is not. */
  readonly queue: number | null
  /** By number of the type. */
  readonly types: ReadonlyMap<number, number>
}

/** What lets jobs of a queue out, as it stands: its settings, and what handlers hold back. */
export interface Gate {
  /** Its number. */
  readonly queue: number
  readonly isPaused: boolean
  readonly isAccepting: boolean
  readonly limits: QueueLimits
  readonly holds: WideHolds
}

/** What of a queue may start now: how many in all, and from which lanes how many. */
export interface Opening {
  readonly most: number
  /** In order. A closed level leaves those below it open. */
  readonly parts: readonly (Lanes & { readonly most: number })[]
}

/** What a start counts for: the queue, one of its levels, or one of its keys. */
export type Measured = 'q' | `l${number}` | `k${string}`

/** A rate of a queue or a level, and what is measured by it. */
export type Measure = readonly [what: 'q' | `l${number}`, rate: Rate]

const levelOf = (what: string): number => Number(what.slice(1))

/** The rates of a queue: of the whole, then of levels in their order. */
export const measuresOf = ({ rate, rates }: QueueLimits): readonly Measure[] => [
  ...(rate === null ? [] : [['q', rate] as const]),
  ...Object.entries(rates).map(([level, rateOfLevel]): Measure => [`l${Number(level)}`, rateOfLevel]),
]

export const wide: Opening = { most: Infinity, parts: [{ ...levels(0, lastLevel), most: Infinity }] }
const shut: Opening = { most: 0, parts: [] }

export const hasRates = ({ rate, rates }: QueueLimits): boolean => rate !== null || Object.keys(rates).length > 0

/** Whether the whole queue is open, as it is when nobody limited it. */
export const isWideOpen = ({ limits, holds, isPaused }: Gate): boolean =>
  !isPaused && holds.queue === null && limits.concurrency === null && !hasRates(limits)

/** `fills`: what is left of each of `measuresOf`. `running`: jobs of the queue, where it has a `concurrency`. */
export const openingOf = (
  { isPaused, holds, limits }: Gate,
  fills: ReadonlyMap<string, RateFill>,
  running: number,
): Opening => {
  if (isPaused || holds.queue !== null) return shut
  const most = Math.min(leftOf(fills, 'q'), limits.concurrency === null ? Infinity : limits.concurrency - running)
  return most <= 0 ? shut : { most, parts: partsOf(limits, fills) }
}

/** What is left of the rates of a queue, as operators see it. */
export const fillOf = ({ rate, rates }: QueueLimits, fills: ReadonlyMap<string, RateFill>): QueueRecord['fill'] => ({
  rate: rate === null ? null : fills.get('q')!,
  rates: Object.fromEntries(Object.keys(rates).map((level) => [level, fills.get(`l${level}`)!])),
})

const leftOf = (fills: ReadonlyMap<string, RateFill>, what: string): number => fills.get(what)?.left ?? Infinity

/** The limited levels by themselves, what is between them together. */
const partsOf = ({ rates }: QueueLimits, fills: ReadonlyMap<string, RateFill>): Opening['parts'] => {
  const parts: Opening['parts'][number][] = []
  let first = 0
  for (const level of Object.keys(rates).map(Number)) {
    if (first < level) parts.push({ ...levels(first, level - 1), most: Infinity })
    first = level + 1
    const most = leftOf(fills, `l${level}`)
    if (most > 0) parts.push({ ...levels(level, level), most })
  }
  if (first <= lastLevel) parts.push({ ...levels(first, lastLevel), most: Infinity })
  return parts
}

/** How many of these starts each rate counts. */
export const startsOf = (limits: QueueLimits, claimed: readonly Claimed[]): (readonly [...Measure, n: number])[] =>
  measuresOf(limits).flatMap(([what, rate]) => {
    const n = what === 'q' ? claimed.length : claimed.filter(({ policy }) => policy.priority === levelOf(what)).length
    return n === 0 ? [] : [[what, rate, n] as const]
  })
