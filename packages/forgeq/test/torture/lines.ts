// Jobs in the order in which they came, and who went before whom.
import type { JobRecord } from '#src/store/records.js'
import { attemptsOf, type Facts } from './facts.ts'

export interface Line {
  readonly id: string
  readonly priority: number
  readonly createdAt: number
  readonly startedAt: number
}

/** Those that were ready from the moment they came to the moment of their first claim: they certainly could be claimed. */
export const linesOf = ({ sent }: Facts, jobs: readonly JobRecord[]): readonly Line[] =>
  jobs.flatMap((job) => {
    const first = attemptsOf(job)[0]
    if (first?.claim !== 1 || sent.get(job.id)?.delayMs !== undefined) return []
    const { id, createdAt, policy } = job
    return [{ id, priority: policy.priority, createdAt, startedAt: first.startedAt }]
  })

/** One of `waiting` that came before and went after the claim of one of `claims`. */
export function overtaken(waiting: readonly Line[], claims: readonly Line[]): readonly string[] {
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
