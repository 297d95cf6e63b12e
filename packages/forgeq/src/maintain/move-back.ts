// Takes a move back, as long as nothing has happened in the target: the target is shut for good, the source goes on.
import { states } from '../core/states.ts'
import type { JobRecord } from '../store/records.ts'
import type { Store } from '../store/store.ts'
import { byName, conflict, countsOf, pruneAll, type Ends, type QueueCounts } from './move.ts'
import { seeNobodyWorks } from './vacant.ts'

const pageJobs = 500

/** STATE_CONFLICT while anybody works on one of the stores, and when the target has gone on. */
export async function moveBack({ from, to }: Ends, waits: () => void): Promise<readonly QueueCounts[]> {
  await seeNobodyWorks(from, 'the source', waits)
  await seeNobodyWorks(to, 'the target', waits)
  await pruneAll(from)
  await pruneAll(to)
  const there = byName(await to.queues())
  const queues = await from.queues()
  await seeNothingHappened(from, to)
  for (const [queue] of there) await to.setQueue(queue, { concurrency: 0, maxDepth: 0 })
  for (const { queue } of queues) {
    const { paused, accepting } = there.get(queue) ?? {}
    if (paused !== undefined && accepting !== undefined) await from.setQueue(queue, { paused, accepting })
  }
  return countsOf(queues)
}

/** What changes when anything is done to a job. */
const factsOf = ({ state, claim, attempt, crashes, payload, runAt, finishedAt, policy }: JobRecord): string =>
  JSON.stringify([state, claim, attempt, crashes, payload, runAt, finishedAt, policy.queue, policy.priority])

async function seeNothingHappened(from: Store, to: Store): Promise<void> {
  const goneOn = (what: string): Error =>
    conflict(
      `the target has gone on: ${what}. Move its jobs as they are now: \`forgeq move --from <target> --to <new store>\``,
    )
  const before = byName(await from.queues())
  for (const { queue, counts } of await to.queues()) {
    const state = states.find((one) => counts[one] !== (before.get(queue)?.counts[one] ?? 0))
    if (state === undefined) continue
    throw goneOn(
      `queue ${queue} has ${counts[state]} ${state} jobs, in the source ${before.get(queue)?.counts[state] ?? 0}`,
    )
  }
  let cursor: string | null = null
  do {
    const page = await to.dump(cursor, pageJobs)
    const ids = page.jobs.map(({ id }) => id)
    const known = new Map((await from.jobs(ids)).map((job) => [job.id, factsOf(job)]))
    const changed = (await to.jobs(ids)).find((job) => known.get(job.id) !== factsOf(job))
    if (changed !== undefined) throw goneOn(`job ${changed.id} is not what it was`)
    cursor = page.cursor
  } while (cursor !== null)
}
