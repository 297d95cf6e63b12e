// Hands out ready jobs: per queue in strict order of (lane, seq), never a job whose type the worker does not know, never
// from a paused queue, suspects as the exchange takes them. One contiguous range of `ready` moves to `running` by two
// statements.
import type { Claimed, ExchangeRequest } from '../store/records.ts'
import { finish, neverClaimed } from './finish.ts'
import { laneOf, unparkedLane } from './place.ts'
import { claimedPolicy, unpackPolicy } from './policy.ts'
import { stateCodes } from './schema.ts'
import { holdsAny, holdsSuspect } from './suspects.ts'
import type { Turn } from './turn.ts'
import { releaseUnique, untilStart } from './unique.ts'

/** The worker's record as an exchange needs it. */
export interface Claimer {
  readonly id: number
  readonly turn: number
  /** Numbers of the types it handles. */
  readonly types: ReadonlySet<number>
}

const isPaused = /* sql */ `SELECT paused FROM forgeq_queue WHERE id = ?`

/** What a claim reads and moves of `ready`, and finds in `parked`. */
interface Part {
  readonly head: string
  readonly run: string
  readonly take: string
  readonly parked: string
}

// What moves must be what was read: the filter is in each statement.
const part = (filter: string, upTo = '<=', index?: string): Part => ({
  head: /* sql */ `
  SELECT r.lane, r.seq, r.job, r.type, r.claim, r.attempt, r.crashes, j.id, j.payload, j.created_at, j.expire_at, j.policy,
    j.attempt_base, j.uniq_for
  FROM forgeq_ready r ${index ? `INDEXED BY forgeq_ready_${index}` : ''} CROSS JOIN forgeq_job j ON j.seq = r.job
  WHERE r.queue = ? ${filter} ORDER BY r.lane, r.seq LIMIT ?`,
  // What of the range was not taken out before is exactly what was read: this transaction has the write lock.
  run: /* sql */ `
  INSERT INTO forgeq_running (job, worker, claim, turn, queue, lane, seq, attempt, crashes, settler, started_at, keep_ms, uniq)
  SELECT r.job, ?, r.claim + 1, ?, r.queue, r.lane, r.seq, r.attempt, r.crashes, r.settler, ?,
    coalesce(j.policy ->> '$.keepResultMs', ?), j.uniq IS NOT NULL AND j.uniq_for IS NOT ${untilStart}
  FROM forgeq_ready r CROSS JOIN forgeq_job j ON j.seq = r.job
  WHERE r.queue = ? AND r.lane = ? AND r.seq ${upTo} ? ${filter}`,
  take: /* sql */ `DELETE FROM forgeq_ready AS r WHERE queue = ? AND lane = ? AND seq ${upTo} ? ${filter}`,
  parked: /* sql */ `
  SELECT lane, seq, job, type, at, claim, attempt, crashes, settler
  FROM forgeq_parked r ${index ? `INDEXED BY forgeq_parked_${index}` : ''}
  WHERE queue = ? AND type = ? ${filter} ORDER BY lane, seq LIMIT ?`,
})

const all = part('')
const others = part('AND r.crashes = 0')
// Others may be between two of them: only one is moved at a time.
const suspects = part('AND r.crashes > 0', '=', 'suspect')

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
  uniqFor: number | null,
]

const takeOne = /* sql */ `DELETE FROM forgeq_ready WHERE queue = ? AND lane = ? AND seq = ?`

// It has started: its deadline is met.
const meetDeadline = /* sql */ `DELETE FROM forgeq_deadline WHERE at = ? AND job = ?`

const park = /* sql */ `
  INSERT INTO forgeq_parked (queue, type, lane, seq, job, at, claim, attempt, crashes, settler)
  SELECT queue, type, lane, seq, job, at, claim, attempt, crashes, settler FROM forgeq_ready
  WHERE queue = ? AND lane = ? AND seq = ?`
const anyParked = /* sql */ `SELECT 1 FROM forgeq_parked WHERE queue = ? LIMIT 1`
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

type Wanted = Pick<ExchangeRequest, 'wants' | 'slots' | 'suspects'>

/** `hasSuspects`: there are some that the worker knows in the queues it wants from. */
export const claim = (turn: Turn, worker: Claimer, request: Wanted, hasSuspects: boolean): Handout => {
  const how = request.suspects ?? 'together'
  if (how === 'together') return handOut(turn, worker, request, all)
  if (holdsSuspect(turn, worker.id)) return { claimed: [], more: false }
  if (how === 'alone' && hasSuspects && !holdsAny(turn, worker.id)) {
    const alone = handOut(turn, worker, { ...request, slots: Math.min(request.slots, 1) }, suspects)
    if (alone.claimed.length > 0 || alone.more) return alone
  }
  return handOut(turn, worker, request, others)
}

const handOut = (turn: Turn, worker: Claimer, { wants, slots }: Wanted, of: Part): Handout => {
  const handout: Handout = { claimed: [], more: false }
  const budget: Budget = { skips: skipLimit, bytes: byteLimit }
  const { claimed } = handout
  for (const want of wants) {
    const limit = Math.min(want.slots, slots - claimed.length)
    if (limit <= 0) continue
    const queue = turn.names.queue.find(want.queue)
    if (queue === undefined) continue
    if ((turn.sql(isPaused).get(queue) as { paused: number }).paused !== 0) continue
    unparkKnown(turn, queue, worker, limit, of)
    claimFrom(turn, worker, { id: queue, name: want.queue }, of, claimed.length + limit, budget, claimed)
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
  of: Part,
  target: number,
  budget: Budget,
  claimed: Claimed[],
): void => {
  while (claimed.length < target && budget.skips > 0 && budget.bytes > 0) {
    const wanted = Math.min(target - claimed.length, pageRows)
    const rows = turn.tuples(of.head).all(queue.id, wanted) as Row[]
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
    moveRanges(turn, worker, queue.id, of, taken)
    for (const row of taken) claimed.push(claimedOf(turn, queue.name, row))
    if (rows.length < wanted) return
  }
}

/** Parks a job that this worker does not know and ends one that is too late to start; takes both out of the lane. */
const isRunnable = (turn: Turn, worker: Claimer, queue: number, row: Row): boolean => {
  const [lane, seq, job, type, claims, , , id, , , expireAt, , , uniqFor] = row
  const isLate = claims === 0 && expireAt !== null && expireAt <= turn.now
  if (worker.types.has(type) && !isLate) {
    if (claims === 0 && expireAt !== null) turn.sql(meetDeadline).run(expireAt, job)
    if (uniqFor === untilStart) releaseUnique(turn, job)
    return true
  }
  if (worker.types.has(type)) expire(turn, queue, job, id)
  else turn.sql(park).run(queue, lane, seq)
  turn.sql(takeOne).run(queue, lane, seq)
  return false
}

/** Moves the taken rows lane by lane: within a lane they are all that is left up to the last one. */
const moveRanges = (turn: Turn, worker: Claimer, queue: number, of: Part, taken: readonly Row[]): void => {
  for (const [i, [lane, seq]] of taken.entries()) {
    if (taken[i + 1]?.[0] === lane) continue
    turn.sql(of.run).run(worker.id, worker.turn, turn.now, unpackPolicy(null).keepResultMs, queue, lane, seq)
    turn.sql(of.take).run(queue, lane, seq)
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
const unparkKnown = (turn: Turn, queue: number, worker: Claimer, limit: number, of: Part): void => {
  if (turn.sql(anyParked).get(queue) === undefined) return
  const rows: Parked[] = []
  for (const type of worker.types) rows.push(...(turn.sql(of.parked).all(queue, type, limit) as Parked[]))
  rows.sort((a, b) => a.lane - b.lane || a.seq - b.seq)
  for (const row of rows.slice(0, limit)) {
    const lane = laneOf(Math.floor(row.lane / 4), unparkedLane)
    turn.sql(unpark).run(row.job)
    turn
      .sql(addReady)
      .run(queue, lane, turn.nextSeq(), row.job, row.type, row.at, row.claim, row.attempt, row.crashes, row.settler)
  }
}
