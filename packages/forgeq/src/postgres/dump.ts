// Reads all that there is, page by page, for another store to load: jobs by id, then what is beside them. Jobs that run are
// left out: they are their workers'.
import { kindOf } from '../store/lanes.ts'
import { readMark, writeMark, type ImagePage, type JobImage, type Place as PlaceImage } from '../store/moved.ts'
import { unpackPolicy } from '../store/policy-text.ts'
import type { AttemptRecord, LogRecord, Progress } from '../store/records.ts'
import { stateCodes, stateName } from '../store/state-codes.ts'
import { pageChars } from '../store/store.ts'
import { unpackUnique } from '../store/unique-hold.ts'
import { dumpTraces, traceNames } from './dump-traces.ts'
import { bodyColumns, placeColumns, placeOfJob, type Placed } from './place.ts'
import { attemptRows, logRows } from './query.ts'
import { rowOf } from './seek.ts'
import type { Turn } from './turn.ts'

// One seek each. The size is that of what may be long.
const heads = /* sql */ `
  SELECT j.id, length(j.payload) + coalesce((SELECT length(d.result) FROM forgeq.done d WHERE d.job = j.id), 0)
    + coalesce((SELECT z.bytes FROM forgeq.log_size z WHERE z.job = j.id), 0)
    + coalesce((SELECT sum(length(a.error)) FROM forgeq.attempt a WHERE a.job = j.id), 0)::bigint AS size
  FROM forgeq.job j WHERE j.id > $1::uuid ORDER BY j.id LIMIT $2`
// OFFSET 0 keeps the planner from reading all of uniq and key_turn for each page: PostgreSQL 18 would.
const images = /* sql */ `
  SELECT ${bodyColumns}, ${placeColumns}, j.seq, j.edited, j.payload, q.name AS queue_name, t.name AS type_name, s.uid AS settler_uid,
    d.finished_at, d.result_until, d.expires_at, d.reason, d.result, g.progress,
    EXISTS (SELECT 1 FROM forgeq.uniq u WHERE u.type = j.type AND u.key = j.uniq AND u.job = j.id AND u.until IS NULL
      OFFSET 0) AS holds_unique,
    EXISTS (SELECT 1 FROM forgeq.key_turn o WHERE o.queue = j.queue AND o.key = j.key AND o.job = j.id OFFSET 0) AS has_turn,
    CASE WHEN p.tree = 'line' THEN (
      SELECT l.seq FROM forgeq.live l WHERE l.queue = j.queue AND l.key = j.key AND l.worker IS NULL AND l.job = j.id) END AS token,
    CASE p.tree
      WHEN 'ready' THEN (SELECT l.at FROM forgeq.live l WHERE l.queue = j.queue AND l.lane = p.a AND l.seq = p.b)
      WHEN 'line' THEN (SELECT i.at FROM forgeq.line i WHERE i.job = j.id)
      WHEN 'parked' THEN (SELECT k.at FROM forgeq.parked k WHERE k.job = j.id) END AS ready_at
  FROM unnest($1::uuid[]) WITH ORDINALITY AS e (id, n) CROSS JOIN ${rowOf('job', 'j', 'id = e.id')} CROSS JOIN ${placeOfJob}
    JOIN forgeq.queue q ON q.id = j.queue JOIN forgeq.type t ON t.id = j.type
    LEFT JOIN ${rowOf('done', 'd', 'job = j.id')} ON true LEFT JOIN ${rowOf('progress', 'g', 'job = j.id')} ON true
    LEFT JOIN ${rowOf('worker', 's', 'id = p.settler')} ON true
  ORDER BY e.n`

interface Row extends Placed {
  readonly seq: number
  readonly edited: boolean
  readonly payload: string
  readonly queue_name: string
  readonly type_name: string
  readonly settler_uid: string | null
  readonly finished_at: number | null
  readonly result_until: number | null
  readonly expires_at: number | null
  readonly reason: string | null
  readonly result: string | null
  readonly progress: string | null
  readonly holds_unique: boolean
  readonly has_turn: boolean
  readonly token: number | null
  readonly ready_at: number | null
}

/** By id; without those that run. */
export const imagesOf = async (turn: Turn, ids: readonly string[]): Promise<ReadonlyMap<string, JobImage>> => {
  if (ids.length === 0) return new Map()
  const rows = (await turn.all<Row>(images, ids)).filter(({ tree }) => tree !== 'running')
  const known = rows.map(({ id }) => id)
  const attempts = await attemptRows(turn, known)
  const logs = await logRows(turn, known)
  return new Map(rows.map((row) => [row.id, imageOf(row, attempts.get(row.id) ?? [], logs.get(row.id) ?? [])]))
}

const imageOf = (row: Row, attempts: readonly AttemptRecord[], logs: readonly LogRecord[]): JobImage => ({
  id: row.id,
  type: row.type_name,
  payload: row.payload,
  policy: { ...unpackPolicy(row.policy), queue: row.queue_name, priority: row.priority },
  claim: row.claim,
  attempt: row.attempt,
  attemptBase: row.attempt_base,
  crashes: row.crashes,
  edited: row.edited,
  createdAt: row.created_at,
  runAt: row.run_at,
  expireAt: row.expire_at,
  tags: row.tags === null ? [] : (JSON.parse(row.tags) as string[]),
  unique: row.uniq === null ? null : unpackUnique(row.uniq, row.uniq_for),
  holdsUnique: row.holds_unique,
  key: row.key,
  hasTurn: row.has_turn,
  arrival: row.seq,
  place: placeOf(row),
  progress: row.progress === null ? null : (JSON.parse(row.progress) as Progress),
  attempts,
  logs,
})

const placeOf = (row: Row): PlaceImage => {
  const { tree, a, b } = row
  if (tree === 'later') return { state: 'scheduled', order: b, dueAt: a }
  if (tree === 'ready' || tree === 'line' || tree === 'parked') {
    const parked = tree === 'parked'
    return { state: 'ready', parked, kind: kindOf(a), order: b, token: row.token, readyAt: row.ready_at! }
  }
  return {
    state: stateName(row.state) as 'completed' | 'dead' | 'cancelled',
    startedAt: row.started_at,
    finishedAt: row.finished_at!,
    resultUntil: row.result_until,
    expiresAt: row.expires_at!,
    reason: row.reason,
    result: row.result,
    worker: row.state === stateCodes.completed ? (row.settler_uid ?? '') : null,
  }
}

const firstId = '00000000-0000-0000-0000-000000000000'

export const dump = async (turn: Turn, cursor: string | null, limit: number): Promise<ImagePage> => {
  const [name, ...key] = readMark(cursor) ?? ['jobs', firstId]
  return name === 'jobs' ? dumpJobs(turn, String(key[0]), limit) : dumpTraces(turn, name, key, limit)
}

/** A page ends with the job that brings it to `pageChars`, as jobs with long logs do soon. */
const dumpJobs = async (turn: Turn, from: string, limit: number): Promise<ImagePage> => {
  const ids: string[] = []
  const rows = await turn.all<{ id: string; size: number }>(heads, from, limit)
  let size = 0
  for (const row of rows) {
    if (size >= pageChars) break
    ids.push(row.id)
    size += row.size
  }
  const jobs = [...(await imagesOf(turn, ids)).values()]
  const isLast = rows.length < limit && ids.length === rows.length
  return { jobs, traces: [], cursor: writeMark(isLast ? [traceNames[0]!] : ['jobs', ids.at(-1)!]) }
}
