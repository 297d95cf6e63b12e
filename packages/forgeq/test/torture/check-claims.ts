// What must be true of claims: one holder at a time, numbers that rise, nothing settled by anyone else, and holders that stop
// when they no longer are.
import { attemptsOf, claimKey, groupBy, isWhole, type Facts } from './facts.ts'

type Check = (facts: Facts) => readonly string[]

/** A verdict came, and the record of that claim says otherwise. */
const contradictions: Check = ({ told, byId }) =>
  told.flatMap(({ settled, verdict, by }) => {
    const job = byId.get(settled.job)
    if (job === undefined || !isWhole(job)) return []
    const record = job.attempts?.find(({ claim }) => claim === settled.claim)
    const what = `${settled.job} claim ${settled.claim}: ${by} was told ${verdict} for ${settled.outcome}`
    if (verdict === 'applied' && (record?.outcome !== settled.outcome || record.worker !== by)) {
      return [`${what}, the record says ${record?.outcome ?? 'nothing'} of ${record?.worker ?? 'nobody'}`]
    }
    return verdict === 'cancelled' && job.state !== 'cancelled' ? [`${what}, it is ${job.state}`] : []
  })

/** A claim ended in a way that nobody asked for. */
const unasked: Check = ({ final, asked }) =>
  final.jobs.flatMap((job) =>
    attemptsOf(job)
      .filter(({ claim, outcome }) => {
        const settlements = asked.get(claimKey({ job: job.id, claim })) ?? []
        return !settlements.some((one) => one.outcome === outcome || outcome === 'cancel')
      })
      .map(({ claim, outcome }) => `${job.id} claim ${claim}: ended with ${outcome}, which nobody said`),
  )

/** Handlers of a lost lease must be aborted before their process starts anything else. */
const zombies: Check = ({ of, runs, events }) => {
  const starts = groupBy(
    events.filter(({ e }) => e === 'start'),
    ({ pid }) => pid,
  )
  return of('lease-lost').flatMap(({ worker, pid, t }) => {
    const nextAt = starts.get(pid)?.find((start) => start.t > t)?.t ?? Infinity
    return runs
      .filter((run) => run.worker === worker && run.pid === pid && run.startedAt < t && run.endedAt > t)
      .filter((run) => run.hasEnded || nextAt < Infinity)
      .filter((run) => !((run.abortedAt ?? Infinity) < Math.min(nextAt, run.hasEnded ? run.endedAt : Infinity)))
      .map(({ job, claim }) => `${job} claim ${claim}: ran on after ${worker} had lost its lease`)
  })
}

/** For a process that went on to hear what has become of its lease. */
const awakeMs = 3_000

/** Whether a process stood still at some time between two instants, or shortly before. */
export const stoodStill = ({ of }: Facts, pid: number, fromT: number, untilT: number): boolean =>
  of('fault').some((fault) => fault.pid === pid && fault.t < untilT && fault.t + fault.ms + awakeMs > fromT)

export const claimChecks: Readonly<Record<string, Check>> = {
  'I5 one holder at a time, in store time': ({ final, taken }) => {
    const holders = groupBy(taken, claimKey)
    return [
      ...final.jobs.flatMap((job) => {
        const attempts = attemptsOf(job)
        return attempts.flatMap((attempt, i) => {
          const before = attempts[i - 1]
          const what = `${job.id} claim ${attempt.claim}`
          if (before !== undefined && before.endedAt > attempt.startedAt) return [`${what} began before the last ended`]
          if (isWhole(job) && attempt.claim !== i + 1) return [`${what} is the record number ${i + 1}`]
          return attempt.endedAt < attempt.startedAt ? [`${what} ended before it began`] : []
        })
      }),
      ...Array.from(holders)
        .filter(([, list]) => new Set(list.map(({ worker }) => worker)).size > 1)
        .map(([key, list]) => `${key} was handed to ${list.map(({ worker }) => worker).join(' and ')}`),
    ]
  },

  'I6 no stale write is accepted': (facts) => [...contradictions(facts), ...unasked(facts)],

  'I6 who lost its lease stops first': zombies,

  'I7 handlers of one job overlap only where a process stood still': (facts) =>
    Array.from(facts.runsOf.values()).flatMap((runs) =>
      runs.flatMap((run, i) =>
        runs
          .slice(i + 1)
          .filter((later) => later.startedAt < run.endedAt)
          .filter((later) => ![run, later].some(({ pid }) => stoodStill(facts, pid, run.startedAt, run.endedAt)))
          .map((later) => `${claimKey(run)} in ${run.pid} and claim ${later.claim} in ${later.pid} ran at a time`),
      ),
    ),
}
