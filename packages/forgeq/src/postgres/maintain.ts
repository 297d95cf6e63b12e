// What time does to jobs: due ones become ready, those that never started in time end, ended ones are deleted.
import { keepWorkerMs } from '../core/retention.ts'
import type { Counters } from '../core/counters.ts'
import { stateCodes } from '../store/state-codes.ts'
import { alarmedQueues, ring } from './alarms.ts'
import { neverClaimed } from '../store/ending.ts'
import type { Ask } from './client.ts'
import { nextDueAt } from './due.ts'
import { finish } from './finish.ts'
import { forgetHolds } from './holds.ts'
import { putKeysRight } from './keys.ts'
import { makeReady, placesAlone, takeOut, type Job } from './place.ts'
import { rowOf, rowsOf } from './seek.ts'
import { forgetStarts } from './starts.ts'
import { anyToFold, folds } from './tally.ts'
import type { Turn } from './turn.ts'

const dueQueues = /* sql */ `
  SELECT DISTINCT queue FROM (SELECT queue FROM forgeq.later WHERE run_at > $3::bigint AND run_at <= $1 ORDER BY run_at, seq LIMIT $2) l`
// Who promotes at the same time takes others.
const takeDue = /* sql */ `
  WITH due AS MATERIALIZED (
    SELECT ctid AS place, run_at, seq, job, claim, attempt, crashes, settler FROM forgeq.later
    WHERE run_at > $4::bigint AND run_at <= $1 AND queue = ANY ($3::int[]) ORDER BY run_at, seq LIMIT $2 FOR UPDATE SKIP LOCKED),
  gone AS (DELETE FROM forgeq.later WHERE ${rowsOf('SELECT place FROM due')})
  SELECT d.claim, d.attempt, d.crashes, d.settler, j.id, j.type, j.queue, j.priority, j.key
  FROM due d CROSS JOIN ${rowOf('job', 'j', 'id = d.job')} ORDER BY d.run_at, d.seq`
const takeOverdue = /* sql */ `
  DELETE FROM forgeq.deadline
  WHERE ${rowsOf('SELECT ctid FROM forgeq.deadline WHERE at <= $1 ORDER BY at, job LIMIT $2 FOR UPDATE SKIP LOCKED')}
  RETURNING at, job`

interface Promoted {
  readonly moved: number
  readonly nextDueAt: number | null
}

/** The answer without a write when nothing is due. */
export const nothingDue = async (turn: Turn): Promise<Promoted | undefined> => {
  const at = await nextDueAt(turn)
  return at === null || at > turn.now ? { moved: 0, nextDueAt: at } : undefined
}

export const promote = async (turn: Turn, limit: number): Promise<Promoted> => {
  const after = turn.heads.later
  const alarmed = await alarmedQueues(turn, limit)
  const due = (await turn.all<{ queue: number }>(dueQueues, turn.now, limit, after)).map(({ queue }) => queue)
  await turn.gates.enter(
    new Map([...due.map((queue) => [queue, false] as const), ...alarmed.map((queue) => [queue, true] as const)]),
  )
  const expired = await expire(turn, limit)
  const rows = due.length === 0 ? [] : await turn.all<Counters & Job>(takeDue, turn.now, limit, due, after)
  if (rows.length > 0) turn.heads.metLater()
  await turn.reserve(rows.length)
  for (const row of rows) {
    turn.tally(row.queue, stateCodes.scheduled, -1)
    makeReady(turn, row, row)
  }
  const rung = await ring(turn, limit, alarmed)
  await putKeysRight(turn)
  return { moved: rows.length + expired + rung, nextDueAt: await nextDueAt(turn) }
}

/** Ends jobs that should have started by now; a job that started once has met its deadline. */
const expire = async (turn: Turn, limit: number): Promise<number> => {
  const overdue = await turn.all<{ at: number; job: string }>(takeOverdue, turn.now, limit)
  if (overdue.length === 0) return 0
  const jobs = await placesAlone(turn, [...new Set(overdue.map(({ job }) => job))])
  let ended = 0
  for (const job of jobs.values()) {
    // The job may have been retried by hand without a deadline, or have got a later one.
    if (job.expire_at === null || job.expire_at > turn.now) continue
    if (job.claim > 0 || job.tree === 'done' || job.tree === 'running') continue
    takeOut(turn, job)
    await finish(turn, { ...job, ...neverClaimed, state: 'cancelled', reason: 'expired' })
    ended++
  }
  return ended
}

// Who prunes at the same time takes others.
// As many batches as have so many jobs; the last one may have more than that.
const takeExpiries = /* sql */ `
  WITH due AS MATERIALIZED (
    SELECT ctid AS place, cardinality(jobs) AS n FROM forgeq.expiry WHERE at <= $1 ORDER BY at, seq LIMIT 100 FOR UPDATE SKIP LOCKED),
  counted AS (SELECT place, sum(n) OVER (ROWS UNBOUNDED PRECEDING) - n AS before FROM due)
  DELETE FROM forgeq.expiry WHERE ${rowsOf('SELECT place FROM counted WHERE before < $2')} RETURNING at, seq, jobs`
const putBack = /* sql */ `INSERT INTO forgeq.expiry (at, seq, jobs) VALUES ($1, $2, $3::uuid[])`
// A job that was retried by hand is not in done, or ended again and expires later.
const takeExpired = /* sql */ `
  WITH gone AS (DELETE FROM forgeq.done WHERE job = ANY ($1::uuid[]) AND expires_at <= $2 RETURNING job, state)
  SELECT g.job, g.state, j.queue FROM gone g CROSS JOIN ${rowOf('job', 'j', 'id = g.job')}`
const removeDeadlines = /* sql */ `
  DELETE FROM forgeq.deadline WHERE ${rowsOf(`
    SELECT d.ctid FROM unnest($1::uuid[]) AS e (id) CROSS JOIN ${rowOf('job', 'j', 'id = e.id')}
      CROSS JOIN LATERAL (SELECT ctid FROM forgeq.deadline WHERE at = j.expire_at AND job = j.id OFFSET 0) d`)}`
const removeFrom = [
  ['job', 'id'],
  ['attempt', 'job'],
  ['progress', 'job'],
  ['log', 'job'],
  ['log_size', 'job'],
].map(([table, key]) => /* sql */ `DELETE FROM forgeq.${table} WHERE ${key} = ANY ($1::uuid[])`)
const forgetWorkers = /* sql */ `
  WITH gone AS (DELETE FROM forgeq.worker WHERE left_at IS NOT NULL AND left_at <= $1 RETURNING id)
  DELETE FROM forgeq.exchange WHERE worker = ANY (ARRAY(SELECT id FROM gone))`
// Beyond its time a key is free: its row is only in the way.
const forgetKeys = /* sql */ `
  DELETE FROM forgeq.uniq WHERE ${rowsOf('SELECT ctid FROM forgeq.uniq WHERE until <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED')}`
const forgetReplacements = /* sql */ `
  DELETE FROM forgeq.replacement
  WHERE ${rowsOf('SELECT ctid FROM forgeq.replacement WHERE expires_at <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED')}`
const over = (now: string): string => /* sql */ `
  EXISTS (SELECT 1 FROM forgeq.expiry WHERE at <= ${now}) OR EXISTS (SELECT 1 FROM forgeq.uniq WHERE until <= ${now})
    OR EXISTS (SELECT 1 FROM forgeq.replacement WHERE expires_at <= ${now}) OR EXISTS (SELECT 1 FROM forgeq.start WHERE until <= ${now})
    OR EXISTS (SELECT 1 FROM forgeq.hold WHERE until <= ${now})
    OR EXISTS (SELECT 1 FROM forgeq.worker WHERE left_at IS NOT NULL AND left_at <= ${now} - ${keepWorkerMs})`
const anyOver = /* sql */ `SELECT ${over('$1::bigint')} AS found`
const anything = /* sql */ `SELECT ${over('$1::bigint')} OR ${anyToFold} AS found`
const anythingNow = /* sql */ `SELECT ${over('s.now')} OR ${anyToFold} AS found FROM (SELECT forgeq.moment() AS now OFFSET 0) s`

interface Pruned {
  readonly removed: number
  readonly more: boolean
}

/** Adds up the tally; answers whether there may be more: some come all the time, and can wait for the next round. */
const foldTallies = async (turn: Turn, limit: number): Promise<boolean> => {
  const taken = await Promise.all(folds.map((fold) => turn.one<{ taken: number }>(fold, limit)))
  return taken.some((row) => row!.taken === limit)
}

const nothing: Pruned = { removed: 0, more: false }

const isAnythingOver = async (turn: Turn): Promise<boolean> =>
  (await turn.one<{ found: boolean }>(anyOver, turn.now))!.found

export const nothingToPrune = async (turn: Turn): Promise<Pruned | undefined> =>
  (await turn.one<{ found: boolean }>(anything, turn.now))!.found ? undefined : nothing

/** The same in a statement of its own. */
export const quietPrune = async (ask: Ask): Promise<Pruned | undefined> => {
  const row = (await ask(anythingNow))?.rows[0] as { found: boolean } | undefined
  return row?.found === false ? nothing : undefined
}

/** Removes every trace of jobs; the caller has taken them out of their trees and tallies. */
export const removeBodies = async (turn: Turn, ids: readonly string[]): Promise<void> => {
  if (ids.length === 0) return
  await turn.run(removeDeadlines, ids)
  for (const statement of removeFrom) await turn.run(statement, ids)
}

export const prune = async (turn: Turn, limit: number): Promise<Pruned> => {
  // The queues that an attempt before has met: before any row is locked.
  await turn.gates.enter(new Map())
  const batches = [
    ...(await turn.all<{ at: number; seq: number; jobs: readonly string[] }>(takeExpiries, turn.now, limit)),
  ]
  batches.sort((a, b) => a.at - b.at || a.seq - b.seq)
  const due = batches.flatMap(({ jobs }) => jobs)
  if (due.length > limit) {
    const { at, seq } = batches.at(-1)!
    await turn.run(putBack, at, seq, due.slice(limit))
  }
  // A set: a job that was retried by hand and ended again is in two batches.
  const ids = new Set(due.slice(0, limit))
  const gone =
    ids.size === 0 ? [] : await turn.all<{ job: string; state: number; queue: number }>(takeExpired, [...ids], turn.now)
  for (const { state, queue } of gone) turn.tally(queue, state, -1)
  await removeBodies(
    turn,
    gone.map(({ job }) => job),
  )
  const moreToFold = await foldTallies(turn, limit)
  await turn.run(forgetKeys, turn.now, limit)
  await turn.run(forgetReplacements, turn.now, limit)
  await forgetStarts(turn, limit)
  await forgetHolds(turn, limit)
  await putKeysRight(turn)
  await turn.run(forgetWorkers, turn.now - keepWorkerMs)
  return { removed: gone.length, more: moreToFold || (await isAnythingOver(turn)) }
}
