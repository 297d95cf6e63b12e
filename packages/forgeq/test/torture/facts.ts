// A history put in order for the checks: everything about one job together, and who did it.
import type { AttemptRecord, JobRecord } from '#src/store/records.js'
import type { Event, Final, History, Sent, Settled } from './events.ts'
import { claimKey, runsIn, type Handout, type Run } from './runs.ts'

type Of<E extends Event['e']> = Extract<Event, { readonly e: E }>

/** Something a holder or a rescuer was told by the store about a claim. */
export interface Told {
  readonly settled: Settled
  readonly verdict: string
  readonly by: string
}

export interface Facts {
  readonly final: Final
  readonly events: readonly Event[]
  readonly byId: ReadonlyMap<string, JobRecord>
  readonly sent: ReadonlyMap<string, Sent>
  /** Follow-up -> the claims of its parent that sent it. */
  readonly parents: ReadonlyMap<string, readonly Settled[]>
  readonly runs: readonly Run[]
  readonly runsOf: ReadonlyMap<string, readonly Run[]>
  readonly told: readonly Told[]
  /** Every settlement that was ever sent, `job claim` -> what it said. */
  readonly asked: ReadonlyMap<string, readonly Settled[]>
  readonly taken: readonly Handout[]
  /** That a process, any of its threads, gave itself. */
  readonly lastSignOf: (pid: number) => number
  readonly of: <E extends Event['e']>(e: E) => readonly Of<E>[]
}

/** How the claims of a job ended, in the order of their numbers. */
export const attemptsOf = (job: JobRecord): readonly AttemptRecord[] =>
  [...(job.attempts ?? [])].sort((a, b) => a.claim - b.claim)

/** The store keeps the last attempts only. */
export const isWhole = (job: JobRecord): boolean => job.claim <= 20

export function factsOf({ events, final }: History): Facts {
  const byKind = groupBy(events, ({ e }) => e)
  const of = <E extends Event['e']>(e: E): Of<E>[] => (byKind.get(e) ?? []) as Of<E>[]
  const sent = new Map<string, Sent>()
  const parents = new Map<string, Settled[]>()
  const asked = new Map<string, Settled[]>()
  for (const { job } of of('enqueue')) sent.set(job.id, job)
  for (const settled of [...of('exchange'), ...of('rescue')].flatMap(({ settlements }) => settlements)) {
    push(asked, claimKey(settled), settled)
    for (const followUp of settled.followUps ?? []) {
      sent.set(followUp.id, followUp)
      push(parents, followUp.id, settled)
    }
  }
  const told = [
    ...of('exchanged').flatMap(({ worker, settlements, verdicts }) =>
      verdicts.map((verdict, i): Told => ({ settled: settlements[i]!, verdict, by: worker })),
    ),
    ...of('rescued').flatMap(({ settlements, verdicts }) =>
      verdicts.map((verdict, i): Told => ({ settled: settlements[i]!, verdict, by: settlements[i]!.worker! })),
    ),
  ]
  const taken = of('exchanged').flatMap(({ worker, pid, claimed }) => claimed.map((one) => ({ ...one, worker, pid })))
  const runs = runsIn(events, taken)
  // Its death and what is done to it are told by others.
  const signs = events.filter(({ e }) => e !== 'died' && e !== 'fault')
  const lastSigns = new Map(signs.map(({ pid, t }) => [pid, t]))
  return {
    final,
    events,
    byId: new Map(final.jobs.map((job) => [job.id, job])),
    sent,
    parents,
    runs,
    runsOf: groupBy(runs, ({ job }) => job),
    told,
    asked,
    taken,
    lastSignOf: (pid) => lastSigns.get(pid) ?? -Infinity,
    of,
  }
}

/** `Map.groupBy` is younger than the oldest Node we run on. */
export function groupBy<K, V>(values: readonly V[], keyOf: (value: V) => K): Map<K, V[]> {
  const groups = new Map<K, V[]>()
  for (const value of values) push(groups, keyOf(value), value)
  return groups
}

function push<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key)
  if (list === undefined) map.set(key, [value])
  else list.push(value)
}
