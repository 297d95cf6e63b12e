// Reads all that there is, page by page, for another store to load: jobs in the order in which they came, then what is beside
// them. Jobs that run are left out: they are their workers'.
import { unpackPolicy } from '../store/policy-text.ts'
import {
  readMark,
  writeMark,
  type ImagePage,
  type JobImage,
  type Place as PlaceImage,
  type Trace,
} from '../store/moved.ts'
import type { Progress } from '../store/records.ts'
import { kindOf } from '../store/lanes.ts'
import { stateCodes, stateName } from '../store/state-codes.ts'
import { typeOf, type TypeRow } from '../store/rows.ts'
import { pageChars } from '../store/store.ts'
import { unpackUnique } from '../store/unique-hold.ts'
import { logs, pastAttempts } from './history.ts'
import { placeOf, type Body, type Place } from './place.ts'
import type { Reader } from './reader.ts'
import { uidOf } from './worker-uid.ts'

interface Row extends Body {
  readonly policy: string | null
  readonly attempt_base: number
  readonly created_at: number
  readonly expire_at: number | null
  readonly tags: string | null
  readonly uniq: string | null
  readonly uniq_for: number | null
  readonly edited: number
  readonly payload: string
}

const columns = `seq, id, type, queue, priority, run_at, policy, attempt_base, created_at, expire_at, tags, uniq, uniq_for, key, edited,
  payload`
const nextJobs = /* sql */ `SELECT ${columns} FROM forgeq_job WHERE seq > ? ORDER BY seq LIMIT ?`
const jobById = /* sql */ `SELECT ${columns} FROM forgeq_job WHERE id = ?`
const doneOf = /* sql */ `
  SELECT started_at, finished_at, result_until, expires_at, reason, result FROM forgeq_done WHERE job = ?`
const readyAt = {
  ready: /* sql */ `SELECT at FROM forgeq_ready WHERE queue = ? AND lane = ? AND seq = ?`,
  line: /* sql */ `SELECT at FROM forgeq_line WHERE job = ?`,
  parked: /* sql */ `SELECT at FROM forgeq_parked WHERE job = ?`,
}
const tokenOf = /* sql */ `SELECT seq FROM forgeq_ready WHERE queue = ? AND key = ? AND job = ?`
const hasTurn = /* sql */ `SELECT 1 FROM forgeq_key_turn WHERE queue = ? AND key = ? AND job = ?`
const holdsUnique = /* sql */ `SELECT 1 FROM forgeq_uniq WHERE type = ? AND key = ? AND job = ? AND until IS NULL`
const progressOf = /* sql */ `SELECT progress FROM forgeq_progress WHERE job = ?`

/** `undefined` when it is not there, or runs. */
export const imageById = (db: Reader, id: string): JobImage | undefined => {
  const row = db.sql(jobById).get(id) as Row | undefined
  return row && imageOf(db, row)
}

const imageOf = (db: Reader, row: Row): JobImage | undefined => {
  const place = placeOf(db, row)
  if (place === undefined || place.tree === 'running') return undefined
  const { seq, queue, type, key, uniq } = row
  const progress = db.sql(progressOf).get(seq) as { progress: string } | undefined
  return {
    id: row.id,
    type: db.names.type.name(type),
    payload: row.payload,
    policy: { ...unpackPolicy(row.policy), queue: db.names.queue.name(queue), priority: row.priority },
    claim: place.claim,
    attempt: place.attempt,
    attemptBase: row.attempt_base,
    crashes: place.crashes,
    edited: row.edited !== 0,
    createdAt: row.created_at,
    runAt: row.run_at,
    expireAt: row.expire_at,
    tags: row.tags === null ? [] : (JSON.parse(row.tags) as string[]),
    unique: uniq === null ? null : unpackUnique(uniq, row.uniq_for),
    holdsUnique: uniq !== null && db.sql(holdsUnique).get(type, uniq, seq) !== undefined,
    key,
    hasTurn: key !== null && db.sql(hasTurn).get(queue, key, seq) !== undefined,
    arrival: seq,
    place: placeImage(db, row, place),
    progress: progress === undefined ? null : (JSON.parse(progress.progress) as Progress),
    attempts: pastAttempts(db, seq),
    logs: logs(db, seq),
  }
}

const placeImage = (db: Reader, { seq, queue, key }: Row, place: Place): PlaceImage => {
  const { tree } = place
  if (tree === 'later') return { state: 'scheduled', order: place.b, dueAt: place.a }
  if (tree === 'ready' || tree === 'line' || tree === 'parked') {
    const spot = tree === 'ready' ? [queue, place.a, place.b] : [seq]
    const token = tree === 'line' ? (db.sql(tokenOf).get(queue, key, seq) as { seq: number } | undefined) : undefined
    return {
      state: 'ready',
      parked: tree === 'parked',
      kind: kindOf(place.a),
      order: place.b,
      token: token?.seq ?? null,
      readyAt: (db.sql(readyAt[tree]).get(...spot) as { at: number }).at,
    }
  }
  const done = db.sql(doneOf).get(seq) as {
    started_at: number | null
    finished_at: number
    result_until: number | null
    expires_at: number
    reason: string | null
    result: string | null
  }
  return {
    state: stateName(place.state) as 'completed' | 'dead' | 'cancelled',
    startedAt: done.started_at,
    finishedAt: done.finished_at,
    resultUntil: done.result_until,
    expiresAt: done.expires_at,
    reason: done.reason,
    result: done.result,
    worker: place.state === stateCodes.completed ? (uidOf(db, place.settler) ?? '') : null,
  }
}

type Key = readonly (string | number)[]

interface Listing<R> {
  readonly sql: string
  readonly start: Key
  readonly keyOf: (row: R) => Key
  /** `undefined` where there is nothing to tell. */
  readonly traceOf: (db: Reader, row: R) => Trace | undefined
}

const listing = <R>(one: Listing<R>): Listing<never> => one

const onOf = (db: Reader, what: string): string =>
  what.startsWith('t') ? `t${db.names.type.name(Number(what.slice(1)))}` : what

interface OfQueue {
  readonly queue: number
  readonly what: string
}

const whereOf = (db: Reader, { queue, what }: OfQueue): { queue: string; on: string } => ({
  queue: db.names.queue.name(queue),
  on: onOf(db, what),
})

const traces: Readonly<Record<string, Listing<never>>> = {
  type: listing<TypeRow & { id: number }>({
    sql: /* sql */ `
    SELECT id, name, queue, priority, policy, schema FROM forgeq_type WHERE announced AND id > ? ORDER BY id LIMIT ?`,
    start: [-1],
    keyOf: ({ id }) => [id],
    traceOf: (_, row) => ({ trace: 'type', record: typeOf(row) }),
  }),
  unique: listing<{ type: number; key: string; id: string; until: number | null }>({
    sql: /* sql */ `SELECT type, key, id, until FROM forgeq_uniq WHERE (type, key) > (?, ?) ORDER BY type, key LIMIT ?`,
    start: [-1, ''],
    keyOf: ({ type, key }) => [type, key],
    traceOf: (db, { type, key, id, until }) =>
      until === null ? undefined : { trace: 'unique', type: db.names.type.name(type), key, job: id, until },
  }),
  replacement: listing<{ id: string; type: number; holder: string; expires_at: number }>({
    sql: /* sql */ `SELECT id, type, holder, expires_at FROM forgeq_replacement WHERE id > ? ORDER BY id LIMIT ?`,
    start: [''],
    keyOf: ({ id }) => [id],
    traceOf: (db, { id, type, holder, expires_at: expiresAt }) => ({
      trace: 'replacement',
      id,
      type: db.names.type.name(type),
      holder,
      expiresAt,
    }),
  }),
  hold: listing<OfQueue & { until: number }>({
    sql: /* sql */ `SELECT queue, what, until FROM forgeq_hold WHERE (queue, what) > (?, ?) ORDER BY queue, what LIMIT ?`,
    start: [-1, ''],
    keyOf: ({ queue, what }) => [queue, what],
    traceOf: (db, row) => ({ trace: 'hold', ...whereOf(db, row), until: row.until }),
  }),
  alarm: listing<OfQueue & { at: number }>({
    sql: /* sql */ `SELECT queue, what, at FROM forgeq_alarm WHERE (queue, what) > (?, ?) ORDER BY queue, what LIMIT ?`,
    start: [-1, ''],
    keyOf: ({ queue, what }) => [queue, what],
    traceOf: (db, row) => ({ trace: 'alarm', ...whereOf(db, row), at: row.at }),
  }),
  starts: listing<OfQueue & { at: number; n: number; total: number; until: number }>({
    sql: /* sql */ `
    SELECT queue, what, at, n, total, until FROM forgeq_start WHERE (queue, what, at) > (?, ?, ?) ORDER BY queue, what, at LIMIT ?`,
    start: [-1, '', -1],
    keyOf: ({ queue, what, at }) => [queue, what, at],
    traceOf: (db, row) => {
      const { at, n, total, until } = row
      return { trace: 'starts', ...whereOf(db, row), at, n, total, until }
    },
  }),
}
const listings = ['jobs', ...Object.keys(traces)]

export const dump = (db: Reader, cursor: string | null, limit: number): ImagePage => {
  const [name, ...key] = readMark(cursor) ?? ['jobs', -1]
  if (name === 'jobs') return dumpJobs(db, Number(key[0]), limit)
  const { sql, start, keyOf, traceOf } = traces[name] as Listing<unknown>
  const rows = db.sql(sql).all(...(key.length === 0 ? start : key), limit)
  return {
    jobs: [],
    traces: rows.flatMap((row) => traceOf(db, row) ?? []),
    cursor: rows.length < limit ? after(name) : writeMark([name, ...keyOf(rows.at(-1))]),
  }
}

const after = (name: string): string | null => {
  const next = listings[listings.indexOf(name) + 1]
  return next === undefined ? null : writeMark([next])
}

/** A page ends with the job that brings it to `pageChars`, as jobs with long logs do soon. */
const dumpJobs = (db: Reader, from: number, limit: number): ImagePage => {
  const jobs: JobImage[] = []
  let [seq, chars] = [from, 0]
  for (let n = 0; n < limit && chars < pageChars; n++) {
    const row = db.sql(nextJobs).get(seq, 1) as Row | undefined
    if (row === undefined) return { jobs, traces: [], cursor: after('jobs') }
    seq = row.seq
    const image = imageOf(db, row)
    if (image === undefined) continue
    jobs.push(image)
    chars += JSON.stringify(image).length
  }
  return { jobs, traces: [], cursor: writeMark(['jobs', seq]) }
}
