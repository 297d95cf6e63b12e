// Hands out ready jobs: per queue in strict order of (lane, seq), never a job whose type the worker does not know, never
// from a closed queue or level, suspects as the exchange takes them. Rows are locked as they are read and claimed where
// they are; those that others are claiming are stepped over. A row with a key is its token: keys.ts.
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
import { claimedPolicy } from '../store/policy-text.ts'
import type { Claimed } from '../store/records.ts'
import { stateCodes } from '../store/state-codes.ts'
import { untilStart } from '../store/unique-hold.ts'
import { neverClaimed } from '../store/ending.ts'
import type { Batch } from './batch.ts'
import { heldOf } from './claims.ts'
import { finish } from './finish.ts'
import type { Gate } from './gate.ts'
import { noteHeld } from './held.ts'
import { keyStates, leaveLine, parkFromLine, putRight, tookTokens, type KeyState } from './keys.ts'
import { charge, openingNow } from './openings.ts'
import { takeLive } from './live.ts'
import { all, others, suspects, type Pages, type Part } from './pages.ts'
import { park, parkRun, unparkKnown } from './parked.ts'
import type { Row } from './row.ts'
import { rowsAt } from './seek.ts'
import type { Holding } from './suspects.ts'
import type { Touched, Turn } from './turn.ts'
import { releaseUnique } from './unique.ts'

// In place, and in no index: the rows were locked when they were read, so they are where they were. They are one page of one
// claim, and taken at one instant.
const take: Batch = {
  sql: /* sql */ `
  UPDATE forgeq.live SET worker = ($2::int[])[1], turn = ($3::bigint[])[1], claim = claim + 1, started_at = ($4::bigint[])[1]
  WHERE ctid = ANY ($1::tid[])`,
}
// Nobody else has seen them.
const takeFresh: Batch = {
  sql: /* sql */ `
  UPDATE forgeq.live SET worker = ($4::int[])[1], turn = ($5::bigint[])[1], claim = claim + 1, started_at = ($6::bigint[])[1]
  WHERE ${rowsAt('live', { queue: 'int', lane: 'int', seq: 'bigint' })}`,
}
// It has started: its deadline is met.
const meetDeadline: Batch = {
  sql: /* sql */ `
  DELETE FROM forgeq.deadline WHERE ${rowsAt('deadline', { at: 'bigint', job: 'uuid' })}`,
}

/** What is known before a claim. */
export interface Known {
  /** There are some that the worker knows in the queues it wants from. */
  readonly suspects: boolean
  /** There are parked jobs anywhere. */
  readonly parked: boolean
  readonly holds: Holding
}

export const claim = async (worker: Claimer, request: Wanted, known: Known, pages: Pages): Promise<Handout> => {
  const how = request.suspects ?? 'together'
  if (how === 'together') return handOut(pages, worker, request, all, known)
  const { holds } = known
  if (how !== 'skip' && known.suspects && !(holds.suspect && how === 'alone') && !holds.other) {
    const slots = Math.min(request.slots, how === 'alone' ? 1 : (request.suspectSlots ?? request.slots))
    const some = await handOut(pages, worker, { ...request, slots }, suspects, known)
    if (some.claimed.length > 0 || some.more) return some
  }
  return holds.suspect ? { claimed: [], more: false, metKeys: false } : handOut(pages, worker, request, others, known)
}

/** A claim at work. */
interface Hand {
  readonly turn: Turn
  readonly pages: Pages
  readonly worker: Claimer
  readonly of: Part
  readonly claimed: Claimed[]
  readonly hasParked: boolean
  skipsLeft: number
  bytesLeft: number
  metKeys: boolean
}

const isDone = ({ skipsLeft, bytesLeft }: Hand): boolean => skipsLeft <= 0 || bytesLeft <= 0

const handOut = async (
  pages: Pages,
  worker: Claimer,
  { wants, slots }: Wanted,
  of: Part,
  known: Known,
): Promise<Handout> => {
  const claimed: Claimed[] = []
  const { turn } = pages
  const hand: Hand = {
    turn,
    pages,
    worker,
    of,
    claimed,
    hasParked: known.parked,
    skipsLeft: skipLimit,
    bytesLeft: byteLimit,
    metKeys: false,
  }
  for (const want of wants) {
    const limit = Math.min(want.slots, slots - claimed.length)
    if (limit <= 0) continue
    const queue = turn.names.queue.find(want.queue)
    if (queue === undefined) continue
    await claimFrom(hand, await turn.gates.of(queue), limit)
    if (isDone(hand)) break
  }
  return { claimed, more: isDone(hand), metKeys: hand.metKeys }
}

/** What is open of a queue, level by level. */
const claimFrom = async (hand: Hand, gate: Gate, limit: number): Promise<void> => {
  const { turn, worker, of, claimed } = hand
  const before = claimed.length
  const open = await openingNow(turn, gate)
  const end = before + Math.min(limit, open.most)
  const spots: Row[] = []
  if (hand.hasParked) await unparkKnown(turn, worker, of, gate, end - before, open.parts)
  for (const part of open.parts) {
    if (claimed.length >= end || isDone(hand)) break
    await claimLanes(hand, gate, part, Math.min(end, claimed.length + part.most), spots)
  }
  noteHeld(turn, { worker: worker.id, turn: worker.turn }, gate.queue, spots)
  await charge(turn, gate, claimed.slice(before))
}

const claimLanes = async (hand: Hand, gate: Gate, lanes: Lanes, target: number, spots: Row[]): Promise<void> => {
  const { turn, worker, of, claimed } = hand
  const { queue } = gate
  while (claimed.length < target && !isDone(hand)) {
    const { rows, isLast } = await hand.pages.read(of, queue, lanes, target - claimed.length, hand.bytesLeft)
    const { taken, metKeys, parkedLast } = await sift(hand, gate, rows)
    for (const row of taken) {
      if (row.spot === null) turn.push(takeFresh, queue, row.lane, row.seq, worker.id, worker.turn, turn.now)
      else turn.push(take, row.spot, worker.id, worker.turn, turn.now)
      turn.heads.met(queue, row.lane)
      if (row.claim === 0 && row.expire_at !== null) turn.push(meetDeadline, row.expire_at, row.id)
      if (row.uniq_for === untilStart) releaseUnique(turn, row)
      claimed.push(claimedOf(gate.name, row))
      if (row.key === null && row.uniq === null) {
        turn.taken.push(heldOf(row, { queue, claim: row.claim + 1, turn: worker.turn }))
      }
    }
    spots.push(...taken)
    turn.tally(queue, stateCodes.ready, -taken.length)
    turn.tally(queue, stateCodes.running, taken.length)
    await tookTokens(
      turn,
      gate,
      taken.flatMap(({ key, id }) => (key === null ? [] : [{ key, job: id }])),
    )
    hand.metKeys ||= metKeys
    if (parkedLast) hand.skipsLeft -= looksOf(await parkRun(turn, worker, of, gate, lanes))
    // Keys that were met have new tokens.
    if (isLast && !metKeys) return
  }
}

interface Sifted {
  readonly taken: readonly Row[]
  readonly metKeys: boolean
  /** More of its kind may follow. */
  readonly parkedLast: boolean
}

/** Which of a page's rows are handed out; those that may not be are taken out of the lanes. */
const sift = async (hand: Hand, gate: Gate, rows: readonly Row[]): Promise<Sifted> => {
  const { turn } = hand
  const keyed = rows.flatMap(({ key }) => (key === null ? [] : [{ queue: gate.queue, key }]))
  const states = new Map((await keyStates(turn, keyed)).map((state) => [state.key, state]))
  const taken: Row[] = []
  const passed: Touched[] = []
  let keyLane = Infinity
  let parkedLast = false
  for (const row of rows) {
    const { key } = row
    // What does not fit stays where it is. And the next job of a key that was met comes before the later lanes.
    if (row.payload === null || hand.bytesLeft <= 0 || row.lane > keyLane) break
    const fate = fateOf(hand, gate, row, key === null ? undefined : states.get(key))
    const leavesItsLine = fate === 'park' && key !== null
    // Keys that were passed have tokens again, at the end of the lane, before anything else of it is looked at.
    if (passed.length > 0 && !leavesItsLine) break
    parkedLast = fate === 'park' && key === null
    if (fate === 'run') {
      hand.bytesLeft -= Buffer.byteLength(row.payload)
      taken.push(row)
    } else {
      // Keys that gave a job go to the end of the lane before this one does.
      if (key !== null && keyLane !== Infinity && taken.length > 0) break
      await setAside(turn, gate, row, fate)
      hand.skipsLeft--
      if (key !== null) {
        passed.push({ queue: gate.queue, key })
        keyLane = row.lane
        // Its key's next job may stand before what was read, but not when it is the next in the line of one that was parked.
        if (fate !== 'park') break
      }
    }
    if (key !== null) keyLane = row.lane
  }
  await putRight(turn, passed, null)
  return { taken, metKeys: keyLane !== Infinity, parkedLast }
}

const fateOf = ({ turn, worker }: Hand, gate: Gate, row: Row, state: KeyState | undefined): Fate => {
  const { type, claim: claims, expire_at: expireAt } = row
  if (state !== undefined && !(state.isOpen && state.next?.job === row.id)) return 'close'
  if (isToPark(worker, gate.holds, type)) return 'park'
  return claims === 0 && expireAt !== null && expireAt <= turn.now ? 'expire' : 'run'
}

/** Takes out of the lanes what does not run; tokens are put right afterwards. */
const setAside = async (turn: Turn, gate: Gate, row: Row, fate: Exclude<Fate, 'run'>): Promise<void> => {
  const { queue } = gate
  const { id, key } = row
  if (fate === 'expire') {
    turn.tally(queue, stateCodes.ready, -1)
    if (key === null) turn.push(takeLive, queue, row.lane, row.seq)
    else leaveLine(turn, { queue, key }, id)
    await finish(turn, { ...row, ...neverClaimed, queue, state: 'cancelled', reason: 'expired' })
  } else if (fate === 'park' && key === null) turn.push(park, queue, row.lane, row.seq)
  else if (fate === 'park' && key !== null) parkFromLine(turn, gate, key, id)
}

const claimedOf = (queue: string, row: Row): Claimed => ({
  job: row.id,
  claim: row.claim + 1,
  type: row.name,
  payload: row.payload!,
  attempt: row.attempt,
  attemptBase: row.attempt_base,
  crashes: row.crashes,
  createdAt: row.created_at,
  policy: claimedPolicy(row.policy, queue, levelOf(row.lane), row.attempt_base),
})
