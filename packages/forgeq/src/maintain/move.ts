// Moves all jobs of a store to another one, while nobody works on either. From the first step on the source takes nothing and
// hands out nothing, and stays so; the target does neither until all that is there was found to be the same. Each step may be
// repeated, whatever was done of it.
import { ForgeError } from '../core/errors.ts'
import type { QueueSettings } from '../core/limit.ts'
import { states, type State } from '../core/states.ts'
import { failpoint } from '../store/failpoint.ts'
import { settingsOf, type QueueRecord } from '../store/queue-record.ts'
import type { JobRecord } from '../store/records.ts'
import { batchLimit, type Store } from '../store/store.ts'
import { seeNobodyWorks } from './vacant.ts'

export interface Ends {
  readonly from: Store
  readonly to: Store
}

export interface MoveEvents {
  /** So many jobs were read in this pass; the first one copies, the others compare. */
  readonly passed: (jobs: number, pass: number) => void
  /** The lease of somebody who died has to end first. */
  readonly waits: () => void
}

export type Counts = Readonly<Record<State, number>>

export interface QueueCounts {
  readonly queue: string
  readonly counts: Counts
}

export interface Moved {
  readonly queues: readonly QueueCounts[]
  /** Jobs that were not there before. */
  readonly loaded: number
  /** Queues of the source that came when all was compared, and that nobody closed. */
  readonly late: readonly string[]
}

const pageJobs = 500
/** Whoever adds jobs to the source again and again is not waited for. */
const mostPasses = 5

/** Of a target that is not open yet: limits that let nothing in and nothing out. The other settings are those that it will have. */
const shut = { concurrency: 0, maxDepth: 0 } as const

export const isShut = ({ limits }: QueueRecord): boolean =>
  limits.concurrency === shut.concurrency && limits.maxDepth === shut.maxDepth

export const shutOff = (store: Store, queue: string): Promise<void> => store.setQueue(queue, shut)

const isClosed = ({ paused, accepting }: QueueRecord): boolean => paused && !accepting

export const byName = (queues: readonly QueueRecord[]): ReadonlyMap<string, QueueRecord> =>
  new Map(queues.map((record) => [record.queue, record]))

export const jobsIn = (counts: Counts): number => states.reduce((sum, state) => sum + counts[state], 0)

/** Queues that have jobs. */
export const countsOf = (queues: readonly QueueRecord[]): readonly QueueCounts[] =>
  queues.filter(({ counts }) => jobsIn(counts) > 0).map(({ queue, counts }) => ({ queue, counts }))

export const conflict = (message: string, id?: string): ForgeError =>
  new ForgeError('STATE_CONFLICT', message, id === undefined ? {} : { id })

/**
 * All jobs, with all that is known of them, settings of queues and what workers announced. STATE_CONFLICT while anybody works
 * on one of the stores, or the target has jobs of its own; ID_CONFLICT when it has another job with an id of the source.
 */
export async function move({ from, to }: Ends, events: MoveEvents): Promise<Moved> {
  await seeNobodyWorks(from, 'the source', events.waits)
  await seeNobodyWorks(to, 'the target', events.waits)
  const other = (await from.queues()).find(isShut)
  if (other !== undefined) {
    throw conflict(
      `the source is itself the target of a move that is not over, or was taken back: its queue ${other.queue} is shut; end ` +
        'that move first',
    )
  }
  await pruneAll(from)
  await pruneAll(to)
  await seeNotOpened({ from, to })
  await seeOnlyKnown({ from, to })
  let loaded = 0
  for (let pass = 1; ; pass++) {
    await close({ from, to })
    failpoint('move.after-close')
    const fresh = await copy({ from, to }, (jobs) => events.passed(jobs, pass))
    loaded += fresh
    // Whatever was copied is compared, too; and both stores count their jobs themselves.
    const differing = fresh > 0 ? [] : await differencesOf({ from, to })
    if (fresh === 0 && differing.length === 0) break
    if (pass === mostPasses) throw neverTheSame(differing)
  }
  failpoint('move.before-open')
  const queues = await open({ from, to })
  return {
    queues: countsOf(queues),
    loaded,
    late: queues.filter((queue) => !isClosed(queue)).map(({ queue }) => queue),
  }
}

/** Finished jobs whose time is over, as any worker or server would do: they must not be there on one side only. */
export async function pruneAll(store: Store): Promise<void> {
  while ((await store.prune(batchLimit)).more);
}

/**
 * A queue that a move has opened has had all its jobs: one that is missing there has been done and forgotten, and must not be
 * brought again.
 */
async function seeNotOpened({ from, to }: Ends): Promise<void> {
  const there = byName(await to.queues())
  for (const queue of await from.queues()) {
    const opened = there.get(queue.queue)
    if (!isClosed(queue) || opened === undefined || isShut(opened)) continue
    if (states.every((state) => queue.counts[state] === opened.counts[state])) continue
    throw conflict(
      `queue ${queue.queue} was moved before and is open in the target, where it has gone on: nothing of it is to be moved again`,
    )
  }
}

/**
 * Before anything is changed: jobs of the target that the source does not have were not put there by this move, and those that
 * are not what they were there have gone on.
 */
async function seeOnlyKnown({ from, to }: Ends): Promise<void> {
  if (countsOf(await to.queues()).length === 0) return
  let [strangers, example] = [0, '']
  let cursor: string | null = null
  do {
    const page = await to.dump(cursor, pageJobs)
    const { strange, changed } = await compare(
      { from, to },
      page.jobs.map(({ id }) => id),
    )
    if (changed !== undefined) throw isOther(changed)
    strangers += strange.length
    example ||= strange[0] ?? ''
    cursor = page.cursor
  } while (cursor !== null)
  if (strangers === 0) return
  throw conflict(
    `jobs of the target are not in the source: ${strangers.toLocaleString('en')} of them, as ${example}; move into an empty ` +
      'target, another file or another schema (?schema=...)',
    example,
  )
}

/** What changes when anything is done to a job. */
const factsOf = ({ state, claim, attempt, crashes, payload, runAt, finishedAt, policy }: JobRecord): string =>
  JSON.stringify([state, claim, attempt, crashes, payload, runAt, finishedAt, policy.queue, policy.priority])

/** Of these jobs of the target, those that the source does not have, and the first that is not there what it is here. */
export async function compare(
  { from, to }: Ends,
  ids: readonly string[],
): Promise<{ readonly strange: readonly string[]; readonly changed: string | undefined }> {
  const known = new Map((await from.jobs(ids)).map((job) => [job.id, factsOf(job)]))
  const changed = (await to.jobs(ids)).find((job) => known.has(job.id) && known.get(job.id) !== factsOf(job))
  return { strange: ids.filter((id) => !known.has(id)), changed: changed?.id }
}

const isOther = (id: string): ForgeError =>
  new ForgeError(
    'ID_CONFLICT',
    `job ${id} is in the target already, and is not the same: one of the two has gone on since it was moved; nothing was ` +
      'started; move into an empty target, another file or another schema (?schema=...)',
    { id },
  )

/**
 * The source is closed queue by queue, each after the target knows what the queue was like: of one that is closed already, only
 * the target may know it.
 */
async function close({ from, to }: Ends): Promise<void> {
  const there = byName(await to.queues())
  for (const queue of await from.queues()) {
    const known = isClosed(queue) ? there.get(queue.queue) : undefined
    const { paused, accepting } = known ?? queue
    const gone = Object.keys(there.get(queue.queue)?.limits.rates ?? {}).map((level) => [level, null] as const)
    const rates = { ...Object.fromEntries(gone), ...queue.limits.rates }
    const settings: QueueSettings = { ...settingsOf(queue), rates, paused, accepting, ...shut }
    await to.setQueue(queue.queue, settings)
    await seeTwoStores(from, to, queue)
    await from.setQueue(queue.queue, { paused: true, accepting: false })
  }
}

/** What was done to the target must not have been done to the source. */
async function seeTwoStores(from: Store, to: Store, queue: QueueRecord): Promise<void> {
  const now = byName(await from.queues()).get(queue.queue)
  if (now === undefined || !isShut(now)) return
  await to.setQueue(queue.queue, settingsOf(queue))
  throw new ForgeError('USAGE', 'the source and the target are one store: nothing is to be moved')
}

/** Answers how many jobs were not there before. */
async function copy({ from, to }: Ends, passed: (jobs: number) => void): Promise<number> {
  let [cursor, fresh, read]: [string | null, number, number] = [null, 0, 0]
  do {
    const page = await from.dump(cursor, pageJobs)
    const verdicts = await to.load(page)
    failpoint('move.after-page')
    const other = page.jobs.find((_, i) => verdicts[i] === 'other')
    if (other !== undefined) throw isOther(other.id)
    fresh += verdicts.filter((verdict) => verdict === 'loaded').length
    read += page.jobs.length
    passed(read)
    cursor = page.cursor
  } while (cursor !== null)
  return fresh
}

async function differencesOf({ from, to }: Ends): Promise<readonly string[]> {
  const there = byName(await to.queues())
  return (await from.queues()).flatMap(({ queue, counts }) =>
    states.flatMap((state) => {
      const [had, has] = [counts[state], there.get(queue)?.counts[state] ?? 0]
      return had === has ? [] : [`${queue} ${state}: ${had} in the source, ${has} in the target`]
    }),
  )
}

const neverTheSame = (differing: readonly string[]): ForgeError =>
  new ForgeError(
    'STATE_CONFLICT',
    'the stores do not come to the same, so the target stays closed: somebody works on one of them; stop servers and ' +
      'producers, and run it again',
    { problems: differing.map((message) => ({ path: '', message })) },
  )

/** The target does what the source would have done. Answers how the source was then. */
async function open({ from, to }: Ends): Promise<readonly QueueRecord[]> {
  const queues = await from.queues()
  for (const { queue, limits } of queues.filter(isClosed)) {
    await to.setQueue(queue, { concurrency: limits.concurrency, maxDepth: limits.maxDepth })
  }
  return queues
}
