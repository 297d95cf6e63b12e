// How a job is to be run: the options people write, the numbers stored with each job, and the way from one to the other.
import type { StoredPolicy } from '../store/records.ts'
import {
  defaultBackoff,
  planBackoff,
  type Backoff,
  type BackoffFunction,
  type BackoffPlan,
  type BackoffRule,
} from './backoff.ts'
import { caps, defaults } from './caps.ts'
import { formatMs, toMs, type Duration } from './duration.ts'
import { invalidOption } from './errors.ts'
import { checkName } from './name.ts'
import type { UniqueRule } from './unique.ts'

const levels = { high: 2, normal: 5, low: 8 } as const

/** Strict levels, 0 runs first: high = 2, normal = 5, low = 8. */
export type Priority = keyof typeof levels | 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9

/** How jobs of a type are run. */
export interface Policy {
  /** Default `default`. */
  queue?: string
  /** Default `normal`. */
  priority?: Priority
  /** Tries after the first one. Default 5. */
  retries?: number
  /** Default exponential: 1 s, factor 2, at most 1 h, with jitter. */
  backoff?: Backoff
  /** How long one try may take; 0 = no limit. Default 5 min. */
  timeout?: Duration
  /** How long a completed job and its result are kept. Default 1 h. */
  keepResult?: Duration
  /** `at-most-once`: a job that was started is never started again, whatever became of it; `retries` is then 0. */
  delivery?: 'at-least-once' | 'at-most-once'
  /**
   * Where the handler runs. `inline`: in the worker, beside others. `thread`, `process`: one job at a time, killed when it
   * does not stop; the worker must know the handler's module. Of the definition alone, not stored. Default `inline`.
   */
  isolation?: Isolation
}

export type Isolation = 'inline' | 'thread' | 'process'

/** What may be said of a job outside its definition; a backoff function belongs to the definition, where workers find it. */
export interface PolicyOverrides extends Omit<Policy, 'isolation' | 'backoff'> {
  backoff?: BackoffRule
}

/** How one job is enqueued; its policy options override those of the job's definition. */
export interface EnqueueOptions extends PolicyOverrides {
  /** UUIDv7. Made when absent; the same id again answers with the stored job. */
  id?: string
  /** Not before this time from now. */
  delay?: Duration
  /** Not before this instant; with `delay`, the later one counts. */
  at?: Date
  /** Ends cancelled when it has not started within this time. */
  expire?: Duration
  /**
   * A key that at most one job of the type holds until it has ended: enqueueing another one answers with the holder. As an
   * object it says until when it is held, and what happens when another job holds it.
   */
  unique?: string | UniqueRule
  /** Partition of its queue for limits, order and fairness: 1 to 256 characters. Default: none, a party of its own. */
  key?: string
  /** To find it by: at most 10, of 64 characters. */
  tags?: readonly string[]
}

export const defaultPolicy: StoredPolicy = {
  queue: defaults.queue,
  priority: defaults.priority,
  maxAttempts: defaults.retries + 1,
  timeoutMs: defaults.timeoutMs,
  backoff: defaultBackoff,
  keepResultMs: defaults.keepResultMs,
  delivery: 'at-least-once',
}

/** Options of a job and of an enqueue alike, which the stored policy is made of. */
export const policyParts: readonly Exclude<keyof Policy, 'isolation'>[] = [
  'queue',
  'priority',
  'retries',
  'backoff',
  'timeout',
  'keepResult',
  'delivery',
]

const resolved = new WeakMap<Policy, { readonly base: StoredPolicy; readonly stored: StoredPolicy }>()

/**
 * The policy as it is stored: `options` over `policy` over `base`; INVALID_OPTION names what is out of range. The same
 * `policy` and `base` without options give the same object again, which then crosses threads once for many jobs.
 */
export function resolvePolicy(
  policy: Policy,
  options?: PolicyOverrides,
  base: StoredPolicy = defaultPolicy,
): StoredPolicy {
  let known = resolved.get(policy)
  if (known?.base !== base) {
    checkIsolation(policy.isolation)
    known = { base, stored: override(base, policy) }
    resolved.set(policy, known)
  }
  if (options === undefined) return known.stored
  if (typeof options.backoff === 'function') {
    throw invalidOption('backoff', "cannot be a function here: put it into the job's definition")
  }
  return override(known.stored, options)
}

function checkIsolation(isolation: Isolation | undefined): void {
  if (isolation === undefined || ['inline', 'thread', 'process'].includes(isolation)) return
  throw invalidOption('isolation', "must be 'inline', 'thread' or 'process'")
}

function override(base: StoredPolicy, policy: Policy): StoredPolicy {
  if (policyParts.every((part) => policy[part] === undefined)) return base
  const { queue, priority, retries, backoff, timeout, keepResult, delivery } = policy
  if (queue !== undefined) checkName(queue, 'queue')
  if (delivery !== undefined && delivery !== 'at-least-once' && delivery !== 'at-most-once') {
    throw invalidOption('delivery', "must be 'at-least-once' or 'at-most-once'")
  }
  const once = (delivery ?? base.delivery) === 'at-most-once'
  const maxAttempts = retries === undefined ? base.maxAttempts : checkRetries(retries) + 1
  return {
    queue: queue ?? base.queue,
    priority: priority === undefined ? base.priority : readPriority(priority),
    maxAttempts: once ? 1 : maxAttempts,
    timeoutMs: timeout === undefined ? base.timeoutMs : toMs(timeout, 'timeout'),
    backoff: backoff === undefined ? base.backoff : planBackoff(backoff),
    keepResultMs: keepResult === undefined ? base.keepResultMs : toMs(keepResult, 'keepResult'),
    delivery: delivery ?? base.delivery,
  }
}

/** The level that is meant; INVALID_OPTION. */
export function readPriority(priority: unknown): number {
  const level = typeof priority === 'string' ? (levels as Readonly<Record<string, number>>)[priority] : priority
  if (typeof level === 'number' && Number.isInteger(level) && level >= 0 && level <= 9) return level
  throw invalidOption('priority', "must be 'high', 'normal', 'low' or a whole number from 0 (first) to 9")
}

/** INVALID_OPTION when it is no number of retries. */
export function checkRetries(retries: unknown): number {
  if (typeof retries === 'number' && Number.isInteger(retries) && retries >= 0 && retries <= caps.retries)
    return retries
  throw invalidOption('retries', `must be a whole number from 0 to ${caps.retries}`)
}

/** The policy in the words people write, with every default filled in. */
export function explainPolicy(policy: Policy, options?: PolicyOverrides): Required<Policy> {
  const stored = resolvePolicy(policy, options)
  return {
    queue: stored.queue,
    priority: nameLevel(stored.priority),
    retries: stored.maxAttempts - 1,
    backoff: stored.backoff.type === 'function' ? (policy.backoff as BackoffFunction) : describeBackoff(stored.backoff),
    timeout: readable(stored.timeoutMs),
    keepResult: readable(stored.keepResultMs),
    delivery: stored.delivery,
    isolation: policy.isolation ?? 'inline',
  }
}

/** As people write it. */
export const nameLevel = (level: number): Priority =>
  (Object.keys(levels) as (keyof typeof levels)[]).find((name) => levels[name] === level) ?? (level as Priority)

function describeBackoff(plan: Exclude<BackoffPlan, { type: 'function' }>): BackoffRule {
  const { type, jitter } = plan
  switch (type) {
    case 'exponential':
      return { type, base: readable(plan.baseMs), factor: plan.factor, max: readable(plan.maxMs), jitter }
    case 'fixed':
      return { type, delay: readable(plan.delayMs), jitter }
    case 'list':
      return { type, delays: plan.delaysMs.map(readable), jitter }
  }
}

/** With a unit where that is exact, as milliseconds otherwise. */
function readable(ms: number): Duration {
  const text = formatMs(ms)
  return toMs(text, 'duration') === ms ? text : ms
}
