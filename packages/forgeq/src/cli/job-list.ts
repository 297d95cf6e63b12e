// Lists of jobs, for `jobs ls` and `dead ls`.
import type { ForgeQ } from '../forge.ts'
import type { State } from '../core/states.ts'
import { oneLine } from '../observe/printable.ts'
import { pageJson } from '../server/view.ts'
import type { JobFilter, JobRecord } from '../store/records.ts'
import { charsOf, pageChars } from '../store/store.ts'
import { paint, printTable, say } from './output.ts'
import { paintState } from './paint.ts'
import { lasting, when } from './when.ts'

export interface ListFlags {
  readonly state?: State
  readonly queue?: string
  readonly type?: string
  readonly tag?: string
  readonly limit: number
  readonly cursor?: string
  readonly json?: true
}

export async function listJobs(forge: ForgeQ, flags: ListFlags): Promise<void> {
  const { jobs, cursor } = await findJobs(forge, filterOf(flags), flags.limit, flags.cursor ?? null)
  if (flags.json) return console.log(pageJson(jobs, cursor))
  const { now } = await forge.ready()
  if (jobs.length === 0) say('No job matches.')
  else printJobs(jobs, now)
  if (cursor !== null) say(`\nMore: add --cursor ${cursor}`)
}

export const filterOf = ({ state, queue, type, tag }: Omit<ListFlags, 'limit'>): JobFilter => ({
  ...(state !== undefined && { state }),
  ...(queue !== undefined && { queue }),
  ...(type !== undefined && { type }),
  ...(tag !== undefined && { tag }),
})

/** Goes on while pages are short, because a store bounds its search; but large jobs end the list, as they end a page. */
export async function findJobs(
  forge: ForgeQ,
  filter: JobFilter,
  limit: number,
  from: string | null,
): Promise<{ jobs: JobRecord[]; cursor: string | null }> {
  const jobs: JobRecord[] = []
  let cursor = from
  let chars = 0
  do {
    const page = await forge.store.find(filter, cursor, limit - jobs.length)
    jobs.push(...page.jobs)
    cursor = page.cursor
    for (const job of page.jobs) chars += charsOf(job)
  } while (cursor !== null && jobs.length < limit && chars < pageChars)
  return { jobs, cursor }
}

function printJobs(jobs: readonly JobRecord[], now: number): void {
  printTable(jobs, [
    { title: 'ID', cell: ({ id }) => id },
    { title: 'TYPE', cell: ({ type }) => type, shrinks: true },
    { title: 'QUEUE', cell: ({ policy }) => policy.queue, shrinks: true },
    {
      title: 'STATE',
      cell: ({ state }) => state,
      paint: (text, { state }) => text.replace(state, paintState(paint, state)),
    },
    { title: 'TRY', cell: ({ attempt, policy }) => `${attempt}/${policy.maxAttempts}`, align: 'right' },
    { title: 'CREATED', cell: ({ createdAt }) => when(createdAt, now) },
    { title: 'NOW', cell: (job) => situation(job, now), shrinks: true },
  ])
}

/** What there is to know of a job in a few words. */
function situation(job: JobRecord, now: number): string {
  const { state, runAt, startedAt, finishedAt, progress, error, reason } = job
  switch (state) {
    case 'scheduled':
      return `due ${when(runAt, now)}${because(job)}`
    case 'running': {
      const done =
        progress === null ? '' : `, ${progress.done}${progress.total === undefined ? '' : `/${progress.total}`}`
      return `for ${lasting(now - (startedAt ?? now))}${done}`
    }
    case 'completed':
      return startedAt === null || finishedAt === null ? '' : `took ${lasting(finishedAt - startedAt)}`
    case 'dead':
      return error === null ? (reason ?? '') : `${reason}: ${oneLine(error.message)}`
    case 'cancelled':
      return reason === 'expired' ? 'expired' : ''
    case 'ready':
    case 'blocked':
      return because(job).replace(/^, /, '')
  }
}

const because = ({ error }: JobRecord): string => (error === null ? '' : `, failed: ${oneLine(error.message)}`)
