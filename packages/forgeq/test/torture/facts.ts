// A history put in order for the checks: everything about one job together, and who did it.
import type { AttemptRecord, JobRecord } from '#src/store/records.js'
import type { Event, Final, History, Sent, Settled, Taken } from './events.ts'

type Of<E extends Event['e']> = Extract<Event, { readonly e: E }>

/** A claim as its handler lived it. */
export interface Run {
  readonly job: string
  readonly claim: number
  readonly worker: string
  readonly payload: string
  readonly pid: number
  readonly startedAt: number
  /** The last sign of life of its process when the handler never ended. */
  readonly endedAt: number
  readonly hasEnded: boolean
  readonly abortedAt: number | undefined
}

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
  readonly taken: readonly (Taken & { readonly worker: string })[]
  readonly of: <E extends Event['e']>(e: E) => readonly Of<E>[]
}

export const claimKey = ({ job, claim }: { readonly job: string; readonly claim: number }): string => `${job} ${claim}`

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
  const runs = runsIn(events)
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
    taken: of('exchanged').flatMap(({ worker, claimed }) => claimed.map((one) => ({ ...one, worker }))),
    of,
  }
}

function runsIn(events: readonly Event[]): Run[] {
  const lastSign = new Map<number, number>()
  const ends = new Map<string, number>()
  const aborts = new Map<string, number>()
  for (const event of events) {
    lastSign.set(event.pid, event.t)
    if (event.e === 'end') ends.set(`${event.pid} ${claimKey(event)}`, event.t)
    if (event.e === 'abort') aborts.set(`${event.pid} ${claimKey(event)}`, event.t)
  }
  return events.flatMap((event): Run[] => {
    if (event.e !== 'start') return []
    const { job, claim, worker, payload, pid, t } = event
    const key = `${pid} ${claimKey(event)}`
    const endedAt = ends.get(key) ?? lastSign.get(pid)!
    const hasEnded = ends.has(key)
    return [{ job, claim, worker, payload, pid, startedAt: t, endedAt, hasEnded, abortedAt: aborts.get(key) }]
  })
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
