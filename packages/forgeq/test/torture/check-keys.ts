// What must be true of the keys of limited queues: each by itself within its limits, and its jobs in their order.
import type { JobRecord } from '#src/store/records.js'
import { slotsOfKey } from '#src/core/limit.js'
import { groupBy, type Facts } from './facts.ts'
import { linesOf, overtaken } from './lines.ts'
import {
  claimsOf,
  isWithin,
  keysIn,
  limitedQueues,
  perKeyOf,
  spansOf,
  tooFast,
  tooMany,
  type Span,
} from './limit-spans.ts'
import { isReplaced } from './replacements.ts'

type Check = (facts: Facts) => readonly string[]

const everyKey =
  (check: (jobs: readonly JobRecord[], queue: string, facts: Facts) => readonly string[]): Check =>
  (facts) =>
    limitedQueues(facts).flatMap((queue) =>
      [...keysIn(facts, queue)].flatMap(([key, jobs]) =>
        check(jobs, queue, facts).map((message) => `${queue} ${key}: ${message}`),
      ),
    )

interface Turn {
  readonly job: JobRecord
  readonly fromAt: number
  readonly untilAt: number
}

/** From its first start until its end a job of an ordered key has the turn. */
const turnsOf = (jobs: readonly JobRecord[], { fromAt }: Span<boolean>): readonly Turn[] =>
  jobs.flatMap((job) => {
    const first = claimsOf([job])[0]
    // One that started before order was asked for has no turn to keep.
    if (first?.claim !== 1 || first.startedAt <= fromAt) return []
    return [{ job, fromAt: first.startedAt, untilAt: job.finishedAt ?? Infinity }]
  })

/** Types that stand aside let others of their key go first. */
const queuesThatHoldTypes = ({ asked, byId }: Facts): ReadonlySet<string | undefined> => {
  const holders = [...asked.values()].flat().filter(({ holdBack }) => holdBack === 'type')
  return new Set(holders.map(({ job }) => byId.get(job)?.policy.queue))
}

export const keyChecks: Readonly<Record<string, Check>> = {
  'I11 never more of a key run at a time than may': everyKey((jobs, queue, facts) =>
    spansOf(facts, queue, (settings) => {
      const perKey = perKeyOf(settings)
      return perKey && slotsOfKey(perKey)
    }).flatMap((span) => tooMany(claimsOf(jobs), span)),
  ),

  'I12 no window of a key holds more starts than its rate': everyKey((jobs, queue, facts) =>
    spansOf(facts, queue, (settings) => perKeyOf(settings)?.rate).flatMap((span) => tooFast(claimsOf(jobs), span)),
  ),

  'I14 the jobs of a key start in their order': everyKey((jobs, queue, facts) => {
    if (queuesThatHoldTypes(facts).has(queue)) return []
    const inLine = linesOf(
      facts,
      jobs.filter((job) => !isReplaced(facts, job)),
    )
    return [...groupBy(inLine, ({ priority }) => priority).values()].flatMap((level) => overtaken(level, level))
  }),

  'I24 the next job of an ordered key starts when the one before it has ended': everyKey((jobs, queue, facts) =>
    spansOf(facts, queue, (settings) => perKeyOf(settings)?.ordered)
      .filter(({ value }) => value)
      .flatMap((span) => {
        const claims = claimsOf(jobs).filter(({ startedAt }) => isWithin(span, startedAt))
        return turnsOf(jobs, span).flatMap((turn) =>
          claims
            .filter(({ job, startedAt }) => job !== turn.job && startedAt > turn.fromAt && startedAt < turn.untilAt)
            .map(({ job, claim }) => `${job.id} claim ${claim} began in the turn of ${turn.job.id}`),
        )
      }),
  ),
}
