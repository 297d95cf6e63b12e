// Unique keys as people write them, and what a store is told of them.
import type { NewUnique, Unique } from '../store/records.ts'
import { toMs, type Duration } from './duration.ts'
import { invalidOption } from './errors.ts'
import { checkUnique } from './name.ts'

interface Key {
  readonly key: string
  /**
   * What happens when another job holds the key. `keep`: the answer names that job, nothing is stored. `replace`: a holder
   * that is ready or scheduled does the work of this enqueue instead of its own; one that runs or has ended is kept.
   * `error`: UNIQUE_CONFLICT. Default `keep`.
   */
  readonly onConflict?: 'keep' | 'replace' | 'error'
}

/** A key, how long it is held, and what happens when another job of the type holds it. */
export type UniqueRule =
  | (Key & {
      /** `done`: the job holds it until it has ended. `start`: until it first runs. Default `done`. */
      readonly until?: 'done' | 'start'
      readonly for?: never
    })
  | (Key & {
      /** The job holds it for this time from its enqueue, whatever becomes of it, unless it is cancelled, expires or is deleted. */
      readonly for: Duration
      readonly until?: never
    })

export const uniqueConflicts = ['keep', 'replace', 'error'] as const
export const uniqueEnds = ['done', 'start'] as const

/**
 * INVALID_OPTION names what is wrong. `time` is the member that says how long: of the library a duration, of JSON whole
 * milliseconds.
 */
export function readUnique(value: unknown, time: 'for' | 'forMs' = 'for'): NewUnique {
  if (typeof value === 'string') {
    checkUnique(value, 'unique')
    return { key: value, until: 'done', onConflict: 'keep' }
  }
  const names = ['key', 'until', time, 'onConflict']
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalidOption('unique', 'must be a text, or an object with a key')
  }
  const rule = value as Readonly<Record<string, unknown>>
  for (const name in rule) {
    if (!names.includes(name)) throw invalidOption(`unique.${name}`, `is not known; there are ${names.join(', ')}`)
  }
  const { key, onConflict = 'keep' } = rule
  checkUnique(key, 'unique.key')
  return { ...holdOf(key, rule, time), onConflict: oneOf(uniqueConflicts, onConflict, 'unique.onConflict') }
}

function holdOf(key: string, rule: Readonly<Record<string, unknown>>, time: 'for' | 'forMs'): Unique {
  const { until, [time]: given } = rule
  if (given === undefined) return { key, until: oneOf(uniqueEnds, until ?? 'done', 'unique.until') }
  const path = `unique.${time}`
  if (until !== undefined) throw invalidOption(path, 'and until exclude each other: leave out one of them')
  if (time === 'forMs' && !Number.isInteger(given)) throw invalidOption(path, 'must be a whole number of milliseconds')
  const forMs = toMs(given as Duration, path)
  if (forMs === 0) throw invalidOption(path, 'must be more than 0')
  return { key, forMs }
}

function oneOf<const T extends readonly string[]>(names: T, value: unknown, path: string): T[number] {
  if (names.includes(value as string)) return value as T[number]
  throw invalidOption(path, `must be one of ${names.join(', ')}`)
}
