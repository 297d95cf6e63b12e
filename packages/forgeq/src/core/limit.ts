// Limits of a queue: what there are, how settings change them, and the arithmetic of windows. Stores count starts and
// slots; what follows from the counts is decided here. How people write limits: limit-text.ts.
import { invalidOption } from './errors.ts'

/** At most `max` starts in any window of `perMs`, wherever it begins. */
export interface Rate {
  readonly max: number
  readonly perMs: number
}

/** What holds for each key of a queue by itself. */
export interface KeyLimits {
  /** Jobs of a key that run at a time; `null` = no limit. `null` or 1 where keys are ordered. */
  readonly concurrency: number | null
  readonly rate: Rate | null
  /** One job of a key at a time, and the next one only when it has ended: it keeps its key while it waits for a retry. */
  readonly ordered: boolean
}

export interface QueueLimits {
  /** Jobs that run at a time, on all workers together; `null` = no limit. */
  readonly concurrency: number | null
  readonly rate: Rate | null
  /** By level, 0 to 9: a limited level does not hold up those below it. */
  readonly rates: Readonly<Record<number, Rate>>
  readonly perKey: KeyLimits
  /** Jobs that wait (ready, scheduled or blocked); more are refused at enqueue. `null` = no limit. */
  readonly maxDepth: number | null
}

/** What changes: `undefined` leaves a setting as it is, `null` takes a limit away. */
export interface QueueSettings {
  /** Nothing is claimed. */
  readonly paused?: boolean
  /** Whether new jobs are taken; follow-ups of running jobs are taken all the same. */
  readonly accepting?: boolean
  readonly concurrency?: number | null
  readonly rate?: Rate | null
  /** Levels that are not named stay as they are. */
  readonly rates?: Readonly<Record<number, Rate | null>>
  /** What is not named stays; `null` takes all limits of keys away. */
  readonly perKey?: Partial<KeyLimits> | null
  readonly maxDepth?: number | null
}

/** What is left of a rate now. */
export interface RateFill {
  readonly left: number
  /** When there is room again; `null` while some is left. */
  readonly opensAt: number | null
}

export const noKeyLimits: KeyLimits = { concurrency: null, rate: null, ordered: false }
export const noLimits: QueueLimits = { concurrency: null, rate: null, rates: {}, perKey: noKeyLimits, maxDepth: null }

const or = <T>(change: T | undefined, current: T): T => (change === undefined ? current : change)

/** The limits after a change. INVALID_OPTION where they do not go together. */
export function changeLimits(current: QueueLimits, change: QueueSettings): QueueLimits {
  const rates: Record<number, Rate> = {}
  for (const [level, rate] of Object.entries({ ...current.rates, ...change.rates })) {
    if (rate !== null) rates[Number(level)] = rate
  }
  return {
    concurrency: or(change.concurrency, current.concurrency),
    rate: or(change.rate, current.rate),
    rates,
    perKey: change.perKey === null ? noKeyLimits : changeKeyLimits(current.perKey, change.perKey),
    maxDepth: or(change.maxDepth, current.maxDepth),
  }
}

function changeKeyLimits(current: KeyLimits, change: Partial<KeyLimits> = {}): KeyLimits {
  const limits = {
    concurrency: or(change.concurrency, current.concurrency),
    rate: or(change.rate, current.rate),
    ordered: or(change.ordered, current.ordered),
  }
  checkKeyLimits(limits)
  return limits
}

/** INVALID_OPTION where they do not go together. */
export function checkKeyLimits({ ordered, concurrency }: Partial<KeyLimits>): void {
  if (ordered !== true || concurrency === undefined || concurrency === null || concurrency === 1) return
  const rule = `must be null or 1 where keys are ordered, not ${concurrency}: change both together`
  throw invalidOption('perKey.concurrency', rule)
}

/** How many jobs of a key may run at a time; `null` = any number. */
export const slotsOfKey = ({ concurrency, ordered }: KeyLimits): number | null => (ordered ? 1 : concurrency)

/** The starts in the window that ends now: how many, and when the first of them was. */
export interface Starts {
  readonly count: number
  /** `null` when there are none. */
  readonly firstAt: number | null
}

/** The instant since which starts still count: later than this. */
export const windowStart = (rate: Rate, now: number): number => now - rate.perMs

/**
 * What a rate leaves: a start counts until `perMs` have passed since it, so no window of that length ever holds more than
 * `max`. (Windows that begin at fixed instants, and buckets that fill up, let through up to twice as many.)
 */
export function fillOf(rate: Rate, { count, firstAt }: Starts): RateFill {
  const left = Math.max(0, rate.max - count)
  return { left, opensAt: left > 0 || firstAt === null ? null : firstAt + rate.perMs }
}

/** What of a queue an opening is about: what is closed until then. */
export type Scope = 'queue' | 'type' | 'key'
