// Durations: what people write ('30s', 500) and the whole milliseconds that everything inside counts in.
import { invalidOption } from './errors.ts'

export const unitMs = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const
type Unit = keyof typeof unitMs

/** A number of milliseconds, or a number with its unit: `'500ms'`, `'30s'`, `'5m'`, `'2h'`, `'7d'`. */
export type Duration = number | `${number}${'ms' | 's' | 'm' | 'h' | 'd'}`

const written = /^(\d+|\d*\.\d+)(ms|s|m|h|d)$/
/** Ten years. */
export const longestMs: number = 3650 * unitMs.d

/** Whole milliseconds, rounded up; `name` is the option that an INVALID_OPTION error names. */
export function toMs(duration: Duration, name: string): number {
  const ms = typeof duration === 'string' ? parse(duration) : duration
  if (typeof ms === 'number' && ms >= 0 && ms <= longestMs) return Math.ceil(ms)
  const shown = typeof duration === 'string' ? `'${duration.slice(0, 40)}'` : String(duration)
  throw invalidOption(
    name,
    `must be between 0 and 3650 days, as milliseconds or as '500ms', '30s', '5m', '2h' or '7d', not ${shown}`,
  )
}

function parse(text: string): number {
  const [, count, unit] = written.exec(text) ?? []
  // A hair less takes back what binary fractions add: 1.1m is 66000 ms, not 66000.00000000001, which would round up.
  return Number(count) * unitMs[unit as Unit] * (1 - 1e-15)
}

/** For people: the largest unit that fits, with at most one decimal, as in `'1.5s'` or `'10m'`. */
export function formatMs(ms: number): Duration & string {
  const unit = (['d', 'h', 'm', 's'] as const).find((name) => ms >= unitMs[name]) ?? 'ms'
  return `${Math.round((ms / unitMs[unit]) * 10) / 10}${unit}`
}
