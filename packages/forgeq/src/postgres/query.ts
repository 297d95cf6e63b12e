// Reads jobs as whole records: the body, its place, its past. A record of many jobs is read by a few statements for all.
import { caps } from '../core/caps.ts'
import { ForgeError } from '../core/errors.ts'
import { isId } from '../core/id.ts'
import { claimedPolicy } from '../store/policy-text.ts'
import type {
  AttemptRecord,
  Failure,
  Include,
  JobFilter,
  JobPage,
  JobRecord,
  LogRecord,
  Progress,
} from '../store/records.ts'
import { attemptOf, type AttemptRow } from '../store/rows.ts'
import { stateCodes, stateName } from '../store/state-codes.ts'
import { pageChars } from '../store/store.ts'
import { unpackUnique } from '../store/unique-hold.ts'
import { lineOf } from './keys.ts'
import { bodyColumns, placeColumns, placeOfJob, type Placed } from './place.ts'
import { rowOf } from './seek.ts'
import type { Turn } from './turn.ts'

const records = /* sql */ `
  SELECT ${bodyColumns}, ${placeColumns}, j.payload, q.name AS queue_name, t.name AS type_name, w.uid, s.uid AS settler_uid,
    d.finished_at, d.result_until, d.reason, CASE WHEN d.result_until >= $2 THEN d.result END AS result, g.progress,
    (SELECT a.error FROM forgeq.attempt a WHERE a.job = j.id AND a.error IS NOT NULL ORDER BY a.claim DESC LIMIT 1) AS error
  FROM unnest($1::uuid[]) WITH ORDINALITY AS e (id, n) CROSS JOIN ${rowOf('job', 'j', 'id = e.id')} CROSS JOIN ${placeOfJob}
    JOIN forgeq.queue q ON q.id = j.queue JOIN forgeq.type t ON t.id = j.type
    LEFT JOIN ${rowOf('done', 'd', 'job = j.id')} ON true LEFT JOIN ${rowOf('progress', 'g', 'job = j.id')} ON true
    LEFT JOIN ${rowOf('worker', 'w', 'id = p.worker')} ON true LEFT JOIN ${rowOf('worker', 's', 'id = p.settler')} ON true
  ORDER BY e.n`
const attemptsOf = /* sql */ `
  SELECT a.job, a.claim, a.attempt, a.outcome, a.started_at, a.ended_at, a.error, w.uid
  FROM forgeq.attempt a LEFT JOIN ${rowOf('worker', 'w', 'id = a.worker')} ON true WHERE a.job = ANY ($1::uuid[]) ORDER BY a.job, a.claim`
const logsOf = /* sql */ `
  SELECT job, at, claim, level, message FROM forgeq.log WHERE job = ANY ($1::uuid[]) ORDER BY job, n`

interface Row extends Placed {
  readonly payload: string
  readonly queue_name: string
  readonly type_name: string
  readonly uid: string | null
  readonly settler_uid: string | null
  readonly finished_at: number | null
  readonly result_until: number | null
  readonly reason: string | null
  readonly result: string | null
  readonly progress: string | null
  readonly error: string | null
}

export const jobs = async (
  turn: Turn,
  ids: readonly string[],
  include: readonly Include[] = [],
): Promise<JobRecord[]> => {
  const rows = await turn.all<Row>(records, ids.filter(isId), turn.now)
  const known = rows.map(({ id }) => id)
  const attempts = include.includes('attempts') ? await attemptRows(turn, known) : undefined
  const logs = include.includes('logs') ? await logRows(turn, known) : undefined
  const found: JobRecord[] = []
  for (const row of rows) {
    const hasLine = include.includes('line') && row.tree === 'line'
    found.push({
      ...recordOf(row),
      ...(hasLine && { line: await lineOf(turn, row.queue, row.key!, row.id) }),
      ...(attempts && { attempts: [...(attempts.get(row.id) ?? []), ...completion(row)].slice(-caps.attemptsKept) }),
      ...(logs && { logs: logs.get(row.id) ?? [] }),
    })
  }
  return found
}

const recordOf = (row: Row): JobRecord => ({
  id: row.id,
  type: row.type_name,
  state: stateName(row.state),
  policy: claimedPolicy(row.policy, row.queue_name, row.priority, row.attempt_base),
  payload: row.payload,
  result: row.result,
  reason: row.reason,
  error: row.error === null || row.claim === 0 ? null : (JSON.parse(row.error) as Failure),
  progress: row.progress === null ? null : (JSON.parse(row.progress) as Progress),
  claim: row.claim,
  attempt: row.attempt,
  crashes: row.crashes,
  createdAt: row.created_at,
  // A job that came back waits until its new time, not the one it was enqueued with.
  runAt: row.tree === 'later' ? row.a : row.run_at,
  startedAt: row.started_at,
  finishedAt: row.finished_at,
  resultUntil: row.result_until,
  expireAt: row.expire_at,
  worker: row.uid,
  cancelRequested: row.cancelled,
  tags: row.tags === null ? [] : (JSON.parse(row.tags) as string[]),
  unique: row.uniq === null ? null : unpackUnique(row.uniq, row.uniq_for),
  key: row.key,
})

export const attemptRows = async (
  turn: Turn,
  ids: readonly string[],
): Promise<ReadonlyMap<string, AttemptRecord[]>> => {
  const rows = await turn.all<AttemptRow & { job: string }>(attemptsOf, ids)
  return grouped(rows, attemptOf)
}

export const logRows = async (turn: Turn, ids: readonly string[]): Promise<ReadonlyMap<string, LogRecord[]>> =>
  grouped(await turn.all<LogRecord & { job: string }>(logsOf, ids), ({ at, claim, level, message }) => ({
    at,
    claim,
    level,
    message,
  }))

const grouped = <R extends { readonly job: string }, T>(
  rows: readonly R[],
  recordOf: (row: R) => T,
): Map<string, T[]> => {
  const groups = new Map<string, T[]>()
  for (const row of rows) {
    const group = groups.get(row.job)
    if (group === undefined) groups.set(row.job, [recordOf(row)])
    else group.push(recordOf(row))
  }
  return groups
}

/** The claim that completed the job: its times are in done. */
const completion = (row: Row): AttemptRecord[] => {
  const { claim, attempt, started_at: startedAt, finished_at: endedAt } = row
  if (row.state !== stateCodes.completed || startedAt === null || endedAt === null) return []
  return [{ claim, attempt, outcome: 'complete', worker: row.settler_uid ?? '', startedAt, endedAt, error: null }]
}

/** One call reads at most this many rows of a tree, however few of them match. */
const scanLimit = 2000

interface Listing {
  /** Rows carry what filters look at and the columns of their cursor, in the order of the cursor. */
  readonly sql: string
  readonly cursor: readonly string[]
  readonly start: readonly string[]
}

const lastId = 'ffffffff-ffff-ffff-ffff-ffffffffffff'
const columns = 'j.id, j.queue, j.type, j.tags, length(j.payload) AS size'
// The page is cut before bodies are looked at: the planner must not walk bodies to find which of them are in a small tree.
const newestFirst = (table: string, filter = ''): Listing => ({
  sql: /* sql */ `SELECT ${columns}, j.id AS k1
    FROM (SELECT job FROM forgeq.${table} WHERE job < $1::uuid ${filter} ORDER BY job DESC LIMIT $2) p
      CROSS JOIN ${rowOf('job', 'j', 'id = p.job')} ORDER BY j.id DESC`,
  cursor: ['k1'],
  start: [lastId],
})
const exceptional = (state: number): Listing =>
  newestFirst('done', `AND state = ${state} AND state <> ${stateCodes.completed}`)

// Each state is listed from the small tree it lives in, so ten dead jobs among ten million are found at once.
const listings: Readonly<Record<string, Listing>> = {
  all: {
    sql: /* sql */ `SELECT ${columns}, j.id AS k1 FROM forgeq.job j WHERE j.id < $1::uuid ORDER BY j.id DESC LIMIT $2`,
    cursor: ['k1'],
    start: [lastId],
  },
  completed: newestFirst('done', `AND state = ${stateCodes.completed}`),
  dead: exceptional(stateCodes.dead),
  cancelled: exceptional(stateCodes.cancelled),
  running: newestFirst('running'),
  scheduled: {
    sql: /* sql */ `SELECT ${columns}, p.run_at AS k1, p.seq AS k2
      FROM (SELECT run_at, seq, job FROM forgeq.later WHERE (run_at, seq) > ($1::bigint, $2::bigint)
        ORDER BY run_at, seq LIMIT $3) p CROSS JOIN ${rowOf('job', 'j', 'id = p.job')} ORDER BY p.run_at, p.seq`,
    cursor: ['k1', 'k2'],
    start: ['-1', '-1'],
  },
  ready: {
    sql: /* sql */ `SELECT ${columns}, p.queue AS k1, p.lane AS k2, p.seq AS k3
      FROM (SELECT queue, lane, seq, job FROM forgeq.live WHERE (queue, lane, seq) > ($1::int, $2::int, $3::bigint)
        AND worker IS NULL AND key IS NULL ORDER BY queue, lane, seq LIMIT $4) p
        CROSS JOIN ${rowOf('job', 'j', 'id = p.job')} ORDER BY p.queue, p.lane, p.seq`,
    cursor: ['k1', 'k2', 'k3'],
    start: ['-1', '-1', '-1'],
  },
  lines: newestFirst('line'),
  parked: newestFirst('parked'),
}

/** Jobs in lines and parked ones are ready too: they are listed behind those in the lanes. */
const behind: Readonly<Record<string, string>> = { ready: 'lines', lines: 'parked' }

interface Head {
  readonly id: string
  readonly queue: number
  readonly type: number
  readonly tags: string | null
  readonly size: number
}

interface Wanted {
  readonly queue: number | undefined
  readonly type: number | undefined
}

export const find = async (turn: Turn, filter: JobFilter, cursor: string | null, limit: number): Promise<JobPage> => {
  const nothing: JobPage = { jobs: [], cursor: null, scanned: 0 }
  let [listing, ...position] = cursor === null ? [filter.state ?? 'all'] : parseCursor(cursor)
  if (filter.state === 'blocked') return nothing
  const { queue: queueName, type: typeName } = filter
  const queue = queueName === undefined ? undefined : turn.names.queue.find(queueName)
  const type = typeName === undefined ? undefined : turn.names.type.find(typeName)
  if ((queueName !== undefined && queue === undefined) || (typeName !== undefined && type === undefined)) return nothing
  let scanned = 0
  let size = 0
  const ids: string[] = []
  const page = async (next: string | null): Promise<JobPage> => {
    const found = (await jobs(turn, ids)).filter(({ state }) => filter.state === undefined || state === filter.state)
    return { jobs: found, cursor: next, scanned }
  }
  for (;;) {
    const { sql, cursor: columns, start } = listings[listing!]!
    const room = Math.min(scanLimit - scanned, Math.max(limit * 4, 100))
    const rows = await turn.all<Head & Record<string, string | number>>(
      sql,
      ...(position.length === 0 ? start : position),
      room,
    )
    for (const row of rows) {
      scanned++
      if (matches(row, { queue, type }, filter.tag)) {
        // One more than fits: only now it is known that there is a next page.
        if (ids.length === limit || size >= pageChars) return page([listing, ...position].join('.'))
        ids.push(row.id)
        size += row.size
      }
      position = columns.map((column) => String(row[column]))
    }
    if (rows.length < room) {
      const next = behind[listing!]
      if (next === undefined) return page(null)
      listing = next
      position = []
    }
    if (scanned >= scanLimit) return page([listing, ...position].join('.'))
  }
}

const isPart = (part: string): boolean =>
  /^-?\d+$/.test(part) || /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(part)

const parseCursor = (cursor: string): string[] => {
  const parts = cursor.split('.')
  const name = parts[0]!
  const listing = Object.hasOwn(listings, name) ? listings[name] : undefined
  const isSound =
    listing !== undefined &&
    (parts.length === 1 || parts.length === 1 + listing.cursor.length) &&
    parts.slice(1).every((part) => isPart(part) && part.includes('-', 1) === listing.start[0]!.length > 2)
  if (!isSound) {
    throw new ForgeError(
      'INVALID_OPTION',
      `cursor ${JSON.stringify(cursor)} is not one that this store gave out; start without one`,
    )
  }
  return parts
}

const matches = (row: Head, { queue, type }: Wanted, tag: string | undefined): boolean =>
  (queue === undefined || row.queue === queue) &&
  (type === undefined || row.type === type) &&
  (tag === undefined || (row.tags !== null && (JSON.parse(row.tags) as string[]).includes(tag)))
