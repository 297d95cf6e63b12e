// What time does to jobs: due ones become ready, those that never started in time end, ended ones are deleted.
import { keepWorkerMs } from '../core/retention.ts'
import { neverClaimed } from '../store/ending.ts'
import { finish } from './finish.ts'
import { nextDueAt } from './lease.ts'
import { ring } from './alarms.ts'
import type { Counters } from '../core/counters.ts'
import { anyHoldOver, forgetHolds } from './holds.ts'
import { putKeysRight } from './keys.ts'
import { makeReady, placeOf, takeOut, type Body } from './place.ts'
import { stateCodes } from '../store/state-codes.ts'
import { anyStartOver, forgetStarts } from './starts.ts'
import type { Sql } from './statements.ts'
import type { Turn } from './turn.ts'

const dueJobs = /* sql */ `
  SELECT l.run_at, l.seq AS later_seq, l.claim, l.attempt, l.crashes, l.settler, j.seq, j.type, j.queue, j.priority, j.key
  FROM forgeq_later l CROSS JOIN forgeq_job j ON j.seq = l.job WHERE l.run_at <= ? ORDER BY l.run_at, l.seq LIMIT ?`
// Exactly the rows read above: this transaction has the write lock.
const takeDue = /* sql */ `DELETE FROM forgeq_later WHERE (run_at, seq) <= (?, ?)`
const overdue = /* sql */ `
  SELECT d.at, j.seq, j.id, j.type, j.queue, j.priority, j.run_at, j.key, j.expire_at
  FROM forgeq_deadline d LEFT JOIN forgeq_job j ON j.seq = d.job WHERE d.at <= ? ORDER BY d.at, d.job LIMIT ?`
const takeOverdue = /* sql */ `DELETE FROM forgeq_deadline WHERE (at, job) IN (
  SELECT at, job FROM forgeq_deadline WHERE at <= ? ORDER BY at, job LIMIT ?)`

type Promoted = { readonly moved: number; readonly nextDueAt: number | null }

/** The answer without a write when nothing is due. */
export const nothingDue = (db: Sql, now: number): Promoted | undefined => {
  const at = nextDueAt(db)
  return at === null || at > now ? { moved: 0, nextDueAt: at } : undefined
}

export const promote = (turn: Turn, limit: number): Promoted => {
  const expired = expire(turn, limit)
  const rows = turn.sql(dueJobs).all(turn.now, limit) as (Counters &
    Omit<Body, 'id'> & { later_seq: number; run_at: number })[]
  for (const row of rows) {
    turn.tally(row.queue, stateCodes.scheduled, -1)
    makeReady(turn, row, row)
  }
  const last = rows.at(-1)
  if (last !== undefined) turn.sql(takeDue).run(last.run_at, last.later_seq)
  const rung = ring(turn, limit)
  putKeysRight(turn)
  return { moved: rows.length + expired + rung, nextDueAt: nextDueAt(turn) }
}

/** Ends jobs that should have started by now; a job that started once has met its deadline. */
const expire = (turn: Turn, limit: number): number => {
  const rows = turn.sql(overdue).all(turn.now, limit) as (Body & {
    seq: number | null
    uniq: number
    expire_at: number | null
  })[]
  let ended = 0
  for (const body of rows) {
    // The job may be deleted, retried by hand without a deadline, or have got a later one.
    if (body.seq === null || body.expire_at === null || body.expire_at > turn.now) continue
    const place = placeOf(turn, body)
    if (place === undefined || place.claim > 0 || place.tree === 'done' || place.tree === 'running') continue
    takeOut(turn, body, place)
    finish(turn, {
      ...neverClaimed,
      holdsUnique: true,
      seq: body.seq,
      id: body.id,
      queue: body.queue,
      key: body.key,
      state: 'cancelled',
      reason: 'expired',
    })
    ended++
  }
  if (rows.length > 0) turn.sql(takeOverdue).run(turn.now, limit)
  return ended
}

const expiries = /* sql */ `SELECT at, seq, jobs FROM forgeq_expiry WHERE at <= ? ORDER BY at, seq LIMIT 100`
const takeExpiry = /* sql */ `DELETE FROM forgeq_expiry WHERE at = ? AND seq = ?`
const shortenExpiry = /* sql */ `UPDATE forgeq_expiry SET jobs = ? WHERE at = ? AND seq = ?`
// A job that was retried by hand is not in done, or ended again and expires later.
const stillExpired = /* sql */ `
  SELECT d.job, d.state, j.queue FROM json_each(?) e CROSS JOIN forgeq_done d ON d.job = e.value
    CROSS JOIN forgeq_job j ON j.seq = d.job WHERE d.expires_at <= ?`
const jobTables = [
  ['forgeq_job', 'seq'],
  ['forgeq_done', 'job'],
  ['forgeq_attempt', 'job'],
  ['forgeq_progress', 'job'],
  ['forgeq_log', 'job'],
  ['forgeq_log_size', 'job'],
] as const
const removeDeadlines = /* sql */ `
  DELETE FROM forgeq_deadline WHERE (at, job) IN (
    SELECT j.expire_at, j.seq FROM json_each(?) e CROSS JOIN forgeq_job j ON j.seq = e.value WHERE j.expire_at IS NOT NULL)`
const removeFrom = jobTables.map(
  ([table, key]) => /* sql */ `DELETE FROM ${table} WHERE ${key} IN (SELECT value FROM json_each(?))`,
)
const forgetWorkers = /* sql */ `DELETE FROM forgeq_worker WHERE left_at IS NOT NULL AND left_at <= ?`
// Beyond its time a key is free: its row is only in the way.
const forgetKeys = /* sql */ `DELETE FROM forgeq_uniq WHERE (type, key) IN (
  SELECT type, key FROM forgeq_uniq WHERE until <= ? LIMIT ?)`
const forgetReplacements = /* sql */ `DELETE FROM forgeq_replacement WHERE id IN (
  SELECT id FROM forgeq_replacement WHERE expires_at <= ? LIMIT ?)`
const anyExpiry = /* sql */ `SELECT 1 FROM forgeq_expiry WHERE at <= ? LIMIT 1`
const anyOldWorker = /* sql */ `SELECT 1 FROM forgeq_worker WHERE left_at IS NOT NULL AND left_at <= ? LIMIT 1`
const anyOldKey = /* sql */ `SELECT 1 FROM forgeq_uniq WHERE until <= ? LIMIT 1`
const anyOldReplacement = /* sql */ `SELECT 1 FROM forgeq_replacement WHERE expires_at <= ? LIMIT 1`

type Pruned = { readonly removed: number; readonly more: boolean }

export const nothingToPrune = (db: Sql, now: number): Pruned | undefined =>
  [anyExpiry, anyOldKey, anyOldReplacement].every((any) => db.sql(any).get(now) === undefined) &&
  !anyStartOver(db, now) &&
  !anyHoldOver(db, now) &&
  db.sql(anyOldWorker).get(now - keepWorkerMs) === undefined
    ? { removed: 0, more: false }
    : undefined

/** Removes every trace of jobs; the caller has taken them out of their trees and tallies. */
export const removeBodies = (turn: Turn, seqs: readonly number[]): void => {
  const list = JSON.stringify(seqs)
  turn.sql(removeDeadlines).run(list)
  for (const statement of removeFrom) turn.sql(statement).run(list)
}

export const prune = (turn: Turn, limit: number): Pruned => {
  const batches = turn.sql(expiries).all(turn.now) as { at: number; seq: number; jobs: string }[]
  let room = limit
  // A set: a job that was retried by hand and ended again is in two batches.
  const seqs = new Set<number>()
  for (const batch of batches) {
    if (room === 0) break
    const jobs = JSON.parse(batch.jobs) as number[]
    const now = jobs.slice(0, room)
    const rest = jobs.slice(room)
    room -= now.length
    if (rest.length === 0) turn.sql(takeExpiry).run(batch.at, batch.seq)
    else turn.sql(shortenExpiry).run(JSON.stringify(rest), batch.at, batch.seq)
    for (const row of turn.sql(stillExpired).all(JSON.stringify(now), turn.now) as {
      job: number
      state: number
      queue: number
    }[]) {
      if (seqs.has(row.job)) continue
      turn.tally(row.queue, row.state, -1)
      seqs.add(row.job)
    }
  }
  removeBodies(turn, [...seqs])
  turn.sql(forgetKeys).run(turn.now, limit)
  turn.sql(forgetReplacements).run(turn.now, limit)
  forgetStarts(turn, limit)
  forgetHolds(turn, limit)
  putKeysRight(turn)
  turn.sql(forgetWorkers).run(turn.now - keepWorkerMs)
  return { removed: seqs.size, more: nothingToPrune(turn, turn.now) === undefined }
}
