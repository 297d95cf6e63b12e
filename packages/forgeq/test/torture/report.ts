// What a run amounted to, in numbers.
import type { History, Violation } from './events.ts'
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
  readonly violations: readonly Violation[]
}

export function reportOf(history: History, violations: readonly Violation[]): Report {
  const facts = factsOf(history)
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
    faults: Object.fromEntries([...groupBy(of('fault'), ({ kind }) => kind)].map(([kind, all]) => [kind, all.length])),
    recoveryMs: recovery(facts),
    violations,
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
