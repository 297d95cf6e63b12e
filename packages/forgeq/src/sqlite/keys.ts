// Keys: the ready jobs of a key wait in its line; the first of them also has a place in the lanes of its queue, the key's
// token, while the key has room. So lanes hold only what may start, a claim steps over nothing, and keys take turns: when
// a token is taken, the next one goes to the end of its lane. Room is counted from what runs, so nothing leaks.
import { slotsOfKey } from '../core/limit.ts'
import type { KeyLine } from '../store/queue-record.ts'
import type { Gate } from './gate.ts'
import { heldKey, keyHeldUntil, setAlarm } from './holds.ts'
import type { Counters } from '../store/counters.ts'
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
  SELECT lane, seq, job FROM forgeq_line WHERE queue = ? AND key = ? ORDER BY lane, seq LIMIT 1`
const inLine = /* sql */ `SELECT lane, seq, job FROM forgeq_line WHERE job = ?`

const park = /* sql */ `
  INSERT INTO forgeq_parked (queue, type, lane, seq, job, at, claim, attempt, crashes, settler, key)
  SELECT queue, type, lane, seq, job, at, claim, attempt, crashes, settler, key FROM forgeq_line WHERE job = ?`

const tokenOf = /* sql */ `SELECT lane, seq, job FROM forgeq_ready WHERE queue = ? AND key = ?`
const dropToken = /* sql */ `DELETE FROM forgeq_ready WHERE queue = ? AND key = ?`
const addToken = /* sql */ `
  INSERT INTO forgeq_ready (queue, lane, seq, job, type, at, claim, attempt, crashes, settler, key)
  SELECT queue, lane, ?, job, type, at, claim, attempt, crashes, settler, key FROM forgeq_line WHERE job = ?`

const held = /* sql */ `
  SELECT count(*) AS n FROM (SELECT 1 FROM forgeq_running WHERE queue = ? AND key = ? LIMIT ?)`
const turnOf = /* sql */ `SELECT job FROM forgeq_key_turn WHERE queue = ? AND key = ?`
const giveTurn = /* sql */ `INSERT INTO forgeq_key_turn (queue, key, job) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`
const endTurn = /* sql */ `DELETE FROM forgeq_key_turn WHERE queue = ? AND key = ? AND job = ?`

const idOf = /* sql */ `SELECT id FROM forgeq_job WHERE seq = ?`

interface Spot {
  readonly lane: number
  readonly seq: number
  readonly job: number
}

/** The job that has the turn in a queue of ordered keys. */
const ownerOf = (db: Sql, { limits }: Gate, { queue, key }: KeyOf): number | undefined =>
  limits.perKey.ordered ? (db.sql(turnOf).get(queue, key) as { job: number } | undefined)?.job : undefined

export interface Room {
  readonly isOpen: boolean
  /** When its rate or a hold lets it go on; `null` when neither stops it. */
  readonly opensAt: number | null
}

export const roomOf = (db: Reader, { limits }: Gate, { queue, key }: KeyOf): Room => {
  const { rate } = limits.perKey
  const heldUntil = keyHeldUntil(db, queue, key, db.now)
  const rateOpensAt = rate === null ? null : rateFill(db, queue, `k${key}`, rate).opensAt
  const opensAt = Math.max(heldUntil ?? 0, rateOpensAt ?? 0) || null
  const slots = slotsOfKey(limits.perKey)
  return { isOpen: opensAt === null && (slots === null || heldBy(db, { queue, key }, slots) < slots), opensAt }
}

/** How many jobs of a key run, counted up to `most`; -1: all. */
const heldBy = (db: Sql, { queue, key }: KeyOf, most: number): number =>
  (db.sql(held).get(queue, key, most) as { n: number }).n

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

/**
 * Gives the key's token to the job that is first now, or to none. A token of a job that stays first keeps its place; a job
 * that entered the line after `since` takes the place of its own sequence number, others go to the end.
 */
export const putRight = (turn: Turn, { queue, key }: KeyOf, since: number): void => {
  const gate = turn.gate(queue)
  const first = turn.sql(firstOf).get(queue, key) as Spot | undefined
  const token = turn.sql(tokenOf).get(queue, key) as Spot | undefined
  const room = first === undefined ? undefined : roomOf(turn, gate, { queue, key })
  if (room !== undefined && room.opensAt !== null) setAlarm(turn, queue, heldKey(key), room.opensAt)
  const owner = first === undefined ? undefined : ownerOf(turn, gate, { queue, key })
  const next = owner === undefined ? first : (turn.sql(inLine).get(owner) as Spot | undefined)
  const mayStart = next !== undefined && room?.isOpen === true
  if (mayStart && token?.job === next.job && token.lane === next.lane) return
  if (token !== undefined) turn.sql(dropToken).run(queue, key)
  if (!mayStart) return
  turn.sql(addToken).run(next.seq > since ? next.seq : turn.nextSeq(), next.job)
  turn.hint(`ready:${turn.names.queue.name(queue)}`)
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
  putRight(turn, job, Infinity)
}

/** A job leaves its line to be parked. In a queue of ordered keys the others wait for it. */
export const parkFromLine = (turn: Turn, job: KeyOf & { readonly job: number }): void => {
  turn.sql(park).run(job.job)
  turn.sql(takeFromLine).run(job.job)
  if (turn.gate(job.queue).limits.perKey.ordered) turn.sql(giveTurn).run(job.queue, job.key, job.job)
}

/** A job with a key has ended, whatever became of it: it has no turn any more. */
export const endOfKeyed = (turn: Turn, { queue, key, seq }: KeyOf & { readonly seq: number }): void => {
  if (!turn.gate(queue).limits.perKey.ordered) return
  if (Number(turn.sql(endTurn).run(queue, key, seq).changes) > 0) turn.touch(queue, key)
}

export const lineOf = (db: Reader, queue: number, key: string, job: number): KeyLine => {
  const gate = db.gate(queue)
  const owner = ownerOf(db, gate, { queue, key })
  const first = (db.sql(firstOf).get(queue, key) as Spot).job
  const isOthers = owner !== undefined && owner !== job
  return {
    isNext: owner === job || (!isOthers && first === job),
    held: heldBy(db, { queue, key }, -1),
    opensAt: roomOf(db, gate, { queue, key }).opensAt,
    turnOf: isOthers ? (db.sql(idOf).get(owner) as { id: string }).id : null,
  }
}
