// Hands out ready jobs: per queue in strict order of (lane, seq), never a job whose type the worker does not know, never
// from a paused queue. One contiguous range of `ready` moves to `running` by two statements.
import type { Claimed, Want } from '../store/records.ts'
import { finish, neverClaimed } from './finish.ts'
import { laneOf, unparkedLane } from './place.ts'
import { claimedPolicy, unpackPolicy } from './policy.ts'
import { stateCodes } from './schema.ts'
import type { Turn } from './turn.ts'

/** The worker's record as an exchange needs it. */
export interface Claimer {
  readonly id: number
  readonly turn: number
  /** Numbers of the types it handles. */
  readonly types: ReadonlySet<number>
}

const isPaused = /* sql */ `SELECT paused FROM forgeq_queue WHERE id = ?`

const head = /* sql */ `
  SELECT r.lane, r.seq, r.job, r.type, r.claim, r.attempt, r.crashes, j.id, j.payload, j.created_at, j.expire_at, j.policy,
    j.attempt_base
  FROM forgeq_ready r CROSS JOIN forgeq_job j ON j.seq = r.job
  WHERE r.queue = ? ORDER BY r.lane, r.seq LIMIT ?`
type Row = readonly [
  lane: number,
  seq: number,
  job: number,
  type: number,
  claim: number,
  attempt: number,
  crashes: number,
  id: string,
  payload: string,
  createdAt: number,
  expireAt: number | null,
  policy: string | null,
  attemptBase: number,
]

// What of the range was not taken out before is exactly what was read: this transaction has the write lock.
const run = /* sql */ `
  INSERT INTO forgeq_running (job, worker, claim, turn, queue, lane, seq, attempt, crashes, settler, started_at, keep_ms, uniq)
  SELECT r.job, ?, r.claim + 1, ?, r.queue, r.lane, r.seq, r.attempt, r.crashes, r.settler, ?,
    coalesce(j.policy ->> '$.keepResultMs', ?), j.uniq IS NOT NULL
  FROM forgeq_ready r CROSS JOIN forgeq_job j ON j.seq = r.job WHERE r.queue = ? AND r.lane = ? AND r.seq <= ?`
const takeRange = /* sql */ `DELETE FROM forgeq_ready WHERE queue = ? AND lane = ? AND seq <= ?`
const takeOne = /* sql */ `DELETE FROM forgeq_ready WHERE queue = ? AND lane = ? AND seq = ?`

// It has started: its deadline is met.
const meetDeadline = /* sql */ `DELETE FROM forgeq_deadline WHERE at = ? AND job = ?`

const park = /* sql */ `
  INSERT INTO forgeq_parked (queue, type, lane, seq, job, at, claim, attempt, crashes, settler)
  SELECT queue, type, lane, seq, job, at, claim, attempt, crashes, settler FROM forgeq_ready
  WHERE queue = ? AND lane = ? AND seq = ?`
const anyParked = /* sql */ `SELECT 1 FROM forgeq_parked WHERE queue = ? LIMIT 1`
const parkedHead = /* sql */ `
  SELECT lane, seq, job, type, at, claim, attempt, crashes, settler FROM forgeq_parked
  WHERE queue = ? AND type = ? ORDER BY lane, seq LIMIT ?`
const unpark = /* sql */ `DELETE FROM forgeq_parked WHERE job = ?`
const addReady = /* sql */ `
  INSERT INTO forgeq_ready (queue, lane, seq, job, type, at, claim, attempt, crashes, settler) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

interface Parked {
  readonly lane: number
  readonly seq: number
  readonly job: number
  readonly type: number
  readonly at: number
  readonly claim: number
  readonly attempt: number
  readonly crashes: number
  readonly settler: number
}

/** A claim looks at most at this many jobs it cannot hand out, and hands out at most so much payload (but one job). */
const skipLimit = 1000
const byteLimit = 8 * 1024 * 1024
/** Rows are read in pages: a claim of hundreds of large payloads must not read them all to find that it may take eight. */
const pageRows = 200

export interface Handout {
  readonly claimed: Claimed[]
  /** It stopped before it had looked at all it could hand out. */
  more: boolean
}

export const claim = (turn: Turn, worker: Claimer, wants: readonly Want[], slots: number): Handout => {
  const handout: Handout = { claimed: [], more: false }
  const budget: Budget = { skips: skipLimit, bytes: byteLimit }
  const { claimed } = handout
  for (const want of wants) {
    const limit = Math.min(want.slots, slots - claimed.length)
    if (limit <= 0) continue
    const queue = turn.names.queue.find(want.queue)
    if (queue === undefined) continue
    if ((turn.sql(isPaused).get(queue) as { paused: number }).paused !== 0) continue
    unparkKnown(turn, queue, worker, limit)
    claimFrom(turn, worker, { id: queue, name: want.queue }, claimed.length + limit, budget, claimed)
    if (budget.skips <= 0 || budget.bytes <= 0) {
      handout.more = true
      break
    }
  }
  return handout
}

interface Budget {
  skips: number
  bytes: number
}

const claimFrom = (
  turn: Turn,
  worker: Claimer,
  queue: { readonly id: number; readonly name: string },
  target: number,
  budget: Budget,
  claimed: Claimed[],
): void => {
  while (claimed.length < target && budget.skips > 0 && budget.bytes > 0) {
    const wanted = Math.min(target - claimed.length, pageRows)
    const rows = turn.tuples(head).all(queue.id, wanted) as Row[]
    const taken = rows.filter((row) => {
      // What does not fit stays where it is: the last row taken ends the range that moves.
      if (budget.bytes <= 0) return false
      if (isRunnable(turn, worker, queue.id, row)) {
        budget.bytes -= row[8].length
        return true
      }
      budget.skips--
      return false
    })
    moveRanges(turn, worker, queue.id, taken)
    for (const row of taken) claimed.push(claimedOf(turn, queue.name, row))
    if (rows.length < wanted) return
  }
}

/** Parks a job that this worker does not know and ends one that is too late to start; takes both out of the lane. */
const isRunnable = (turn: Turn, worker: Claimer, queue: number, row: Row): boolean => {
  const [lane, seq, job, type, claims, , , id, , , expireAt] = row
  const isLate = claims === 0 && expireAt !== null && expireAt <= turn.now
  if (worker.types.has(type) && !isLate) {
    if (claims === 0 && expireAt !== null) turn.sql(meetDeadline).run(expireAt, job)
    return true
  }
  if (worker.types.has(type)) expire(turn, queue, job, id)
  else turn.sql(park).run(queue, lane, seq)
  turn.sql(takeOne).run(queue, lane, seq)
  return false
}

/** Moves the taken rows lane by lane: within a lane they are all that is left up to the last one. */
const moveRanges = (turn: Turn, worker: Claimer, queue: number, taken: readonly Row[]): void => {
  for (const [i, [lane, seq]] of taken.entries()) {
    if (taken[i + 1]?.[0] === lane) continue
    turn.sql(run).run(worker.id, worker.turn, turn.now, unpackPolicy(null).keepResultMs, queue, lane, seq)
    turn.sql(takeRange).run(queue, lane, seq)
  }
  if (taken.length > 0) {
    turn.tally(queue, stateCodes.ready, -taken.length)
    turn.tally(queue, stateCodes.running, taken.length)
  }
}

const expire = (turn: Turn, queue: number, seq: number, id: string): void => {
  turn.tally(queue, stateCodes.ready, -1)
  finish(turn, { ...neverClaimed, seq, id, queue, state: 'cancelled', reason: 'expired' })
}

const claimedOf = (turn: Turn, queue: string, row: Row): Claimed => {
  const [lane, , , type, claims, attempt, crashes, id, payload, createdAt, , text, attemptBase] = row
  const policy = claimedPolicy(text, queue, Math.floor(lane / 4), attemptBase)
  // Power loss must not bring back a job that may start only once.
  if (policy.delivery === 'at-most-once') turn.isPromise = true
  return {
    job: id,
    claim: claims + 1,
    type: turn.names.type.name(type),
    payload,
    attempt,
    attemptBase,
    crashes,
    createdAt,
    policy,
  }
}

/** Puts parked jobs that this worker knows before the other lanes of their level, as many as it could take. */
const unparkKnown = (turn: Turn, queue: number, worker: Claimer, limit: number): void => {
  if (turn.sql(anyParked).get(queue) === undefined) return
  const rows: Parked[] = []
  for (const type of worker.types) rows.push(...(turn.sql(parkedHead).all(queue, type, limit) as Parked[]))
  rows.sort((a, b) => a.lane - b.lane || a.seq - b.seq)
  for (const row of rows.slice(0, limit)) {
    const lane = laneOf(Math.floor(row.lane / 4), unparkedLane)
    turn.sql(unpark).run(row.job)
    turn
      .sql(addReady)
      .run(queue, lane, turn.nextSeq(), row.job, row.type, row.at, row.claim, row.attempt, row.crashes, row.settler)
  }
}
