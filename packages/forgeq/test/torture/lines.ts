// Jobs in the order in which they came, and who went before whom. Calls overlap: only what was answered before something else
// was asked for certainly was before it.
import type { JobRecord } from '#src/store/records.js'
import { attemptsOf, type Facts } from './facts.ts'

export interface Line {
  readonly id: string
  readonly priority: number
  /** On the monotonic clock, as all here: when it was sent, and when whoever sent it knew that it is there. */
  readonly sentAt: number
  readonly thereAt: number
  /** Of its first claim: when the exchange that got it was sent, and when it was answered. */
  readonly askedAt: number
  readonly answeredAt: number
}

/** Those that were ready from the moment they came to the moment of their first claim: they certainly could be claimed. */
export function linesOf({ sent, of }: Facts, jobs: readonly JobRecord[]): readonly Line[] {
  const sentAts = firsts(of('enqueue').map(({ job, t }) => [job.id, t]))
  const thereAts = firsts(of('enqueued').map(({ id, t }) => [id, t]))
  const askedAts = firsts(of('exchange').map(({ worker, turn, t }) => [`${worker} ${turn}`, t]))
  const claims = new Map(
    of('exchanged').flatMap(({ worker, turn, claimed, t }) =>
      claimed.map(({ job, claim }) => [
        `${job} ${claim}`,
        { askedAt: askedAts.get(`${worker} ${turn}`), answeredAt: t },
      ]),
    ),
  )
  return jobs.flatMap((job) => {
    const { id, policy } = job
    // Its first attempt, if it is still known.
    const claim = attemptsOf(job)[0]?.claim === 1 ? claims.get(`${id} 1`) : undefined
    const [sentAt, thereAt] = [sentAts.get(id), thereAts.get(id)]
    if (claim?.askedAt === undefined || sentAt === undefined || thereAt === undefined) return []
    if (sent.get(id)?.delayMs !== undefined) return []
    return [{ id, priority: policy.priority, sentAt, thereAt, askedAt: claim.askedAt, answeredAt: claim.answeredAt }]
  })
}

const firsts = (entries: readonly (readonly [string, number])[]): ReadonlyMap<string, number> =>
  new Map([...entries].reverse())

/** One of `waiting` that came before and went after the claim of one of `claims`. */
export function overtaken(waiting: readonly Line[], claims: readonly Line[]): readonly string[] {
  const coming = [...waiting].sort((a, b) => a.thereAt - b.thereAt)
  const there: Line[] = []
  const found: string[] = []
  let next = 0
  for (const claim of [...claims].sort((a, b) => a.askedAt - b.askedAt)) {
    while (next < coming.length && coming[next]!.thereAt < claim.askedAt) there.push(coming[next++]!)
    // Those of later claims are asked for later still.
    for (let i = there.length - 1; i >= 0; i -= 1) if (there[i]!.askedAt <= claim.askedAt) there.splice(i, 1)
    const passed = there.find(
      ({ askedAt, thereAt, priority }) =>
        askedAt > claim.answeredAt && (priority < claim.priority || thereAt < claim.sentAt),
    )
    if (passed !== undefined) {
      found.push(
        `${claim.id} (level ${claim.priority}) was claimed while ${passed.id} (level ${passed.priority}) waited`,
      )
    }
  }
  return found
}
