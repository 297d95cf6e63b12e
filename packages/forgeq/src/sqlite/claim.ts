// Hands out ready jobs: per queue in strict order of (lane, seq), never a job whose type the worker does not know, never
// from a closed queue or level, suspects as the exchange takes them. One contiguous range of `ready` moves to `running` by
// two statements. A row with a key is its token: keys.ts.
import type { Claimed } from '../store/records.ts'
import { neverClaimed } from '../store/ending.ts'
import { finish, type End } from './finish.ts'
import type { Gate } from '../store/opening.ts'
import { leaveLine, mayStart, parkFromLine, putRight, tookToken } from './keys.ts'
import { levelOf, type Lanes } from '../store/lanes.ts'
import {
  byteLimit,
  isToPark,
  looksOf,
  skipLimit,
  type Claimer,
  type Fate,
  type Handout,
  type Wanted,
} from '../store/handout.ts'
import { charge, openingNow } from './openings.ts'
import { parkOne, parkPart, parkRun, unparkKnown, type ParkPart } from './parked.ts'
import { hasRates } from '../store/opening.ts'
import { claimedPolicy, unpackPolicy } from '../store/policy-text.ts'
import { stateCodes } from '../store/state-codes.ts'
import { holdsOther, holdsSuspect } from './suspects.ts'
import type { Turn } from './turn.ts'
import { untilStart } from '../store/unique-hold.ts'
import { releaseUnique } from './unique.ts'

/** What a claim reads and moves of `ready`. */
interface Part extends ParkPart {
  readonly head: string
  readonly run: string
}

// What moves must be what was read: the filter is in each statement.
const part = (filter: string, index?: string): Part => ({
  head: /* sql */ `
  SELECT r.lane, r.seq, r.job, r.type, r.claim, r.attempt, r.crashes, j.id, j.payload, j.created_at, j.expire_at, j.policy,
    j.attempt_base, j.uniq_for, r.key
  FROM forgeq_ready r ${index ? `INDEXED BY forgeq_ready_${index}` : ''} CROSS JOIN forgeq_job j ON j.seq = r.job
  WHERE r.queue = ? AND r.lane BETWEEN ? AND ? ${filter} ORDER BY r.lane, r.seq LIMIT ?`,
  // What of the range was not taken out before is exactly what was read: this transaction has the write lock.
  run: /* sql */ `
  INSERT INTO forgeq_running (job, worker, claim, turn, queue, lane, seq, attempt, crashes, settler, started_at, keep_ms, uniq, key)
  SELECT r.job, ?, r.claim + 1, ?, r.queue, r.lane, r.seq, r.attempt, r.crashes, r.settler, ?,
    coalesce(j.policy ->> '$.keepResultMs', ?), j.uniq IS NOT NULL AND j.uniq_for IS NOT ${untilStart}, r.key
  FROM forgeq_ready r ${index ? `INDEXED BY forgeq_ready_${index}` : ''} CROSS JOIN forgeq_job j ON j.seq = r.job
  WHERE r.queue = ? AND r.lane = ? AND r.seq <= ? ${filter}`,
  ...parkPart(filter, index),
})

const all = part('')
const others = part('AND r.crashes = 0')
// Many others may be between two of them: only their own index is walked.
const suspects = part('AND r.crashes > 0', 'suspect')

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
  key: string | null,
]

const takeOne = /* sql */ `DELETE FROM forgeq_ready WHERE queue = ? AND lane = ? AND seq = ?`

// It has started: its deadline is met.
const meetDeadline = /* sql */ `DELETE FROM forgeq_deadline WHERE at = ? AND job = ?`

/** Rows are read in pages: a claim of hundreds of large payloads must not read them all to find that it may take eight. */
const pageRows = 200

/** `hasSuspects`: there are some that the worker knows in the queues it wants from. */
export const claim = (turn: Turn, worker: Claimer, request: Wanted, hasSuspects: boolean): Handout => {
  const how = request.suspects ?? 'together'
  if (how === 'together') return handOut(turn, worker, request, all)
  const holdsOne = holdsSuspect(turn, worker.id)
  if (how !== 'skip' && hasSuspects && !(holdsOne && how === 'alone') && !holdsOther(turn, worker.id)) {
    const slots = Math.min(request.slots, how === 'alone' ? 1 : (request.suspectSlots ?? request.slots))
    const some = handOut(turn, worker, { ...request, slots }, suspects)
    if (some.claimed.length > 0 || some.more) return some
  }
  return holdsOne ? { claimed: [], more: false, metKeys: false } : handOut(turn, worker, request, others)
}

/** A claim at work. */
interface Hand {
  readonly turn: Turn
  readonly worker: Claimer
  readonly of: Part
  readonly claimed: Claimed[]
  skipsLeft: number
  bytesLeft: number
  metKeys: boolean
}

const isDone = ({ skipsLeft, bytesLeft }: Hand): boolean => skipsLeft <= 0 || bytesLeft <= 0

const handOut = (turn: Turn, worker: Claimer, { wants, slots }: Wanted, of: Part): Handout => {
  const claimed: Claimed[] = []
  const hand: Hand = { turn, worker, of, claimed, skipsLeft: skipLimit, bytesLeft: byteLimit, metKeys: false }
  for (const want of wants) {
    const limit = Math.min(want.slots, slots - claimed.length)
    if (limit <= 0) continue
    const queue = turn.names.queue.find(want.queue)
    if (queue === undefined) continue
    claimFrom(hand, turn.gate(queue), limit)
    if (isDone(hand)) break
  }
  return { claimed, more: isDone(hand), metKeys: hand.metKeys }
}

/** What is open of a queue, level by level. */
const claimFrom = (hand: Hand, gate: Gate, limit: number): void => {
  const { turn, worker, of, claimed } = hand
  const before = claimed.length
  const open = openingNow(turn, gate)
  const end = before + Math.min(limit, open.most)
  unparkKnown(turn, worker, of, gate, end - before, open.parts)
  for (const part of open.parts) {
    if (claimed.length >= end || isDone(hand)) break
    const target = Math.min(end, claimed.length + part.most)
    claimLanes(hand, gate, part, target)
  }
  if (hasRates(gate.limits)) charge(turn, gate, claimed.slice(before))
}

const claimLanes = (hand: Hand, gate: Gate, lanes: Lanes, target: number): void => {
  const { turn, worker, of, claimed } = hand
  const { queue } = gate
  const name = turn.names.queue.name(queue)
  while (claimed.length < target && !isDone(hand)) {
    const wanted = Math.min(target - claimed.length, pageRows)
    const rows = turn.tuples(of.head).all(queue, lanes.from, lanes.to, wanted) as Row[]
    const { taken, metKeys, parkedLast } = sift(hand, gate, rows)
    moveRanges(turn, worker, queue, of, taken)
    for (const row of taken) {
      claimed.push(claimedOf(turn, name, row))
      if (isSpecial(row)) started(turn, queue, row)
    }
    hand.metKeys ||= metKeys
    if (parkedLast) hand.skipsLeft -= looksOf(parkRun(turn, worker, of, gate, lanes))
    // Keys that were met have new tokens.
    if (rows.length < wanted && !metKeys) return
  }
}

/** It has a deadline to start by, a unique key that may end with the start, or a key; read by index, for every job is asked. */
const isSpecial = (row: Row): boolean => row[10] !== null || row[13] !== null || row[14] !== null

/** What a start ends beside the place in the lanes. */
const started = (turn: Turn, queue: number, row: Row): void => {
  const [, , job, , claims, , , , , , expireAt, , , uniqFor, key] = row
  if (claims === 0 && expireAt !== null) turn.sql(meetDeadline).run(expireAt, job)
  if (uniqFor === untilStart) releaseUnique(turn, job)
  if (key !== null) tookToken(turn, { queue, key, job })
}

interface Sifted {
  readonly taken: readonly Row[]
  readonly metKeys: boolean
  /** More of its kind may follow. */
  readonly parkedLast: boolean
}

/** Which of a page's rows are handed out; those that may not be are taken out of the lanes. */
const sift = (hand: Hand, gate: Gate, rows: readonly Row[]): Sifted => {
  const taken: Row[] = []
  let keyLane = Infinity
  let parkedLast = false
  for (const row of rows) {
    const lane = row[0]
    const key = row[14]
    // What does not fit stays where it is: the last row taken ends the range that moves. And the next job of a key that was
    // met comes before the later lanes.
    if (hand.bytesLeft <= 0 || lane > keyLane) break
    const fate = fateOf(hand, gate, row)
    parkedLast = fate === 'park' && key === null
    if (fate === 'run') {
      hand.bytesLeft -= row[8].length
      taken.push(row)
    } else {
      // Keys that gave a job go to the end of the lane before this one does.
      if (key !== null && keyLane !== Infinity && taken.length > 0) break
      setAside(hand.turn, gate, row, fate)
      hand.skipsLeft--
      // Its key's next job may stand before what was read.
      if (key !== null) return { taken, metKeys: true, parkedLast }
    }
    if (key !== null) keyLane = lane
  }
  return { taken, metKeys: keyLane !== Infinity, parkedLast }
}

const fateOf = ({ turn, worker }: Hand, gate: Gate, row: Row): Fate => {
  const type = row[3]
  const expireAt = row[10]
  const key = row[14]
  if (key !== null && !mayStart(turn, gate, { queue: gate.queue, key }, row[2])) return 'close'
  if (isToPark(worker, gate.holds, type)) return 'park'
  return expireAt !== null && row[4] === 0 && expireAt <= turn.now ? 'expire' : 'run'
}

/** Takes out of the lanes what does not run. */
const setAside = (turn: Turn, { queue }: Gate, row: Row, fate: Exclude<Fate, 'run'>): void => {
  const [lane, seq, job, , , , , id, , , , , , , key] = row
  if (fate === 'expire') expire(turn, { seq: job, id, queue, key })
  else if (fate === 'park' && key === null) parkOne(turn, queue, lane, seq)
  else if (fate === 'park' && key !== null) parkFromLine(turn, { queue, key, job })
  if (key === null) turn.sql(takeOne).run(queue, lane, seq)
  else putRight(turn, { queue, key }, null)
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

const expire = (turn: Turn, job: Pick<End, 'seq' | 'id' | 'queue' | 'key'>): void => {
  turn.tally(job.queue, stateCodes.ready, -1)
  if (job.key !== null) leaveLine(turn, { queue: job.queue, key: job.key }, job.seq)
  finish(turn, { ...neverClaimed, holdsUnique: true, ...job, state: 'cancelled', reason: 'expired' })
}

const claimedOf = (turn: Turn, queue: string, row: Row): Claimed => {
  const [lane, , , type, claims, attempt, crashes, id, payload, createdAt, , text, attemptBase] = row
  const policy = claimedPolicy(text, queue, levelOf(lane), attemptBase)
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
