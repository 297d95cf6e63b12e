// One job with everything known about it, for `jobs show` and `dead show`.
import type { ForgeQ } from '../forge.ts'
import { isEnded } from '../core/states.ts'
import { formatMs } from '../core/duration.ts'
import { harmless, oneLine } from '../observe/printable.ts'
import { jobJson } from '../server/view.ts'
import type { AttemptRecord, JobRecord, LogRecord, Unique } from '../store/records.ts'
import { jobOf } from './job-of.ts'
import { paint, printFacts, printTable } from './output.ts'
import { paintState } from './paint.ts'
import { lasting, when } from './when.ts'

const logLinesShown = 10
const longestText = 2_000

export async function showJob(forge: ForgeQ, id: string, asJson: boolean): Promise<void> {
  const job = await jobOf(forge, id, ['attempts', 'logs'])
  const why = await forge.admin.why(id)
  if (asJson) return console.log(jobJson(job, why))
  const { now } = await forge.ready()
  const { policy, error } = job
  console.log(`${paint('bold', job.type)} ${job.id}\n`)
  printFacts([
    ['state', `${paintState(paint, job.state)}${stateDetail(job, now)}`],
    ['why', isEnded(job.state) ? undefined : why?.text],
    ['queue', `${policy.queue}, priority ${policy.priority}`],
    ['attempt', `${job.attempt} of ${policy.maxAttempts}${job.crashes > 0 ? `, and ${job.crashes} crashes` : ''}`],
    ['timeout', policy.timeoutMs === 0 ? 'none' : formatMs(policy.timeoutMs)],
    ['created', `${iso(job.createdAt)} (${when(job.createdAt, now)})`],
    ['due', job.state === 'scheduled' ? `${iso(job.runAt)} (${when(job.runAt, now)})` : undefined],
    ['started', job.startedAt === null ? undefined : `${iso(job.startedAt)} (${when(job.startedAt, now)})`],
    ['finished', job.finishedAt === null ? undefined : `${iso(job.finishedAt)} (${when(job.finishedAt, now)})`],
    ['expires', job.expireAt === null ? undefined : `${iso(job.expireAt)} (${when(job.expireAt, now)})`],
    ['worker', job.worker ?? undefined],
    ['unique', job.unique === null ? undefined : uniqueIn(job.unique)],
    ['key', job.key === null ? undefined : oneLine(job.key)],
    ['tags', job.tags.map(oneLine).join(', ')],
    ['progress', progressOf(job)],
    ['payload', short(job.payload)],
    ['result', job.result === null ? undefined : short(job.result)],
    ['error', error === null ? undefined : paint('red', short(error.stack ?? `${error.name}: ${error.message}`))],
    ...(error?.problems ?? []).map(({ path, message }) => ['', short(`${path}: ${message}`)] as const),
  ])
  printAttempts(job.attempts ?? [])
  const logs = job.logs ?? []
  if (logs.length === 0) return
  console.log(`\n${paint('bold', 'Log')}`)
  printLogs(logs.slice(-logLinesShown))
  if (logs.length > logLinesShown)
    console.log(paint('dim', `(the last ${logLinesShown} of ${logs.length} lines: forgeq jobs logs ${id})`))
}

export function printLogs(logs: readonly LogRecord[]): void {
  for (const { at, level, message } of logs)
    console.log(`${paint('dim', iso(at))} ${level.padEnd(5)} ${harmless(message)}`)
}

function printAttempts(attempts: readonly AttemptRecord[]): void {
  if (attempts.length === 0) return
  console.log(`\n${paint('bold', 'Claims')}`)
  printTable(attempts, [
    { title: '#', cell: ({ claim }) => String(claim), align: 'right' },
    { title: 'ATTEMPT', cell: ({ attempt }) => String(attempt), align: 'right' },
    { title: 'OUTCOME', cell: ({ outcome }) => outcome },
    { title: 'STARTED', cell: ({ startedAt }) => iso(startedAt) },
    { title: 'TOOK', cell: ({ startedAt, endedAt }) => lasting(endedAt - startedAt), align: 'right' },
    { title: 'ERROR', cell: ({ error }) => (error === null ? '' : oneLine(error.message)), shrinks: true },
  ])
}

function stateDetail({ state, reason, cancelRequested, startedAt }: JobRecord, now: number): string {
  if (state === 'running')
    return ` for ${lasting(now - (startedAt ?? now))}${cancelRequested ? ', being cancelled' : ''}`
  return reason === null || reason === state ? '' : ` (${reason})`
}

function progressOf({ progress }: JobRecord): string | undefined {
  if (progress === null) return undefined
  const { done, total, label } = progress
  const share = total === undefined || total === 0 ? '' : ` (${Math.round((done / total) * 100)} %)`
  return `${done}${total === undefined ? '' : ` of ${total}`}${share}${label === undefined ? '' : ` ${oneLine(label)}`}`
}

/** `--json` has it whole. */
const short = (text: string): string =>
  harmless(text.length > longestText ? `${text.slice(0, longestText)}… (${text.length} characters)` : text)

const iso = (at: number): string => new Date(at).toISOString()

const uniqueIn = (unique: Unique): string =>
  `${oneLine(unique.key)}, held ${'forMs' in unique ? `for ${formatMs(unique.forMs)}` : `until ${unique.until}`}`
