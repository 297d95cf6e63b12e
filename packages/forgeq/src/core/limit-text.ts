// Limits as people write them, and the settings that come of it. What limits do: limit.ts.
import { caps } from './caps.ts'
import { toMs, unitMs, type Duration } from './duration.ts'
import { ForgeError, invalidOption } from './errors.ts'
import { checkKeyLimits, type KeyLimits, type QueueSettings, type Rate } from './limit.ts'
import { nameLevel, readPriority, type Priority } from './policy.ts'

/** Starts per time: `'100/m'`, `'10/s'`, `'5/30s'`; `'none'` takes the limit away. */
export type RateText = 'none' | `${number}/${'' | number}${'ms' | 's' | 'm' | 'h' | 'd'}`

/** At most `max` starts, 1 to 100,000, in any window of `per`, 1 ms to 30 days, wherever it begins. */
export type RateLimit = RateText | { readonly max: number; readonly per: Duration }

/** What a queue may hand out. What is left out stays as it is, `null` takes a limit away. Without any: no limit. */
export interface Limits {
  /** Whether new jobs are taken; follow-ups of running jobs are taken all the same. */
  readonly accepting?: boolean
  /** Jobs that run at a time, on all workers together: 1 to 10,000. */
  readonly concurrency?: number | null
  readonly rate?: RateLimit | null
  /** By priority; those that are not named stay as they are. A limited priority does not hold up those below it. */
  readonly ratePerPriority?: { readonly [P in Priority]?: RateLimit | null }
  /** For each key by itself. */
  readonly perKey?: {
    /** Jobs of a key that run at a time: 1 to 1000; `null` or 1 where keys are ordered. */
    readonly concurrency?: number | null
    readonly rate?: RateLimit | null
    /** One job of a key at a time, and the next one only when it has ended, retries included. Default false. */
    readonly ordered?: boolean
  } | null
  /** Jobs that wait (ready, scheduled or blocked), 1 to 1,000,000,000; more are refused at enqueue. */
  readonly maxDepth?: number | null
}

/** What the length of a window is called: `per` where it may have a unit, `perMs` where it is a number. */
type PerName = 'per' | 'perMs'
type Written = Readonly<Record<string, unknown>>
type Changing<T> = { -readonly [K in keyof T]: T[K] }

export const limitNames: readonly (keyof Limits)[] = [
  'accepting',
  'concurrency',
  'rate',
  'ratePerPriority',
  'perKey',
  'maxDepth',
]

/** INVALID_OPTION naming the limit that is out of range, as in `perKey.rate.max`. */
export function readLimits(limits: object, per: PerName = 'per'): QueueSettings {
  const given = membersOf(limits, '', limitNames)
  const { accepting, concurrency, rate, ratePerPriority, perKey, maxDepth } = given
  const settings: Changing<QueueSettings> = {}
  if (accepting !== undefined) settings.accepting = readFlag(accepting, 'accepting')
  if (concurrency !== undefined) settings.concurrency = readCount(concurrency, 'concurrency', caps.queueConcurrency)
  if (rate !== undefined) settings.rate = readRate(rate, 'rate', per)
  if (ratePerPriority !== undefined) settings.rates = readRates(ratePerPriority, per)
  if (perKey !== undefined) settings.perKey = perKey === null ? null : readPerKey(perKey, per)
  if (maxDepth !== undefined) settings.maxDepth = readCount(maxDepth, 'maxDepth', caps.queueDepth)
  return settings
}

function readRates(given: unknown, per: PerName): Record<number, Rate | null> {
  const rates: Record<number, Rate | null> = {}
  for (const [name, rate] of Object.entries(membersOf(given, 'ratePerPriority'))) {
    if (rate === undefined) continue
    const path = `ratePerPriority.${name.slice(0, 20)}`
    const level = levelOf(name, path)
    if (level in rates) throw invalidOption(path, `says a second time what holds for priority ${nameLevel(level)}`)
    rates[level] = readRate(rate, path, per)
  }
  return rates
}

function levelOf(name: string, path: string): number {
  try {
    return readPriority(/^\d$/.test(name) ? Number(name) : name)
  } catch {
    throw invalidOption(path, 'is no priority: there are high, normal, low and 0 to 9')
  }
}

function readPerKey(given: unknown, per: PerName): Partial<KeyLimits> {
  const { concurrency, rate, ordered } = membersOf(given, 'perKey', ['concurrency', 'rate', 'ordered'])
  const limits: Partial<Changing<KeyLimits>> = {}
  if (concurrency !== undefined) {
    limits.concurrency = readCount(concurrency, 'perKey.concurrency', caps.keyConcurrency)
  }
  if (rate !== undefined) limits.rate = readRate(rate, 'perKey.rate', per)
  if (ordered !== undefined) limits.ordered = readFlag(ordered, 'perKey.ordered')
  checkKeyLimits(limits)
  return limits
}

/** `null` = no limit; INVALID_OPTION names `path` or what is in it. */
export function readRate(given: unknown, path: string, per: PerName = 'per'): Rate | null {
  if (given === null || given === 'none') return null
  if (typeof given === 'string') return parseRate(given, path)
  const { max, [per]: time } = membersOf(given, path, ['max', per], rateRule)
  if (!isCount(max, caps.rateMax)) throw invalidOption(`${path}.max`, countRule(caps.rateMax))
  const perMs = per === 'perMs' && !Number.isInteger(time) ? undefined : msOf(time)
  if (perMs === undefined) throw invalidOption(`${path}.${per}`, per === 'per' ? perRule : perMsRule)
  return { max, perMs }
}

const rateRule = "must be an object with max and per, or a text such as '100/m'"
const perMsRule = `must be a whole number of milliseconds from ${caps.ratePerMinMs} to ${caps.ratePerMaxMs}, which is 30 days`
const perRule = "must be between 1 ms and 30 days, as milliseconds or as '500ms', '30s', '5m', '2h' or '7d'"
const textRule =
  `must be starts per time, such as 100/m, 10/s or 5/30s, with 1 to ${caps.rateMax} starts and a time of 1ms to 30d; ` +
  'or none'

function parseRate(text: string, path: string): Rate {
  const [, max, per = ''] = /^(\d+)\/(.+)$/.exec(text) ?? []
  const perMs = msOf(Object.hasOwn(unitMs, per) ? `1${per}` : per)
  if (perMs === undefined || !isCount(Number(max), caps.rateMax)) {
    throw invalidOption(path, `${textRule}, not '${text.slice(0, 40)}'`)
  }
  return { max: Number(max), perMs }
}

function msOf(time: unknown): number | undefined {
  try {
    const ms = toMs(time as Duration, 'per')
    return ms >= caps.ratePerMinMs && ms <= caps.ratePerMaxMs ? ms : undefined
  } catch {
    return undefined
  }
}

/** As people write it, exactly: `100/m`, `5/30s`. */
export function formatRate({ max, perMs }: Rate): RateText {
  const unit = (['d', 'h', 'm', 's'] as const).find((name) => perMs % unitMs[name] === 0) ?? 'ms'
  const size = unitMs[unit]
  return perMs === size ? `${max}/${unit}` : `${max}/${perMs / size}${unit}`
}

const isCount = (given: unknown, most: number): given is number =>
  typeof given === 'number' && Number.isInteger(given) && given >= 1 && given <= most

const countRule = (most: number): string => `must be a whole number from 1 to ${most}`

function readCount(given: unknown, path: string, most: number): number | null {
  if (given === null || isCount(given, most)) return given
  throw invalidOption(path, `${countRule(most)}, or null for no limit`)
}

function readFlag(given: unknown, path: string): boolean {
  if (typeof given === 'boolean') return given
  throw invalidOption(path, 'must be true or false')
}

/** A member that is misspelt would silently limit nothing. */
function membersOf(given: unknown, path: string, known?: readonly string[], rule = 'must be an object'): Written {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw path === '' ? new ForgeError('INVALID_OPTION', `limits ${rule}`) : invalidOption(path, rule)
  }
  const extra = Object.keys(given).find((name) => known !== undefined && !known.includes(name))
  if (extra === undefined || known === undefined) return given as Written
  const at = path === '' ? extra : `${path}.${extra}`
  throw invalidOption(at.slice(0, 60), `is not known here; there are ${known.join(', ')}`)
}
