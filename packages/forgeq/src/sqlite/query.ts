// Reads jobs as whole records: the body, its place, its past. Runs outside write transactions.
import { caps } from '../core/caps.ts'
import { ForgeError } from '../core/errors.ts'
import type { AttemptRecord, Failure, Include, JobFilter, JobPage, JobRecord, Progress } from '../store/records.ts'
import { charsOf, pageChars } from '../store/store.ts'
import { logs, pastAttempts } from './history.ts'
import { lineOf } from './keys.ts'
import { placeOf, type Body, type Place } from './place.ts'
import { claimedPolicy } from '../store/policy-text.ts'
import { stateCodes, stateName } from '../store/state-codes.ts'
import type { Reader } from './reader.ts'
import type { Sql } from './statements.ts'
import { unpackUnique } from '../store/unique-hold.ts'
import { uidOf } from './worker-uid.ts'

/** A body without its payload, which may be a thousand times as long as the rest. */
interface HeadRow extends Body {
  readonly policy: string | null
  readonly attempt_base: number
  readonly created_at: number
  readonly expire_at: number | null
  readonly tags: string | null
  readonly uniq: string | null
  readonly uniq_for: number | null
}

interface BodyRow extends HeadRow {
  readonly payload: string
}

interface DoneRow {
  readonly finished_at: number
  readonly result_until: number | null
  readonly started_at: number | null
  readonly reason: string | null
  readonly result: string | null
}

const headColumns = `j.seq, j.id, j.type, j.queue, j.priority, j.run_at, j.policy, j.attempt_base, j.created_at, j.expire_at, j.tags, j.uniq,
  j.uniq_for, j.key`
const payloadOf = /* sql */ `SELECT payload FROM forgeq_job WHERE seq = ?`
const bodiesById = /* sql */ `
  SELECT ${headColumns}, j.payload FROM json_each(?) e CROSS JOIN forgeq_job j ON j.id = e.value ORDER BY e.key`
const doneOf = /* sql */ `SELECT finished_at, result_until, started_at, reason, result FROM forgeq_done WHERE job = ?`
const lastError = /* sql */ `
  SELECT error FROM forgeq_attempt WHERE job = ? AND error IS NOT NULL ORDER BY claim DESC LIMIT 1`
const progressOf = /* sql */ `SELECT progress FROM forgeq_progress WHERE job = ?`

export const jobs = (db: Reader, ids: readonly string[], include: readonly Include[] = []): JobRecord[] =>
  (db.sql(bodiesById).all(JSON.stringify(ids)) as BodyRow[]).flatMap((body) => {
    const record = recordOf(db, body, include)
    return record === undefined ? [] : [record]
  })

const recordOf = (db: Reader, body: BodyRow, include: readonly Include[]): JobRecord | undefined => {
  const place = placeOf(db, body)
  if (place === undefined) return undefined
  const done = place.tree === 'done' ? (db.sql(doneOf).get(body.seq) as DoneRow) : undefined
  const error = place.claim === 0 ? undefined : (db.sql(lastError).get(body.seq) as { error: string } | undefined)
  const progress = db.sql(progressOf).get(body.seq) as { progress: string } | undefined
  const line =
    include.includes('line') && place.tree === 'line'
      ? lineOf(db, { queue: body.queue, key: body.key! }, body.seq)
      : undefined
  return {
    id: body.id,
    type: db.names.type.name(body.type),
    state: stateName(place.state),
    policy: claimedPolicy(body.policy, db.names.queue.name(body.queue), body.priority, body.attempt_base),
    payload: body.payload,
    result: done === undefined || (done.result_until ?? 0) < db.now ? null : done.result,
    reason: done?.reason ?? null,
    error: error === undefined ? null : (JSON.parse(error.error) as Failure),
    progress: progress === undefined ? null : (JSON.parse(progress.progress) as Progress),
    claim: place.claim,
    attempt: place.attempt,
    crashes: place.crashes,
    createdAt: body.created_at,
    // A job that came back waits until its new time, not the one it was enqueued with.
    runAt: place.tree === 'later' ? place.a : body.run_at,
    startedAt: place.started_at,
    finishedAt: done?.finished_at ?? null,
    resultUntil: done?.result_until ?? null,
    expireAt: body.expire_at,
    worker: place.worker === null ? null : (uidOf(db, place.worker) ?? null),
    cancelRequested: place.cancelled === 1,
    tags: body.tags === null ? [] : (JSON.parse(body.tags) as string[]),
    unique: body.uniq === null ? null : unpackUnique(body.uniq, body.uniq_for),
    key: body.key,
    ...(line !== undefined && { line }),
    ...(include.includes('attempts') ? { attempts: attempts(db, body.seq, place, done) } : {}),
    ...(include.includes('logs') ? { logs: logs(db, body.seq) } : {}),
  }
}

const attempts = (db: Sql, job: number, place: Place, done: DoneRow | undefined): AttemptRecord[] => {
  const past = pastAttempts(db, job)
  if (place.state === stateCodes.completed && done !== undefined && done.started_at !== null) {
    past.push({
      claim: place.claim,
      attempt: place.attempt,
      outcome: 'complete',
      worker: uidOf(db, place.settler) ?? '',
      startedAt: done.started_at,
      endedAt: done.finished_at,
      error: null,
    })
  }
  return past.slice(-caps.attemptsKept)
}

/** One call reads at most this many rows of a tree, however few of them match. */
const scanLimit = 2000

interface Listing {
  /** Rows carry a head and the columns of their cursor, in the order of the cursor. */
  readonly sql: string
  readonly cursor: readonly string[]
}

const bodyJoin = `CROSS JOIN forgeq_job j ON j.seq =`

// Each state is listed from the small tree it lives in, so ten dead jobs among ten million are found at once.
const listings: Readonly<Record<string, Listing>> = {
  all: {
    sql: /* sql */ `SELECT ${headColumns}, j.seq AS k1 FROM forgeq_job j WHERE j.seq < ? ORDER BY j.seq DESC LIMIT ?`,
    cursor: ['k1'],
  },
  completed: {
    sql: /* sql */ `SELECT ${headColumns}, d.job AS k1 FROM forgeq_done d ${bodyJoin} d.job
      WHERE d.job < ? ORDER BY d.job DESC LIMIT ?`,
    cursor: ['k1'],
  },
  dead: {
    sql: /* sql */ `SELECT ${headColumns}, d.job AS k1 FROM forgeq_done d ${bodyJoin} d.job
      WHERE d.job < ? AND d.state = ${stateCodes.dead} AND d.state <> ${stateCodes.completed} ORDER BY d.job DESC LIMIT ?`,
    cursor: ['k1'],
  },
  cancelled: {
    sql: /* sql */ `SELECT ${headColumns}, d.job AS k1 FROM forgeq_done d ${bodyJoin} d.job
      WHERE d.job < ? AND d.state = ${stateCodes.cancelled} AND d.state <> ${stateCodes.completed} ORDER BY d.job DESC LIMIT ?`,
    cursor: ['k1'],
  },
  running: {
    sql: /* sql */ `SELECT ${headColumns}, r.job AS k1 FROM forgeq_running r ${bodyJoin} r.job
      WHERE r.job < ? ORDER BY r.job DESC LIMIT ?`,
    cursor: ['k1'],
  },
  scheduled: {
    sql: /* sql */ `SELECT ${headColumns}, l.run_at AS k1, l.seq AS k2 FROM forgeq_later l ${bodyJoin} l.job
      WHERE (l.run_at, l.seq) > (?, ?) ORDER BY l.run_at, l.seq LIMIT ?`,
    cursor: ['k1', 'k2'],
  },
  ready: {
    sql: /* sql */ `SELECT ${headColumns}, r.queue AS k1, r.lane AS k2, r.seq AS k3 FROM forgeq_ready r ${bodyJoin} r.job
      WHERE (r.queue, r.lane, r.seq) > (?, ?, ?) ORDER BY r.queue, r.lane, r.seq LIMIT ?`,
    cursor: ['k1', 'k2', 'k3'],
  },
  lines: {
    sql: /* sql */ `SELECT ${headColumns}, l.job AS k1, EXISTS (
        SELECT 1 FROM forgeq_ready r WHERE r.queue = l.queue AND r.key = l.key AND r.job = l.job) AS listed
      FROM forgeq_line l ${bodyJoin} l.job WHERE l.job > ? ORDER BY l.job LIMIT ?`,
    cursor: ['k1'],
  },
  parked: {
    sql: /* sql */ `SELECT ${headColumns}, p.job AS k1 FROM forgeq_parked p ${bodyJoin} p.job
      WHERE p.job < ? ORDER BY p.job DESC LIMIT ?`,
    cursor: ['k1'],
  },
}

/** Jobs in lines and parked ones are ready too: they are listed behind those in the lanes, where the next of each key is. */
const behind: Readonly<Record<string, string>> = { ready: 'lines', lines: 'parked' }

const start = (listing: string): number[] =>
  listing === 'lines'
    ? [-1]
    : listing === 'scheduled'
      ? [-1, -1]
      : listing === 'ready'
        ? [-1, -1, -1]
        : [Number.MAX_SAFE_INTEGER]

export const find = (db: Reader, filter: JobFilter, cursor: string | null, limit: number): JobPage => {
  if (filter.state === 'blocked') return { jobs: [], cursor: null, scanned: 0 }
  let [listing, ...position] = cursor === null ? [filter.state ?? 'all'] : parseCursor(cursor)
  let scanned = 0
  let chars = 0
  const found: JobRecord[] = []
  for (;;) {
    const { sql, cursor: columns } = listings[listing!]!
    const from = position.length === 0 ? start(listing!) : position.map(Number)
    const room = Math.min(scanLimit - scanned, Math.max(limit * 4, 100))
    const rows = db.sql(sql).all(...from, room) as (HeadRow & Record<string, number>)[]
    for (const row of rows) {
      scanned++
      const record =
        row['listed'] !== 1 && matches(db, row, filter)
          ? recordOf(db, { ...row, ...bodyOf(db, row.seq) }, [])
          : undefined
      if (record !== undefined && (filter.state === undefined || record.state === filter.state)) {
        // One more than fits: only now it is known that there is a next page.
        if (found.length === limit || chars >= pageChars) {
          return { jobs: found, cursor: [listing, ...position].join('.'), scanned }
        }
        found.push(record)
        chars += charsOf(record)
      }
      position = columns.map((column) => String(row[column]))
    }
    if (rows.length < room) {
      const next = behind[listing!]
      if (next === undefined) return { jobs: found, cursor: null, scanned }
      listing = next
      position = []
    }
    if (scanned >= scanLimit) return { jobs: found, cursor: [listing, ...position].join('.'), scanned }
  }
}

const parseCursor = (cursor: string): string[] => {
  const parts = cursor.split('.')
  const name = parts[0]!
  const listing = Object.hasOwn(listings, name) ? listings[name] : undefined
  const isSound =
    listing !== undefined &&
    (parts.length === 1 || parts.length === 1 + listing.cursor.length) &&
    parts.slice(1).every((part) => /^-?\d+$/.test(part))
  if (!isSound)
    throw new ForgeError(
      'INVALID_OPTION',
      `cursor ${JSON.stringify(cursor)} is not one that this store gave out; start without one`,
    )
  return parts
}

const bodyOf = (db: Sql, seq: number): Pick<BodyRow, 'payload'> =>
  db.sql(payloadOf).get(seq) as Pick<BodyRow, 'payload'>

const matches = (db: Reader, row: HeadRow, filter: JobFilter): boolean =>
  (filter.queue === undefined || db.names.queue.name(row.queue) === filter.queue) &&
  (filter.type === undefined || db.names.type.name(row.type) === filter.type) &&
  (filter.tag === undefined || (row.tags !== null && (JSON.parse(row.tags) as string[]).includes(filter.tag)))
