// What must be true of claims: one holder at a time, numbers that rise, nothing settled by anyone else, and holders that stop
// when they no longer are.
import { attemptsOf, groupBy, isWhole, type Facts } from './facts.ts'
import { claimKey, type Run } from './runs.ts'

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

/**
 * Handlers of a lost lease must be aborted before their process starts anything else. Isolated ones hear of it by message, and
 * those that do not listen must have been killed soon.
 */
const zombies: Check = (facts) => {
  const { of, runs } = facts
  const starts = groupBy(of('start'), ({ home }) => home)
  return of('lease-lost').flatMap(({ worker, pid, t }) => {
    const nextAt = starts.get(pid)?.find((start) => start.t > t)?.t ?? Infinity
    const ranOn = (run: Run): boolean => {
      const { abortedAt = Infinity, endedAt, hasEnded } = run
      if (run.isIsolated) return Math.min(abortedAt, endedAt) > t + killMs && !stoodStill(facts, run, t, endedAt)
      return (hasEnded || nextAt < Infinity) && abortedAt >= Math.min(nextAt, hasEnded ? endedAt : Infinity)
    }
    return runs
      .filter((run) => run.worker === worker && run.home === pid && run.startedAt < t && run.endedAt > t)
      .filter(ranOn)
      .map(({ job, claim }) => `${job} claim ${claim}: ran on after ${worker} had lost its lease`)
  })
}

/** From its abort to the death of an isolated handler that does not listen, on a busy machine: 6 s are promised. */
const killMs = 8_000
/** For an isolated process to be gone after its worker, on a busy machine: a second is promised. */
const orphanMs = 2_000

/** For a process that went on to hear what has become of its lease. */
const awakeMs = 3_000

/** Whether the process of a run, or that of its worker, stood still at some time between two instants, or shortly before. */
export const stoodStill = ({ of }: Facts, { pid, home }: Run, fromT: number, untilT: number): boolean =>
  of('fault').some(
    (fault) => [pid, home].includes(fault.pid) && fault.t < untilT && fault.t + fault.ms + awakeMs > fromT,
  )

/**
 * Whether a run in a process of its own only had not noticed yet that its worker is gone. One that its worker settled must have
 * been dead before.
 */
const isOrphan = ({ asked, lastSignOf }: Facts, run: Run, laterT: number): boolean =>
  run.pid !== run.home &&
  lastSignOf(run.home) < laterT &&
  run.endedAt < laterT + orphanMs &&
  (asked.get(claimKey(run)) ?? []).every(({ worker }) => worker !== undefined)

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
          .filter((later) => ![run, later].some((one) => stoodStill(facts, one, run.startedAt, run.endedAt)))
          .filter((later) => !isOrphan(facts, run, later.startedAt))
          .map((later) => `${claimKey(run)} in ${run.pid} and claim ${later.claim} in ${later.pid} ran at a time`),
      ),
    ),
}
