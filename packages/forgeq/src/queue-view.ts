// A queue as the library shows it: limits as they are written, instants as dates.
import type { RateFill } from './core/limit.ts'
import { formatRate, type RateText } from './core/limit-text.ts'
import { nameLevel, type Priority } from './core/policy.ts'
import type { QueueRecord } from './store/queue-record.ts'

/** What is left of a rate now. */
export interface FillView {
  readonly left: number
  /** When there is room again; missing while some is left. */
  readonly opensAt?: Date
}

/** What is not set is `null`. */
export interface LimitsView {
  readonly concurrency: number | null
  readonly rate: RateText | null
  readonly ratePerPriority: { readonly [P in Priority]?: RateText }
  readonly perKey: { readonly concurrency: number | null; readonly rate: RateText | null; readonly ordered: boolean }
  readonly maxDepth: number | null
}

/** A queue as operators see it. */
export interface QueueView extends Pick<QueueRecord, 'queue' | 'paused' | 'accepting' | 'counts'> {
  /** As `limit` takes them. */
  readonly limits: LimitsView
  /** What is left of its rates. */
  readonly fill: { readonly rate?: FillView; readonly ratePerPriority: { readonly [P in Priority]?: FillView } }
  /** A handler held it back until then. */
  readonly heldUntil?: Date
  /** Types that a handler held back in this queue, and until when; by name. */
  readonly heldTypes: Readonly<Record<string, Date>>
  /** When the job at the head became ready. */
  readonly oldestReadyAt?: Date
}

export function viewOfQueue({ queue, paused, accepting, counts, limits, fill, ...record }: QueueRecord): QueueView {
  const { concurrency, rate, rates, perKey, maxDepth } = limits
  const { heldUntil, heldTypes, oldestReadyAt } = record
  return {
    queue,
    paused,
    accepting,
    limits: {
      concurrency,
      rate: rate && formatRate(rate),
      ratePerPriority: byPriority(rates, formatRate),
      perKey: { ...perKey, rate: perKey.rate && formatRate(perKey.rate) },
      maxDepth,
    },
    fill: { ...(fill.rate && { rate: fillView(fill.rate) }), ratePerPriority: byPriority(fill.rates, fillView) },
    ...(heldUntil !== null && { heldUntil: new Date(heldUntil) }),
    heldTypes: Object.fromEntries(Object.entries(heldTypes).map(([type, until]) => [type, new Date(until)])),
    counts,
    ...(oldestReadyAt !== null && { oldestReadyAt: new Date(oldestReadyAt) }),
  }
}

const fillView = ({ left, opensAt }: RateFill): FillView => ({
  left,
  ...(opensAt !== null && { opensAt: new Date(opensAt) }),
})

/** By the names that people use for levels. */
export const byPriority = <T, V>(levels: Readonly<Record<number, T>>, view: (one: T) => V): { [P in Priority]?: V } =>
  Object.fromEntries(Object.entries(levels).map(([level, one]) => [nameLevel(Number(level)), view(one)]))
