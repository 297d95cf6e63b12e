// What must be true between jobs: keys, cancels, pauses, levels and lines, and that it all comes to an end.
import type { JobRecord } from '#src/store/records.js'
import { isEnded, states } from '#src/core/states.js'
import { stoodStill } from './check-claims.ts'
import { attemptsOf, groupBy, type Facts } from './facts.ts'

type Check = (facts: Facts) => readonly string[]

interface Line {
  readonly id: string
  readonly priority: number
  readonly createdAt: number
  readonly startedAt: number
}

/** Jobs that were ready from the moment they came to the moment of their first claim: they certainly could be claimed. */
function lines({ final, sent }: Facts): readonly Line[][] {
  const sure = final.jobs.flatMap((job) => {
    const first = attemptsOf(job)[0]
    if (first?.claim !== 1 || sent.get(job.id)?.delayMs !== undefined) return []
    const { id, createdAt, policy } = job
    return [{ queue: policy.queue, id, priority: policy.priority, createdAt, startedAt: first.startedAt }]
  })
  return [...groupBy(sure, ({ queue }) => queue).values()]
}

/** One of `waiting` that came before and went after the claim of one of `claims`. */
function overtaken(waiting: readonly Line[], claims: readonly Line[]): readonly string[] {
  const coming = [...waiting].sort((a, b) => a.createdAt - b.createdAt)
  const there: Line[] = []
  const found: string[] = []
  let next = 0
  for (const claim of [...claims].sort((a, b) => a.startedAt - b.startedAt)) {
    while (next < coming.length && coming[next]!.createdAt < claim.startedAt) there.push(coming[next++]!)
    for (let i = there.length - 1; i >= 0; i -= 1) {
      if (there[i]!.startedAt <= claim.startedAt) there.splice(i, 1)
    }
    const passed = there.find(({ createdAt, priority }) => priority < claim.priority || createdAt < claim.createdAt)
    if (passed !== undefined) {
      found.push(
        `${claim.id} (level ${claim.priority}) was claimed while ${passed.id} (level ${passed.priority}) waited`,
      )
    }
  }
  return found
}

const sum = (jobs: readonly JobRecord[], queue: string, state: string): number =>
  jobs.filter((job) => job.policy.queue === queue && job.state === state).length

export const orderChecks: Readonly<Record<string, Check>> = {
  'I13 levels are strict': (facts) =>
    lines(facts).flatMap((line) => {
      const levels = [...new Set(line.map(({ priority }) => priority))].sort((a, b) => a - b)
      return levels.flatMap((level) =>
        overtaken(
          line.filter(({ priority }) => priority < level),
          line.filter(({ priority }) => priority === level),
        ),
      )
    }),

  'I14 first come, first claimed': (facts) =>
    lines(facts).flatMap((line) =>
      [...groupBy(line, ({ priority }) => priority).values()].flatMap((level) => overtaken(level, level)),
    ),

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

  'I19 a cancel is final': (facts) =>
    facts
      .of('cancelled')
      .filter(({ was }) => was !== 'refused')
      .flatMap(({ id, was, t }) => {
        const state = facts.byId.get(id)?.state
        const late = (facts.runsOf.get(id) ?? []).filter(({ startedAt }) => startedAt > t)
        // One that was claimed by a process which then stood still may begin when it goes on.
        const wrong = was === 'cancelled' ? late.filter((run) => !stoodStill(facts, run, t, run.startedAt)) : []
        return [
          ...(state === 'cancelled' ? [] : [`${id} was cancelled and is ${state ?? 'gone'}`]),
          ...wrong.map(
            ({ claim, startedAt }) => `${id} claim ${claim} began ${startedAt - t} ms after it was cancelled`,
          ),
        ]
      }),

  'I21 nothing is claimed while its queue is paused': ({ of, final }) =>
    of('paused').flatMap(({ queue, at }) => {
      const endAt = of('resuming').find((one) => one.queue === queue && one.at >= at)?.at ?? at
      return final.jobs
        .filter((job) => job.policy.queue === queue)
        .flatMap((job) => attemptsOf(job).map((attempt) => ({ id: job.id, ...attempt })))
        .filter(({ startedAt }) => startedAt > at && startedAt < endAt)
        .map(({ id, claim, startedAt }) => `${id} claim ${claim}: ${startedAt - at} ms after the pause of ${queue}`)
    }),

  'I22 everything comes to an end': ({ final }) => [
    ...(final.isDrained ? [] : ['the queues were not empty in time']),
    ...final.jobs.filter(({ state }) => !isEnded(state)).map(({ id, state, type }) => `${type} ${id} is ${state}`),
  ],

  'I23 nothing is left over, counters are right': ({ final }) => [
    ...final.leftovers,
    ...final.workers.filter(({ closed, held }) => !closed || held > 0).map(({ id }) => `worker ${id} is still there`),
    ...final.queues.flatMap(({ queue, counts }) =>
      states
        .filter((state) => counts[state] !== sum(final.jobs, queue, state))
        .map((state) => `${queue}: ${counts[state]} ${state} counted, ${sum(final.jobs, queue, state)} found`),
    ),
  ],
}

/** When a job no longer held its key; Infinity: it holds it still. */
function freedAt({ unique, attempts = [], finishedAt }: JobRecord): number {
  const startedAt =
    unique !== null && 'until' in unique && unique.until === 'start' ? attempts[0]?.startedAt : undefined
  return startedAt ?? finishedAt ?? Infinity
}
