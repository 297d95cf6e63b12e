// What must be true between jobs: cancels, pauses, levels and lines, and that it all comes to an end.
import type { JobRecord } from '#src/store/records.js'
import { isEnded, states } from '#src/core/states.js'
import { stoodStill } from './check-claims.ts'
import { attemptsOf, groupBy, type Facts } from './facts.ts'
import { limitedQueues } from './limit-spans.ts'
import { linesOf, overtaken, type Line } from './lines.ts'
import { isReplaced } from './replacements.ts'

type Check = (facts: Facts) => readonly string[]

/** By queue, where nothing but level and arrival says who is next: no limits, keys, holds, or other work than they came with. */
function lines(facts: Facts): readonly (readonly Line[])[] {
  const { final, asked, byId } = facts
  const holders = [...asked.values()].flat().filter(({ holdBack }) => holdBack !== undefined)
  const special = new Set([...limitedQueues(facts), ...holders.map(({ job }) => byId.get(job)?.policy.queue)])
  const jobs = final.jobs.filter((job) => job.key === null && !special.has(job.policy.queue) && !isReplaced(facts, job))
  return [...groupBy(jobs, ({ policy }) => policy.queue).values()].map((queue) => linesOf(facts, queue))
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
