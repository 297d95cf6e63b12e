// Keys: the ready jobs of a key wait in its line; the first of them also has a place in the lanes of its queue, the key's
// token, while the key has room. So lanes hold only what may start, a claim steps over nothing, and keys take turns: when
// a token is taken, the next one goes to the end of its lane. Room is counted from what runs, so nothing leaks.
import { slotsOfKey } from '../core/limit.ts'
import type { KeyLine } from '../store/queue-record.ts'
import type { Gate } from '../store/opening.ts'
import { heldKey, keyHeldUntil, setAlarm } from './holds.ts'
import type { Counters } from '../core/counters.ts'
import { freshLane, laneOf, levelOf } from '../store/lanes.ts'
import type { Reader } from './reader.ts'
import { noteStarts, rateFill } from './starts.ts'
import type { Sql } from './statements.ts'
import type { Turn } from './turn.ts'

export interface KeyOf {
  readonly queue: number
  readonly key: string
}

const addToLine = /* sql */ `
  INSERT INTO forgeq_line (queue, key, lane, seq, job, type, at, claim, attempt, crashes, settler) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
const takeFromLine = /* sql */ `DELETE FROM forgeq_line WHERE job = ?`
const firstOf = /* sql */ `
  SELECT lane, seq, job, type FROM forgeq_line WHERE queue = ? AND key = ? ORDER BY lane, seq LIMIT 1`
const inLine = /* sql */ `SELECT lane, seq, job, type FROM forgeq_line WHERE job = ?`
const nextType = /* sql */ `SELECT type FROM forgeq_line WHERE queue = ? AND key = ? AND type > ? ORDER BY type LIMIT 1`
const firstOfType = /* sql */ `
  SELECT lane, seq, job, type FROM forgeq_line WHERE queue = ? AND key = ? AND type = ? ORDER BY lane, seq LIMIT 1`

const park = /* sql */ `
  INSERT INTO forgeq_parked (queue, type, lane, seq, job, at, claim, attempt, crashes, settler, key)
  SELECT queue, type, lane, seq, job, at, claim, attempt, crashes, settler, key FROM forgeq_line WHERE job = ?`

const tokenOf = /* sql */ `SELECT lane, seq, job, type FROM forgeq_ready WHERE queue = ? AND key = ?`
const dropToken = /* sql */ `DELETE FROM forgeq_ready WHERE queue = ? AND key = ?`
const addToken = /* sql */ `
  INSERT INTO forgeq_ready (queue, lane, seq, job, type, at, claim, attempt, crashes, settler, key)
  SELECT queue, ?, ?, job, type, at, claim, attempt, crashes, settler, key FROM forgeq_line WHERE job = ?`

const running = /* sql */ `
  SELECT count(*) AS n FROM (SELECT 1 FROM forgeq_running WHERE queue = ? AND key = ? LIMIT ?)`
const turnOf = /* sql */ `SELECT job FROM forgeq_key_turn WHERE queue = ? AND key = ?`
const giveTurn = /* sql */ `INSERT INTO forgeq_key_turn (queue, key, job) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`
const endTurn = /* sql */ `DELETE FROM forgeq_key_turn WHERE queue = ? AND key = ? AND job = ?`

const idOf = /* sql */ `SELECT id FROM forgeq_job WHERE seq = ?`

interface Spot {
  readonly lane: number
  readonly seq: number
  readonly job: number
  readonly type: number
}

/** The job that has the turn in a queue of ordered keys. */
const ownerOf = (db: Sql, { limits }: Gate, { queue, key }: KeyOf): number | undefined =>
  limits.perKey.ordered ? (db.sql(turnOf).get(queue, key) as { job: number } | undefined)?.job : undefined

/** Whether a key may start a job, and until when something keeps it from that; `null` where nothing does. */
interface Room {
  readonly isOpen: boolean
  readonly heldUntil: number | null
  readonly rateOpensAt: number | null
}

const roomOf = (db: Reader, { limits }: Gate, { queue, key }: KeyOf): Room => {
  const { rate } = limits.perKey
  const heldUntil = keyHeldUntil(db, queue, key, db.now)
  const rateOpensAt = rate === null ? null : rateFill(db, queue, `k${key}`, rate).opensAt
  const slots = slotsOfKey(limits.perKey)
  const hasSlot = slots === null || runningOf(db, { queue, key }, slots) < slots
  return { isOpen: heldUntil === null && rateOpensAt === null && hasSlot, heldUntil, rateOpensAt }
}

/** How many jobs of a key run, counted up to `most`; -1: all. */
const runningOf = (db: Sql, { queue, key }: KeyOf, most: number): number =>
  (db.sql(running).get(queue, key, most) as { n: number }).n

/** A job that became ready waits for its key. */
export const enterLine = (
  turn: Turn,
  job: KeyOf & { readonly seq: number; readonly type: number },
  lane: number,
  at: number,
  { claim, attempt, crashes, settler }: Counters,
): void => {
  const { queue, key } = job
  turn.sql(addToLine).run(queue, key, lane, turn.nextSeq(), job.seq, job.type, at, claim, attempt, crashes, settler)
  turn.touch(queue, key)
}

export const leaveLine = (turn: Turn, { queue, key }: KeyOf, job: number): void => {
  turn.sql(takeFromLine).run(job)
  turn.touch(queue, key)
}

/** Who of a line is next: the first whose type nobody holds back; in a queue of ordered keys nobody overtakes. */
interface Next {
  readonly spot: Spot | undefined
  /** Until when types that are held back keep others of the line from being next. */
  readonly heldUntil: number | null
}

const nextOf = (db: Reader, gate: Gate, of: KeyOf): Next => {
  const { types } = gate.holds
  const owner = ownerOf(db, gate, of)
  if (owner !== undefined || types.size === 0 || gate.limits.perKey.ordered) {
    const spot = db
      .sql(owner === undefined ? firstOf : inLine)
      .get(...(owner === undefined ? [of.queue, of.key] : [owner]))
    const heldUntil = types.get((spot as Spot | undefined)?.type ?? 0) ?? null
    return { spot: heldUntil === null ? (spot as Spot | undefined) : undefined, heldUntil }
  }
  let next: Spot | undefined
  let heldUntil = Infinity
  for (let type = 0; ;) {
    const row = db.sql(nextType).get(of.queue, of.key, type) as { type: number } | undefined
    if (row === undefined) break
    type = row.type
    const until = types.get(type)
    if (until !== undefined) heldUntil = Math.min(heldUntil, until)
    else next = earlier(next, db.sql(firstOfType).get(of.queue, of.key, type) as Spot)
  }
  return { spot: next, heldUntil: heldUntil < Infinity ? heldUntil : null }
}

/** Whether the job whose token a claim met is next, and its key has room: limits and holds may have changed since. */
export const mayStart = (db: Reader, gate: Gate, of: KeyOf, job: number): boolean =>
  roomOf(db, gate, of).isOpen && nextOf(db, gate, of).spot?.job === job

const earlier = (a: Spot | undefined, b: Spot): Spot =>
  a === undefined || b.lane < a.lane || (b.lane === a.lane && b.seq < a.seq) ? b : a

/**
 * Gives the key's token to the job that is next now, or to none. It keeps its place when it goes from one job to another of
 * the same level; else a job that entered the line after `since` takes the place of its own sequence number, any other the
 * end. `null`, in a claim: always the end, for what lies before it may have been read already. Tokens are all among the
 * fresh: whose jobs came back must not hold up the other keys.
 */
export const putRight = (turn: Turn, of: KeyOf, since: number | null): void => {
  const { queue, key } = of
  const gate = turn.gate(queue)
  const token = turn.sql(tokenOf).get(queue, key) as Spot | undefined
  const isEmpty = turn.sql(firstOf).get(queue, key) === undefined
  const room = isEmpty ? undefined : roomOf(turn, gate, of)
  const { spot: next, heldUntil } = isEmpty ? { spot: undefined, heldUntil: null } : nextOf(turn, gate, of)
  const opensAt = Math.max(room?.heldUntil ?? 0, room?.rateOpensAt ?? 0) || heldUntil
  if (opensAt !== null) setAlarm(turn, queue, heldKey(key), opensAt)
  if (next === undefined || room?.isOpen !== true) {
    if (token !== undefined) turn.sql(dropToken).run(queue, key)
    return
  }
  const lane = laneOf(levelOf(next.lane), freshLane)
  if (token?.job === next.job && token.lane === lane) return
  if (token !== undefined) turn.sql(dropToken).run(queue, key)
  turn.sql(addToken).run(lane, since === null ? turn.nextSeq() : placeOf(turn, next, token, lane, since), next.job)
  turn.hint(`ready:${turn.names.queue.name(queue)}`)
}

const placeOf = (turn: Turn, next: Spot, token: Spot | undefined, lane: number, since: number): number => {
  if (token?.lane === lane) return token.seq
  return next.seq > since ? next.seq : turn.nextSeq()
}

/** Puts the tokens of all keys right that this call has touched; the last step of a call, and of what it settles. */
export const putKeysRight = (turn: Turn): void => {
  for (const { queue, key } of turn.takeTouched()) putRight(turn, { queue, key }, turn.callSeq)
  for (const queue of turn.takeFreed()) {
    if (turn.gate(queue).limits.concurrency !== null) turn.hint(`ready:${turn.names.queue.name(queue)}`)
  }
}

/** A job of the key was handed out. */
export const tookToken = (turn: Turn, job: KeyOf & { readonly job: number }): void => {
  const { rate, ordered } = turn.gate(job.queue).limits.perKey
  turn.sql(takeFromLine).run(job.job)
  if (ordered) turn.sql(giveTurn).run(job.queue, job.key, job.job)
  if (rate !== null) noteStarts(turn, job.queue, `k${job.key}`, 1, rate)
  putRight(turn, job, null)
}

/** A job leaves its line to be parked. In a queue of ordered keys the others wait for it. */
export const parkFromLine = (turn: Turn, job: KeyOf & { readonly job: number }): void => {
  turn.sql(park).run(job.job)
  turn.sql(takeFromLine).run(job.job)
  if (turn.gate(job.queue).limits.perKey.ordered) turn.sql(giveTurn).run(job.queue, job.key, job.job)
}

/** A job of the key stopped running. It has the turn already, unless its queue was not ordered when it started. */
export const goesOn = (turn: Turn, { queue, key, job }: KeyOf & { readonly job: number }): void => {
  if (turn.gate(queue).limits.perKey.ordered) turn.sql(giveTurn).run(queue, key, job)
  turn.touch(queue, key)
}

/** A job with a key has ended, whatever became of it: it has no turn any more. */
export const endOfKeyed = (turn: Turn, { queue, key, seq }: KeyOf & { readonly seq: number }): void => {
  if (!turn.gate(queue).limits.perKey.ordered) return
  if (Number(turn.sql(endTurn).run(queue, key, seq).changes) > 0) turn.touch(queue, key)
}

/** `undefined` when the job is not in line any more. */
export const lineOf = (db: Reader, of: KeyOf, job: number): KeyLine | undefined => {
  if (db.sql(inLine).get(job) === undefined) return undefined
  const gate = db.gate(of.queue)
  const owner = ownerOf(db, gate, of)
  const { heldUntil, rateOpensAt } = roomOf(db, gate, of)
  return {
    isNext: nextOf(db, gate, of).spot?.job === job,
    running: runningOf(db, of, -1),
    heldUntil,
    rateOpensAt,
    turnOf: owner === undefined || owner === job ? null : (db.sql(idOf).get(owner) as { id: string }).id,
  }
}
