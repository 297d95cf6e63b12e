// What must be true of limited queues: never more at a time, never more in a window, nothing while it is held back, and
// refusals only where there is a reason.
import { attemptsOf, groupBy, isWhole, type Facts } from './facts.ts'
import { claimKey } from './runs.ts'
import { claimsOf, isWithin, jobsIn, limitedQueues, spansOf, tooFast, tooMany, type Claim } from './limit-spans.ts'
import type { JobRecord } from '#src/store/records.js'

type Check = (facts: Facts) => readonly string[]

const everyQueue =
  (check: (queue: string, facts: Facts) => readonly string[]): Check =>
  (facts) =>
    limitedQueues(facts).flatMap((queue) => check(queue, facts).map((message) => `${queue}: ${message}`))

const allLevels = Array.from({ length: 10 }, (_, level) => level)

interface Hold {
  readonly by: Claim
  readonly untilAt: number
  readonly holds: (other: JobRecord) => boolean
}

/** What handlers held back, by the settlements that the store took. */
function holdsIn({ final, asked }: Facts): readonly Hold[] {
  return claimsOf(final.jobs).flatMap((by): Hold[] => {
    const { job, claim, outcome, endedAt } = by
    if (outcome !== 'snooze') return []
    const settled = asked.get(claimKey({ job: job.id, claim }))?.find(({ holdBack }) => holdBack !== undefined)
    if (settled === undefined || (settled.holdBack === 'key' && job.key === null)) return []
    const isSame = {
      queue: () => true,
      type: ({ type }: JobRecord) => type === job.type,
      key: ({ key }: JobRecord) => key === job.key,
    }
    const holds = isSame[settled.holdBack!]
    return [
      {
        by,
        untilAt: endedAt + settled.delayMs!,
        holds: (other) => other.policy.queue === job.policy.queue && holds(other),
      },
    ]
  })
}

/** The times in which a job waited in its queue, ends included. */
function waits(job: JobRecord): readonly (readonly [fromAt: number, untilAt: number])[] {
  const attempts = attemptsOf(job)
  const endAt = job.finishedAt ?? Infinity
  const starts = [...attempts.map(({ startedAt }) => startedAt), endAt]
  const froms = [job.createdAt, ...attempts.map(({ endedAt }) => endedAt)]
  // What ended with a claim did not wait after it.
  return froms.map((from, i) => [from, starts[i]!] as const).filter(([from, until], i) => i === 0 || from < until)
}

/** Calls that were refused with `code`, and the times of the store between which that was. */
function refusals({ of }: Facts, code: string) {
  const calls = groupBy(of('enqueue'), ({ pid, op }) => `${pid} ${op}`)
  return of('op-failed').flatMap((failed) => {
    const call = calls.get(`${failed.pid} ${failed.op}`)?.at(-1)
    if (failed.code !== code || failed.at === undefined || call?.at === undefined) return []
    return [{ id: call.job.id, queue: call.job.queue, fromAt: call.at, untilAt: failed.at }]
  })
}

export const limitChecks: Readonly<Record<string, Check>> = {
  'I11 never more of a queue run at a time than may': everyQueue((queue, facts) =>
    spansOf(facts, queue, ({ concurrency }) => concurrency).flatMap((span) =>
      tooMany(claimsOf(jobsIn(facts, queue)), span),
    ),
  ),

  'I12 no window of a queue holds more starts than its rate': everyQueue((queue, facts) =>
    spansOf(facts, queue, ({ rate }) => rate).flatMap((span) => tooFast(claimsOf(jobsIn(facts, queue)), span)),
  ),

  'I12 no window of a level holds more starts than its rate': everyQueue((queue, facts) =>
    allLevels.flatMap((level) => {
      const claims = claimsOf(jobsIn(facts, queue).filter(({ policy }) => policy.priority === level))
      return spansOf(facts, queue, ({ rates }) => rates?.[level]).flatMap((span) => tooFast(claims, span))
    }),
  ),

  'I23 what is left of a rate is what its starts leave': everyQueue((queue, facts) => {
    const { final } = facts
    const record = final.queues.find((one) => one.queue === queue)
    const rate = record?.limits.rate
    const jobs = jobsIn(facts, queue)
    if (!rate || !record?.fill.rate || !jobs.every(isWhole)) return []
    const since = final.now - rate.perMs
    // Starts from before there was a rate were not written down.
    const [span] = spansOf(facts, queue, (settings) => settings.rate).slice(-1)
    if (span === undefined || span.fromAt > since) return []
    const starts = claimsOf(jobs).filter(({ startedAt }) => startedAt > since).length
    const left = Math.max(0, rate.max - starts)
    return left === record.fill.rate.left ? [] : [`${record.fill.rate.left} starts are left, ${left} by what started`]
  }),

  'I25 what is held back starts nothing': (facts) => {
    const claims = claimsOf(facts.final.jobs)
    return holdsIn(facts).flatMap(({ by, untilAt, holds }) =>
      claims
        .filter(({ job, startedAt }) => startedAt > by.endedAt && startedAt < untilAt && holds(job))
        .map(({ job, claim, startedAt }) => {
          return `${job.id} claim ${claim} began ${untilAt - startedAt} ms before the end of what ${by.job.id} held back`
        }),
    )
  },

  'I26 no more are accepted than may wait': everyQueue((queue, facts) => {
    const jobs = jobsIn(facts, queue)
    const times = jobs.flatMap(waits)
    return spansOf(facts, queue, ({ maxDepth }) => maxDepth).flatMap(({ value, ...span }) =>
      jobs
        .filter(
          ({ id, createdAt }) => value !== null && isWithin({ value, ...span }, createdAt) && !facts.parents.has(id),
        )
        .flatMap(({ id, createdAt }) => {
          // What began or stopped to wait in this very instant may have done so after it, or before.
          const others = times.filter(([from, until]) => from < createdAt && until > createdAt).length
          return others < value! ? [] : [`${id} was accepted while ${others} waited, where ${value} may`]
        }),
    )
  }),

  'I26 a queue is full only when it is': (facts) =>
    refusals(facts, 'QUEUE_FULL').flatMap(({ id, queue, fromAt, untilAt }) => {
      const spans = spansOf(facts, queue, ({ maxDepth }) => maxDepth)
      const span = spans.find((one) => fromAt > one.fromAt && untilAt < one.untilAt)
      if (span === undefined) return []
      const waiting = jobsIn(facts, queue)
        .flatMap(waits)
        .filter(([from, until]) => from <= untilAt && until >= fromAt).length
      if (span.value !== null && waiting >= span.value) return []
      return [`${id} was refused by ${queue}, in which ${waiting} of ${span.value ?? 'any number'} waited`]
    }),

  'I26 a closed queue takes nothing, an open one does': (facts) => [
    ...everyQueue((queue, { parents }) =>
      spansOf(facts, queue, ({ accepting }) => accepting)
        .filter(({ value }) => !value)
        .flatMap((span) => jobsIn(facts, queue).filter((job) => isWithin(span, job.createdAt)))
        .filter(({ id }) => !parents.has(id))
        .map(({ id }) => `${id} was accepted while the queue was closed`),
    )(facts),
    ...refusals(facts, 'QUEUE_CLOSED').flatMap(({ id, queue, fromAt, untilAt }) => {
      const spans = spansOf(facts, queue, ({ accepting }) => accepting).filter(({ value }) => value)
      if (!spans.some((span) => fromAt > span.fromAt && untilAt < span.untilAt)) return []
      return [`${id} was refused by ${queue}, which was open`]
    }),
  ],
}
