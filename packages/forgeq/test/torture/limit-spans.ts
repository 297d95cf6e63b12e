// When which limit certainly held, and what a limited queue handed out in that time.
import { noKeyLimits, type KeyLimits, type QueueSettings } from '#src/core/limit.js'
import type { AttemptRecord, JobRecord } from '#src/store/records.js'
import { attemptsOf, groupBy, type Facts } from './facts.ts'

/** A time of the store in which a setting was the same, both ends excluded. */
export interface Span<V> {
  readonly value: V
  readonly fromAt: number
  readonly untilAt: number
}

/**
 * From when a change of the setting was answered to when the next one is asked for: in between, nobody knows which holds.
 * `pick` answers `undefined` for changes that leave it as it is.
 */
export function spansOf<V>(
  { events }: Facts,
  queue: string,
  pick: (settings: QueueSettings) => V | undefined,
): readonly Span<V>[] {
  const spans: Span<V>[] = []
  let open: Omit<Span<V>, 'untilAt'> | undefined
  for (const event of events) {
    if ((event.e !== 'limiting' && event.e !== 'limited') || event.queue !== queue) continue
    const value = pick(event.settings)
    if (value === undefined) continue
    if (open !== undefined) spans.push({ ...open, untilAt: event.at })
    open = event.e === 'limited' ? { value, fromAt: event.at } : undefined
  }
  return open === undefined ? spans : [...spans, { ...open, untilAt: Infinity }]
}

/** Whoever limits keys here names all there is. */
export const perKeyOf = ({ perKey }: QueueSettings): KeyLimits | undefined =>
  perKey === undefined ? undefined : { ...noKeyLimits, ...perKey }

export const isWithin = ({ fromAt, untilAt }: Span<unknown>, at: number): boolean => at > fromAt && at < untilAt

export interface Claim extends AttemptRecord {
  readonly job: JobRecord
}

export const claimsOf = (jobs: readonly JobRecord[]): readonly Claim[] =>
  jobs.flatMap((job) => attemptsOf(job).map((attempt) => ({ ...attempt, job })))

export const jobsIn = ({ final }: Facts, queue: string): readonly JobRecord[] =>
  final.jobs.filter(({ policy }) => policy.queue === queue)

export const limitedQueues = ({ of }: Facts): readonly string[] => [
  ...new Set(of('limiting').map(({ queue }) => queue)),
]

/** The jobs of each key of a queue. */
export const keysIn = (facts: Facts, queue: string): ReadonlyMap<string, readonly JobRecord[]> =>
  groupBy(
    jobsIn(facts, queue).filter(({ key }) => key !== null),
    ({ key }) => key!,
  )

/** Starts at which more ran than `most` allows. What ends at an instant makes room in it. */
export function tooMany(claims: readonly Claim[], { value, ...span }: Span<number | null>): readonly string[] {
  if (value === null) return []
  const changes = new Map<number, { by: number; starts: Claim[] }>()
  const at = (instant: number): { by: number; starts: Claim[] } => {
    const change = changes.get(instant) ?? { by: 0, starts: [] }
    changes.set(instant, change)
    return change
  }
  for (const claim of claims) {
    const start = at(claim.startedAt)
    start.by += 1
    start.starts.push(claim)
    at(claim.endedAt).by -= 1
  }
  let running = 0
  return [...changes]
    .sort(([a], [b]) => a - b)
    .flatMap(([instant, { by, starts }]) => {
      running += by
      if (running <= value || starts.length === 0 || !isWithin({ value, ...span }, instant)) return []
      const [{ job, claim }] = starts as [Claim]
      return [`${job.id} claim ${claim} is one of ${running} at a time, where ${value} may`]
    })
}

/** Starts within a window that others had used up. */
export function tooFast(
  claims: readonly Claim[],
  { value: rate, ...span }: Span<{ readonly max: number; readonly perMs: number } | null>,
): readonly string[] {
  if (rate === null) return []
  const starts = claims
    .filter(({ startedAt }) => isWithin({ value: rate, ...span }, startedAt))
    .sort((a, b) => a.startedAt - b.startedAt)
  return starts.slice(rate.max).flatMap(({ job, claim, startedAt }, i) => {
    const tookMs = startedAt - starts[i]!.startedAt
    if (tookMs >= rate.perMs) return []
    return [
      `${job.id} claim ${claim} is the last of ${rate.max + 1} starts in ${tookMs} ms, where ${rate.max} may in ${rate.perMs}`,
    ]
  })
}
