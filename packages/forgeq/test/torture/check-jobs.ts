// What must be true of every job whatever happened: nothing lost, nothing made up, ended once, within its tries.
import { isEnded } from '#src/core/states.js'
import type { AttemptRecord, JobRecord } from '#src/store/records.js'
import { attemptsOf, groupBy, isWhole, type Facts } from './facts.ts'
import { isReplaced, replacementsOf } from './replacements.ts'
import { claimKey } from './runs.ts'

type Check = (facts: Facts) => readonly string[]

const everyJob =
  (check: (job: JobRecord, facts: Facts) => readonly string[]): Check =>
  (facts) =>
    facts.final.jobs.flatMap((job) => check(job, facts).map((message) => `${job.type} ${job.id}: ${message}`))

/** What an attempt that ended so leaves behind. */
const endStates = { complete: 'completed', bury: 'dead', cancel: 'cancelled' } as const

/** Answers of a failed enqueue that leave nothing open. */
const certain = new Set(['STORE_UNAVAILABLE', 'QUEUE_FULL', 'QUEUE_CLOSED', 'UNIQUE_CONFLICT'])

const endOf = (attempt: AttemptRecord | undefined): string | undefined =>
  attempt === undefined ? undefined : (endStates as Readonly<Record<string, string>>)[attempt.outcome]

export const jobChecks: Readonly<Record<string, Check>> = {
  'I1 nothing accepted is lost': ({ of, byId }) =>
    of('enqueued')
      .filter(({ id }) => !byId.has(id))
      .map(({ id }) => `${id} was accepted and is not in the store`),

  'I2 nothing comes from nowhere': (facts) => [
    ...facts.final.jobs.filter(({ id }) => !facts.sent.has(id)).map(({ id }) => `${id} is stored, nobody sent it`),
    ...facts.runs.filter(({ job }) => !facts.byId.has(job)).map(({ job }) => `${job} was run and is not in the store`),
  ],

  'I2 what failed for certain stored nothing': ({ of, byId }) => {
    const asked = groupBy(of('enqueue'), ({ job }) => job.id)
    const failed = new Set(
      of('op-failed')
        .filter(({ code }) => certain.has(code))
        .map(({ op, pid }) => `${pid} ${op}`),
    )
    return Array.from(asked)
      .filter(([id, calls]) => calls.length === 1 && failed.has(`${calls[0]!.pid} ${calls[0]!.op}`) && byId.has(id))
      .map(([id]) => `${id} is stored although its enqueue failed for certain`)
  },

  'I3 payload and policy are intact': (facts) => [
    ...everyJob((job) => {
      const was = facts.sent.get(job.id)
      if (was === undefined) return []
      const isSame =
        payloadsOf(facts, job).includes(job.payload) &&
        job.type === was.type &&
        job.policy.queue === was.queue &&
        job.policy.priority === was.priority &&
        job.policy.maxAttempts === was.maxAttempts &&
        job.key === (was.key ?? null) &&
        JSON.stringify(job.unique) === JSON.stringify(was.unique ?? null)
      return isSame ? [] : [`sent as ${JSON.stringify(was)}, stored as ${JSON.stringify(job)}`]
    })(facts),
    ...[...facts.runs, ...facts.taken]
      .filter(({ job, payload }) => facts.sent.has(job) && !payloadsOf(facts, { id: job }).includes(payload))
      .map(({ job, payload }) => `${job} was handed out with ${payload}, sent with ${facts.sent.get(job)!.payload}`),
  ],

  'I4 every job ends once': everyJob((job) => {
    if (!isEnded(job.state)) return []
    const attempts = attemptsOf(job)
    const last = attempts.at(-1)
    const faults = attempts.slice(0, -1).filter((attempt) => endOf(attempt) !== undefined)
    const early = faults.map(({ claim, outcome }) => `goes on after claim ${claim} ended with ${outcome}`)
    const end = last?.outcome === 'crash' && job.state === 'dead' ? 'dead' : endOf(last)
    if (end === job.state || (job.state === 'cancelled' && end === undefined)) return early
    return [...early, `is ${job.state} after its last claim ended with ${last?.outcome ?? 'nothing'}`]
  }),

  'I8 follow-ups exist exactly when the completion that sent them does': ({ parents, byId, sent }) =>
    Array.from(parents).flatMap(([id, claims]) => {
      const isDue = claims.some(({ job, claim }) =>
        byId.get(job)?.attempts?.some((attempt) => attempt.claim === claim && attempt.outcome === 'complete'),
      )
      if (sent.get(id)!.unique !== undefined || isDue === byId.has(id)) return []
      return [`${id} of ${claimKey(claims[0]!)} is ${isDue ? 'missing' : 'there'}`]
    }),

  'I9 what may start only once does': ({ runsOf, sent }) =>
    Array.from(runsOf)
      .filter(([job, runs]) => sent.get(job)?.once === true && runs.length > 1)
      .map(([job, runs]) => `${job} was started ${runs.length} times`),

  'I10 tries and crashes are within bounds': everyJob((job, facts) => {
    const { asked } = facts
    const attempts = attemptsOf(job)
    const retries = attempts.filter(({ outcome }) => outcome === 'retry').length
    const crashes = attempts.filter(({ outcome }) => outcome === 'crash').length
    const early = attempts.flatMap((attempt, i) => {
      const next = attempts[i + 1]
      // What replaced it meanwhile has a delay of its own.
      if (attempt.outcome !== 'retry' || next === undefined || isReplaced(facts, job)) return []
      const settlements = asked.get(claimKey({ job: job.id, claim: attempt.claim })) ?? []
      const delayMs = settlements.find(({ outcome }) => outcome === 'retry')?.delayMs ?? 0
      const waitedMs = next.startedAt - attempt.endedAt
      return waitedMs >= delayMs ? [] : [`claim ${next.claim} began ${waitedMs} ms after a failure, not ${delayMs}`]
    })
    const counts = isWhole(job) ? [retries + 1 === job.attempt, crashes === job.crashes] : []
    return [
      ...early,
      ...(job.attempt <= job.policy.maxAttempts ? [] : [`attempt ${job.attempt} of ${job.policy.maxAttempts}`]),
      ...(job.crashes <= 3 ? [] : [`${job.crashes} crashes`]),
      ...(counts.includes(false) ? [`attempt ${job.attempt}, ${job.crashes} crashes, but ${tell(attempts)}`] : []),
    ]
  }),

  'I20 nothing starts early': everyJob((job, facts) => {
    const [first] = attemptsOf(job)
    if (isReplaced(facts, job)) return []
    const dueAt = job.createdAt + (facts.sent.get(job.id)?.delayMs ?? 0)
    if (first === undefined || first.claim !== 1 || first.startedAt >= dueAt) return []
    return [`started ${dueAt - first.startedAt} ms early`]
  }),

  'I20 nothing starts after it expired': everyJob((job, { sent }) => {
    const [first] = attemptsOf(job)
    const expireMs = sent.get(job.id)?.expireMs
    if (first === undefined || expireMs === undefined || first.startedAt < job.createdAt + expireMs) return []
    return [`started ${first.startedAt - job.createdAt} ms after it was enqueued, expires after ${expireMs}`]
  }),
}

/** What it was sent with, and what it was given to do instead. */
const payloadsOf = (facts: Facts, job: { readonly id: string }): readonly (string | undefined)[] => [
  facts.sent.get(job.id)?.payload,
  ...replacementsOf(facts, job).map(({ sent }) => sent.payload),
]

const tell = (attempts: readonly AttemptRecord[]): string =>
  attempts.map(({ claim, outcome }) => `${claim} ${outcome}`).join(', ')
