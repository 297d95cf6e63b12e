// Takes a move back, as long as nothing has happened in the target: the target is shut for good, the source goes on.
import { states, type State } from '../core/states.ts'
import { failpoint } from '../store/failpoint.ts'
import type { QueueRecord } from '../store/queue-record.ts'
import type { Store } from '../store/store.ts'
import { byName, compare, conflict, countsOf, isShut, pruneAll, shutOff, type Ends, type QueueCounts } from './move.ts'
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
  // A target that has gone on is left alone; and whatever got in before it was shut is seen then.
  await seeNothingHappened(from, to, there)
  for (const [queue] of there) await shutOff(to, queue)
  try {
    await seeNothingHappened(from, to, there)
  } catch (error) {
    for (const [queue, { limits }] of there) {
      await to.setQueue(queue, { concurrency: limits.concurrency, maxDepth: limits.maxDepth })
    }
    throw error
  }
  failpoint('move.before-reopen')
  for (const { queue } of queues) {
    const known = there.get(queue)
    if (known !== undefined) await from.setQueue(queue, { paused: known.paused, accepting: known.accepting })
  }
  return countsOf(queues)
}

/** Of a move that is not over, jobs may be missing in queues of the target that were never opened. */
async function seeNothingHappened(from: Store, to: Store, there: ReadonlyMap<string, QueueRecord>): Promise<void> {
  const goneOn = (what: string): Error =>
    conflict(
      `the target has gone on: ${what}. Move its jobs as they are now: \`forgeq move --from <target> --to <new store>\``,
    )
  const before = byName(await from.queues())
  for (const { queue, counts } of await to.queues()) {
    const known = there.get(queue)
    if (known !== undefined && isShut(known)) continue
    const had = (state: State): number => before.get(queue)?.counts[state] ?? 0
    const state = states.find((one) => counts[one] !== had(one))
    if (state !== undefined)
      throw goneOn(`queue ${queue} has ${counts[state]} ${state} jobs, in the source ${had(state)}`)
  }
  let cursor: string | null = null
  do {
    const page = await to.dump(cursor, pageJobs)
    const { strange, changed } = await compare(
      { from, to },
      page.jobs.map(({ id }) => id),
    )
    if (strange[0] !== undefined) throw goneOn(`job ${strange[0]} is new`)
    if (changed !== undefined) throw goneOn(`job ${changed} is not what it was`)
    cursor = page.cursor
  } while (cursor !== null)
}
