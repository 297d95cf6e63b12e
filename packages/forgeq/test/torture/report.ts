// What a run amounted to, in numbers.
import type { Event, History, Violation } from './events.ts'
import { limitedQueues } from './plan-limits.ts'
import { behaviourOf } from './workload.ts'
import { factsOf, groupBy, type Facts } from './facts.ts'
import type { Run } from './runs.ts'

export interface Report {
  /** Jobs that producers tried to enqueue, and those that were accepted under their own id. */
  readonly attempted: number
  readonly accepted: number
  readonly followUps: number
  readonly completed: number
  readonly dead: number
  readonly cancelled: number
  readonly lost: number
  readonly starts: number
  /** Effects beyond the first of a job: allowed, for jobs are run at least once. */
  readonly duplicateEffects: number
  readonly staleWritesRefused: number
  readonly crashedClaims: number
  /** Ended as poison although it was none: others took it along three times. */
  readonly innocentsBuried: number
  /** Of workers, supervisors and producers. */
  readonly deaths: number
  /** Of threads and processes of isolated handlers, in the middle of a job. */
  readonly childDeaths: number
  readonly faults: Readonly<Record<string, number>>
  /** From the last sign of what died to the next start of a job it had, ms. */
  readonly recoveryMs: { readonly count: number; readonly p50: number; readonly p99: number; readonly max: number }
  /** Of the producer of limits and unique keys; the figures above are without its jobs, as far as they count jobs. */
  readonly limited: {
    readonly jobs: number
    readonly starts: number
    readonly limitChanges: number
    /** Attempts that held back others. */
    readonly holds: number
    readonly refused: number
    /** Enqueues that were answered with the holder of their key, and those that gave it their work. */
    readonly duplicates: number
    readonly replaced: number
  }
  readonly violations: readonly Violation[]
}

export function reportOf(history: History, violations: readonly Violation[]): Report {
  const all = factsOf(history)
  const isLimited = (id: string): boolean => {
    const queue = all.byId.get(id)?.policy.queue ?? all.sent.get(id)?.queue ?? ''
    return (limitedQueues as readonly string[]).includes(queue)
  }
  const facts = others(all, isLimited)
  const { of, final, byId, told, runs } = facts
  const sent = new Set(of('enqueue').map(({ job }) => job.id))
  const accepted = new Set(of('enqueued').map(({ id }) => id))
  const effects = of('effect')
  const count = (state: string): number => final.jobs.filter((job) => job.state === state).length
  const refused = of('exchanged').filter(({ closed }) => closed)
  return {
    attempted: sent.size,
    accepted: [...accepted].filter((id) => sent.has(id)).length,
    followUps: final.jobs.filter(({ id }) => facts.parents.has(id)).length,
    completed: count('completed'),
    dead: count('dead'),
    cancelled: count('cancelled'),
    lost: [...accepted].filter((id) => !byId.has(id)).length,
    starts: runs.length,
    duplicateEffects: effects.length - new Set(effects.map(({ job }) => job)).size,
    staleWritesRefused:
      told.filter(({ verdict }) => verdict === 'lost').length +
      refused.reduce((sum, { settlements }) => sum + settlements.length, 0),
    crashedClaims: final.jobs.reduce((sum, { crashes }) => sum + crashes, 0),
    innocentsBuried: final.jobs.filter(({ reason, type }) => reason === 'poison' && behaviourOf(type) !== 'poison')
      .length,
    deaths: of('died').filter(({ how }) => how !== 'exit code 0').length,
    childDeaths: of('exchanged').flatMap(({ settlements }) => settlements.filter(({ outcome }) => outcome === 'crash'))
      .length,
    faults: Object.fromEntries(
      [...groupBy(of('fault'), ({ kind }) => kind)].map(([kind, list]) => [kind, list.length]),
    ),
    recoveryMs: recovery(facts),
    limited: limitedFigures(all, isLimited),
    violations,
  }
}

/** A history without some of its jobs. Settlements stay: they tell of processes. */
function others(all: Facts, isLeftOut: (id: string) => boolean): Facts {
  const jobs = all.final.jobs.filter(({ id }) => !isLeftOut(id))
  const runs = all.runs.filter(({ job }) => !isLeftOut(job))
  const isOthers = (event: Event): boolean => {
    if (event.e === 'enqueue' || event.e === 'effect')
      return !isLeftOut(typeof event.job === 'string' ? event.job : event.job.id)
    return event.e !== 'enqueued' || !isLeftOut(event.id)
  }
  return {
    ...all,
    final: { ...all.final, jobs },
    runs,
    runsOf: groupBy(runs, ({ job }) => job),
    of: (e) => all.of(e).filter(isOthers),
  }
}

function limitedFigures({ of, final, runs, asked }: Facts, isLimited: (id: string) => boolean): Report['limited'] {
  const answers = of('enqueued').filter(({ id }) => isLimited(id))
  return {
    jobs: final.jobs.filter(({ id }) => isLimited(id)).length,
    starts: runs.filter(({ job }) => isLimited(job)).length,
    limitChanges: of('limited').length,
    holds: [...asked.values()].filter((all) => all.some(({ holdBack }) => holdBack !== undefined)).length,
    refused: of('op-failed').filter(({ code }) => code === 'QUEUE_FULL' || code === 'QUEUE_CLOSED').length,
    duplicates: answers.filter(({ duplicate }) => duplicate).length,
    replaced: answers.filter(({ replaced }) => replaced === true).length,
  }
}

function recovery({ byId, runsOf }: Facts): Report['recoveryMs'] {
  const hasCrashed = ({ job, claim }: Run): boolean =>
    byId.get(job)?.attempts?.some((attempt) => attempt.claim === claim && attempt.outcome === 'crash') === true
  const takenMs = [...runsOf.values()]
    .flatMap((list: readonly Run[]) =>
      list.flatMap((run, i) => {
        const next = list[i + 1]
        // One that had ended waited for its process to tell so, not for another.
        return next === undefined || run.hasEnded || !hasCrashed(run) ? [] : [Math.max(0, next.startedAt - run.endedAt)]
      }),
    )
    .sort((a, b) => a - b)
  const at = (share: number): number => Math.round(takenMs[Math.floor((takenMs.length - 1) * share)] ?? 0)
  return { count: takenMs.length, p50: at(0.5), p99: at(0.99), max: at(1) }
}

export function printReport({ violations, ...figures }: Report): string {
  const lines = Object.entries(figures).map(
    ([name, value]) => `${name.padEnd(20)} ${typeof value === 'number' ? value : JSON.stringify(value)}`,
  )
  const byInvariant = groupBy(violations, ({ invariant }) => invariant)
  for (const [invariant, list] of byInvariant) {
    lines.push(`VIOLATED ${list.length} times: ${invariant}`, ...list.slice(0, 5).map(({ message }) => `  ${message}`))
  }
  return [...lines, violations.length === 0 ? 'No violation.' : `${violations.length} violations.`].join('\n')
}
