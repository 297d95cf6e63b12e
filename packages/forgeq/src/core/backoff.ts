// How long a failed job waits before its next try: the public forms, the form stored with the job, and the arithmetic.
import { caps, defaults } from './caps.ts'
import { toMs, type Duration } from './duration.ts'
import { invalidOption } from './errors.ts'

/** Backoff as data; every form gets equal jitter (half the delay is fixed, half random) unless `jitter: false`. */
export type BackoffRule =
  /** base, base × factor, base × factor² ... up to max. Defaults: 1 s, 2, 1 h. */
  | { type: 'exponential'; base?: Duration; factor?: number; max?: Duration; jitter?: boolean }
  | { type: 'fixed'; delay: Duration; jitter?: boolean }
  /** One delay per failure; the last one repeats. */
  | { type: 'list'; delays: readonly Duration[]; jitter?: boolean }

/** Runs in the worker; `attempt` is 1 after the first failure. No jitter is added. */
export type BackoffFunction = (attempt: number, error: unknown) => Duration

/** Waiting time between the failure of one try and the next try. */
export type Backoff = BackoffRule | BackoffFunction

/** Backoff as stored with a job. `function`: the worker asks the job's definition. */
export type BackoffPlan =
  | {
      readonly type: 'exponential'
      readonly baseMs: number
      readonly factor: number
      readonly maxMs: number
      readonly jitter: boolean
    }
  | { readonly type: 'fixed'; readonly delayMs: number; readonly jitter: boolean }
  | { readonly type: 'list'; readonly delaysMs: readonly number[]; readonly jitter: boolean }
  | { readonly type: 'function' }

export const defaultBackoff: BackoffPlan & { readonly type: 'exponential' } = {
  type: 'exponential',
  baseMs: defaults.backoffBaseMs,
  factor: defaults.backoffFactor,
  maxMs: defaults.backoffMaxMs,
  jitter: true,
}

/** Checks a backoff and turns it into numbers; INVALID_OPTION when it is out of range. */
export function planBackoff(backoff: Backoff): BackoffPlan {
  if (typeof backoff === 'function') return { type: 'function' }
  if (typeof backoff !== 'object' || backoff === null) throw invalidOption('backoff', 'must be an object or a function')
  const { type, jitter = true } = backoff
  if (typeof jitter !== 'boolean') throw invalidOption('backoff.jitter', 'must be true or false')
  switch (type) {
    case 'exponential': {
      const { base = defaultBackoff.baseMs, factor = defaultBackoff.factor, max } = backoff
      const baseMs = toMs(base, 'backoff.base')
      if (!Number.isFinite(factor) || factor < 1 || factor > 100)
        throw invalidOption('backoff.factor', 'must be a number from 1 to 100')
      const maxMs = max === undefined ? Math.max(baseMs, defaultBackoff.maxMs) : toMs(max, 'backoff.max')
      return { type, baseMs, factor, maxMs, jitter }
    }
    case 'fixed':
      return { type, delayMs: toMs(backoff.delay, 'backoff.delay'), jitter }
    case 'list': {
      const { delays } = backoff
      if (!Array.isArray(delays) || delays.length === 0 || delays.length > caps.backoffDelays) {
        throw invalidOption('backoff.delays', `must be a list of 1 to ${caps.backoffDelays} durations`)
      }
      return { type, delaysMs: delays.map((delay, i) => toMs(delay, `backoff.delays.${i}`)), jitter }
    }
    default:
      throw invalidOption('backoff.type', "must be 'exponential', 'fixed' or 'list'")
  }
}

/**
 * Milliseconds to wait after the failure number `failures` (1 = the first). A plan of type `function` whose function is
 * out of reach waits as the default does.
 */
export function delayAfter(plan: BackoffPlan, failures: number, random: () => number): number {
  const rule = plan.type === 'function' ? defaultBackoff : plan
  const delayMs = fullDelay(rule, failures)
  return Math.round(rule.jitter ? delayMs / 2 + (random() * delayMs) / 2 : delayMs)
}

function fullDelay(rule: Exclude<BackoffPlan, { type: 'function' }>, failures: number): number {
  switch (rule.type) {
    case 'exponential':
      // The inner bound keeps 0 × Infinity, which is NaN, out of the product.
      return Math.min(rule.maxMs, rule.baseMs * Math.min(rule.factor ** (failures - 1), Number.MAX_VALUE))
    case 'fixed':
      return rule.delayMs
    case 'list':
      return rule.delaysMs[Math.min(failures, rule.delaysMs.length) - 1]!
  }
}
