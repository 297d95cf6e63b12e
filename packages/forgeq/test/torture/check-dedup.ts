// What must be true of unique keys: one holder at a time, none beyond its time, and the last replacement is what runs.
import type { JobRecord } from '#src/store/records.js'
import { attemptsOf, groupBy, type Facts } from './facts.ts'
import { replacementsOf } from './replacements.ts'
import { claimKey } from './runs.ts'

type Check = (facts: Facts) => readonly string[]

export const dedupChecks: Readonly<Record<string, Check>> = {
  'I18 one job at a time holds a key': ({ final, of, byId, sent }) => {
    const keyed = final.jobs.filter(({ unique }) => unique !== null)
    const questions = new Map(of('enqueue').map((one) => [`${one.pid} ${one.op}`, one]))
    const groups = [...groupBy(keyed, ({ type, unique }) => `${type} ${unique?.key}`).values()]
    return [
      ...groups.flatMap((group) => {
        // Of those that came in one instant, the first ended in it.
        const sorted = [...group].sort(
          (a, b) => a.createdAt - b.createdAt || (a.finishedAt ?? Infinity) - (b.finishedAt ?? Infinity),
        )
        return sorted.flatMap((job, i) => {
          const before = sorted[i - 1]
          if (before === undefined || freedAt(before) <= job.createdAt) return []
          return [`${job.id} came while ${before.id} held ${job.unique?.key}`]
        })
      }),
      ...of('enqueued').flatMap(({ id, op, pid }) => {
        const asked = questions.get(`${pid} ${op}`)?.job
        if (asked === undefined || asked.id === id) return []
        if (byId.get(id)?.unique?.key === sent.get(asked.id)?.unique?.key) return []
        return [`${asked.id} was answered with ${id}, which does not hold its key`]
      }),
    ]
  },

  'I18 nobody holds a key beyond its time': ({ of, byId }) => {
    const calls = groupBy(of('enqueue'), ({ pid, op }) => `${pid} ${op}`)
    const firstAt = new Map([...of('enqueue')].reverse().map(({ job, at }) => [job.id, at]))
    return of('enqueued').flatMap(({ id, op, pid }) => {
      const asked = calls.get(`${pid} ${op}`)?.at(-1)?.job
      const holder = byId.get(id)
      if (asked === undefined || holder === undefined || asked.id === id) return []
      const lateMs = (firstAt.get(asked.id) ?? -Infinity) - freedAt(holder)
      return lateMs > 0 ? [`${asked.id} was answered with ${id}, which had let its key go ${lateMs} ms before`] : []
    })
  },

  'I18 the last replacement is what runs': (facts) =>
    facts.final.jobs.flatMap((job) => {
      const replacements = replacementsOf(facts, job)
      const last = replacements.findLastIndex(({ isCertain }) => isCertain)
      const own = facts.sent.get(job.id)?.payload
      const may = [
        last < 0 ? own : replacements[last]!.sent.payload,
        ...replacements.slice(last + 1).map(({ sent }) => sent.payload),
      ]
      // One that was cancelled between two tries may have been replaced after the last of them.
      const handedOut =
        job.state === 'cancelled'
          ? []
          : facts.taken.filter(({ job: id, claim }) => id === job.id && claim === job.claim)
      if (replacements.length === 0) return []
      return [job, ...handedOut]
        .filter(({ payload }) => !may.includes(payload))
        .map(({ payload }) => `${job.id} has or was handed out with ${payload}, last replaced by ${may[0]}`)
    }),

  'I20 nothing starts before the delay of what replaced it is over': (facts) => {
    const taken = new Map(facts.taken.map((one) => [claimKey(one), one.payload]))
    return facts.final.jobs.flatMap((job) =>
      replacementsOf(facts, job).flatMap(({ sent, at }) =>
        attemptsOf(job)
          .filter(({ claim }) => taken.get(claimKey({ job: job.id, claim })) === sent.payload)
          .filter(({ startedAt }) => startedAt < at + (sent.delayMs ?? 0))
          .map(({ claim, startedAt }) => {
            return `${job.id} claim ${claim} began ${startedAt - at} ms after it was replaced, not ${sent.delayMs}`
          }),
      ),
    )
  },
}

/** When a job no longer held its key; Infinity: it holds it still. */
function freedAt({ unique, state, createdAt, attempts = [], finishedAt }: JobRecord): number {
  const endAt = finishedAt ?? Infinity
  // What was cancelled, or expired, did not do what its window is for.
  if (unique !== null && 'forMs' in unique)
    return state === 'cancelled' ? Math.min(endAt, createdAt + unique.forMs) : createdAt + unique.forMs
  const startedAt = unique?.until === 'start' ? attempts[0]?.startedAt : undefined
  return startedAt ?? endAt
}
