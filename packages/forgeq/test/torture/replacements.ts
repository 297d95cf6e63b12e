// Enqueues that gave the work of another job, which held their unique key, to do instead.
import type { JobRecord } from '#src/store/records.js'
import type { Sent } from './events.ts'
import { groupBy, type Facts } from './facts.ts'

export interface Replacement {
  readonly sent: Sent
  /** Store time before it was first sent. */
  readonly at: number
  /** Of the clock of the machine: those of one key are sent one after the other. */
  readonly sentAt: number
  /** It was told that it did; else it may have. */
  readonly isCertain: boolean
}

const known = new WeakMap<Facts, ReadonlyMap<string, readonly Replacement[]>>()
const none: readonly Replacement[] = []

/** By the job that got their work, in the order in which they were sent. */
function replacementsIn(facts: Facts): ReadonlyMap<string, readonly Replacement[]> {
  const { of, byId } = facts
  const asked = groupBy(
    of('enqueue').filter(({ job }) => job.replaces === true),
    ({ job }) => job.id,
  )
  const calls = new Map(of('enqueue').map(({ pid, op, job }) => [`${pid} ${op}`, job.id]))
  const answers = new Map(of('enqueued').map((answer) => [calls.get(`${answer.pid} ${answer.op}`), answer]))
  const found = [...asked].flatMap(([id, [first]]): (Replacement & { readonly holder: string | undefined })[] => {
    const answer = answers.get(id)
    if (byId.has(id) || (answer !== undefined && answer.replaced !== true)) return []
    const { job: sent, at = 0, t: sentAt } = first!
    return [{ sent, at, sentAt, isCertain: answer !== undefined, holder: answer?.id }]
  })
  const holders = facts.final.jobs.filter(({ unique }) => unique !== null)
  return new Map(
    holders.map(({ id, type, unique }) => [
      id,
      found
        .filter(({ holder, sent }) => {
          if (holder !== undefined) return holder === id
          return sent.type === type && sent.unique?.key === unique!.key
        })
        .sort((a, b) => a.sentAt - b.sentAt),
    ]),
  )
}

/** What a job was given to do instead of its own work. */
export function replacementsOf(facts: Facts, { id }: { readonly id: string }): readonly Replacement[] {
  let all = known.get(facts)
  if (all === undefined) known.set(facts, (all = replacementsIn(facts)))
  return all.get(id) ?? none
}

export const isReplaced = (facts: Facts, job: JobRecord): boolean => replacementsOf(facts, job).length > 0
