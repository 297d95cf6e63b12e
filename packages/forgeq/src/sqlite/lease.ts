// Workers: registering, beating, leaving, and what closed ones leave behind. The record of a worker is the lease of every
// job it holds.
import { ForgeError } from '../core/errors.ts'
import type {
  BeatReply,
  Claimed,
  Closed,
  ExchangeReply,
  ExchangeRequest,
  LostJob,
  Note,
  Order,
  Registration,
  Settlement,
  TypeRecord,
  Verdict,
} from '../store/records.ts'
import type { WorkerEnd, WorkerFacts } from '../store/worker-record.ts'
import type { Handout } from '../store/handout.ts'
import { claim } from './claim.ts'
import { putKeysRight } from './keys.ts'
import { addNotes } from './notes.ts'
import { packPolicy } from '../store/policy-text.ts'
import { claimedOf, lostOf, type HeldRow, type LostRow } from '../store/rows.ts'
import { settle } from './settle.ts'
import type { Reader } from './reader.ts'
import type { Sql } from './statements.ts'
import { suspectsWait } from './suspects.ts'
import type { Turn } from './turn.ts'

interface WorkerRow {
  readonly id: number
  readonly uid: string
  readonly closed: number
  readonly turn: number
  readonly types: string
  readonly lease_ms: number
}

const addWorker = /* sql */ `
  INSERT INTO forgeq_worker (uid, host, pid, pid_space, version, queues, types, slots, lease_ms, started_at, beat_at, expires_at)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (uid) DO NOTHING`
const setType = /* sql */ `UPDATE forgeq_type SET announced = 1, queue = ?, priority = ?, policy = ?, schema = ? WHERE id = ?`
const workerByUid = /* sql */ `SELECT id, uid, closed, turn, types, lease_ms FROM forgeq_worker WHERE uid = ?`
const setTurn = /* sql */ `UPDATE forgeq_worker SET turn = ? WHERE id = ?`
const extend = /* sql */ `UPDATE forgeq_worker SET beat_at = ?, expires_at = ?, facts = coalesce(?, facts) WHERE id = ?`
const ordersOf = /* sql */ `
  SELECT j.id AS job, r.claim FROM forgeq_running r CROSS JOIN forgeq_job j ON j.seq = r.job WHERE r.worker = ? AND r.cancelled`
const slotsToSet = /* sql */ `SELECT slots FROM forgeq_worker WHERE id = ? AND slots <> facts ->> '$.slots'`
const setSlots = /* sql */ `UPDATE forgeq_worker SET slots = ? WHERE uid = ? AND closed = 0`
const nextDue = /* sql */ `
  SELECT min(at) AS at FROM (SELECT min(run_at) AS at FROM forgeq_later UNION ALL SELECT min(at) FROM forgeq_deadline
    UNION ALL SELECT min(at) FROM forgeq_alarm)`
const heldOfTurn = /* sql */ `
  SELECT j.id AS job, r.claim, r.attempt, r.crashes, q.name AS queue, t.name AS type, j.payload, j.created_at, j.policy,
    j.attempt_base, j.priority
  FROM forgeq_running r CROSS JOIN forgeq_job j ON j.seq = r.job JOIN forgeq_queue q ON q.id = j.queue
    JOIN forgeq_type t ON t.id = j.type
  WHERE r.worker = ? AND r.turn = ? ORDER BY r.lane, r.seq`

const openLeases = /* sql */ `SELECT min(lease_ms) AS shortest, max(lease_ms) AS longest FROM forgeq_worker WHERE closed = 0`

// Compare-and-set: a beat that commits before this keeps its worker, one that comes after finds it closed.
const closeExpired = /* sql */ `UPDATE forgeq_worker SET closed = 1 WHERE closed = 0 AND left_at IS NULL AND expires_at <= ?`
const close = /* sql */ `
  UPDATE forgeq_worker SET closed = 1, ended = coalesce(ended, ?) WHERE uid = ? AND left_at IS NULL`
const markLeft = /* sql */ `
  UPDATE forgeq_worker SET left_at = ? WHERE closed = 1 AND left_at IS NULL
    AND NOT EXISTS (SELECT 1 FROM forgeq_running r WHERE r.worker = forgeq_worker.id)`
const heldByClosed = /* sql */ `
  SELECT j.id AS job, r.claim, r.crashes, r.attempt, r.started_at, w.uid AS worker, w.host, w.pid,
    w.facts ->> '$.rssBytes' AS rss_bytes, w.ended, j.policy, j.attempt_base, j.priority, q.name AS queue, t.name AS type
  FROM forgeq_running r CROSS JOIN forgeq_worker w ON w.id = r.worker AND w.closed = 1
    CROSS JOIN forgeq_job j ON j.seq = r.job JOIN forgeq_queue q ON q.id = j.queue JOIN forgeq_type t ON t.id = j.type
  ORDER BY r.job LIMIT ?`
const nextExpiry = /* sql */ `SELECT min(expires_at) AS at FROM forgeq_worker WHERE closed = 0 AND left_at IS NULL`
const guardOf = /* sql */ `SELECT guard_until FROM forgeq_meta`
const anyLost = /* sql */ `SELECT 1 FROM forgeq_worker WHERE left_at IS NULL AND (closed OR expires_at <= ?) LIMIT 1`

/** What a worker says of types; answers their numbers. */
export const announce = (turn: Turn, types: readonly TypeRecord[]): number[] =>
  types.map(({ type, policy, inputSchema }) => {
    const id = turn.names.type.id(type)
    turn.sql(setType).run(policy.queue, policy.priority, packPolicy(policy), inputSchema, id)
    return id
  })

export const register = (turn: Turn, worker: Registration): { readonly now: number } => {
  const types = announce(turn, worker.types)
  noteLife(turn, worker.leaseMs)
  turn
    .sql(addWorker)
    .run(
      worker.id,
      worker.host,
      worker.pid,
      worker.pidSpace,
      worker.version,
      JSON.stringify(worker.queues),
      JSON.stringify(types),
      worker.slots,
      worker.leaseMs,
      turn.now,
      turn.now,
      turn.now + worker.leaseMs,
    )
  return { now: turn.now }
}

/** After a gap in which nobody beat for a lease, nobody is closed for one full lease: the store was away, not they. */
const wasAway = (turn: Turn, seenAt: number, leaseMs: number): boolean => seenAt > 0 && turn.now - seenAt > leaseMs

const noteLife = (turn: Turn, leaseMs: number): void => {
  turn.noteBeat(wasAway(turn, turn.beatAt, leaseMs) ? turn.now + leaseMs : turn.guardUntil)
}

const findWorker = (turn: Turn, uid: string): WorkerRow | undefined =>
  turn.sql(workerByUid).get(uid) as WorkerRow | undefined

export const ordersFor = (db: Sql, worker: number): Order[] =>
  (db.sql(ordersOf).all(worker) as { job: string; claim: number }[]).map((row) => ({ ...row, order: 'cancel' }))

const resizeFor = (db: Sql, worker: number): Order[] =>
  (db.sql(slotsToSet).all(worker) as { slots: number }[]).map(({ slots }) => ({ order: 'resize', slots }))

export const nextDueAt = (db: Sql): number | null => (db.sql(nextDue).get() as { at: number | null }).at

export const beat = (
  turn: Turn,
  uid: string,
  facts: WorkerFacts | null,
  notes: readonly Note[],
): BeatReply | Closed => {
  const worker = findWorker(turn, uid)
  if (worker === undefined || worker.closed !== 0) return { closed: true }
  noteLife(turn, worker.lease_ms)
  turn.sql(extend).run(turn.now, turn.now + worker.lease_ms, facts === null ? null : JSON.stringify(facts), worker.id)
  addNotes(turn, worker.id, notes)
  const orders = [...ordersFor(turn, worker.id), ...resizeFor(turn, worker.id)]
  return { closed: false, orders, now: turn.now }
}

export const setWorker = (turn: Turn, uid: string, { slots }: { readonly slots: number }): boolean => {
  const { changes } = turn.sql(setSlots).run(slots, uid)
  turn.hint(`orders:${uid}`)
  return Number(changes) > 0
}

export const exchange = (turn: Turn, request: ExchangeRequest): ExchangeReply | Closed => {
  const worker = findWorker(turn, request.worker)
  if (worker === undefined || worker.closed !== 0) return { closed: true }
  if (request.turn < worker.turn) {
    throw new ForgeError(
      'LEASE_LOST',
      `turn ${request.turn} of worker ${worker.uid} is over: its turn is ${worker.turn}`,
    )
  }
  const isRepeat = request.turn === worker.turn
  if (!isRepeat) {
    // Before the settlements: the last words of a claim are still under its fence.
    addNotes(turn, worker.id, request.notes)
    turn.sql(setTurn).run(request.turn, worker.id)
  }
  const verdicts = settle(turn, { worker: worker.id, rescue: false, turn: request.turn }, request.settlements)
  putKeysRight(turn)
  const suspects = suspectsWait(turn, worker.types, request)
  const { claimed, more, metKeys } = isRepeat
    ? repeat(turn, worker.id, request)
    : claim(turn, { id: worker.id, turn: request.turn, types: typesOf(worker.types) }, request, suspects)
  putKeysRight(turn)
  return {
    closed: false,
    verdicts,
    claimed,
    suspects: (suspects || metKeys) && suspectsWait(turn, worker.types, request),
    more,
    orders: ordersFor(turn, worker.id),
    nextDueAt: nextDueAt(turn),
    now: turn.now,
  }
}

const typeSets = new Map<string, ReadonlySet<number>>()

/** The numbers of a worker's types; the text is parsed once, not at every claim. */
export const typesOf = (text: string): ReadonlySet<number> => {
  let types = typeSets.get(text)
  if (types === undefined) {
    types = new Set(JSON.parse(text) as number[])
    if (typeSets.size > 100) typeSets.clear()
    typeSets.set(text, types)
  }
  return types
}

/** The lost answer may have said that there is more; asking once more than needed is harmless. */
const repeat = (turn: Turn, worker: number, request: ExchangeRequest): Handout => {
  const claimed = heldSince(turn, worker, request)
  return { claimed, more: claimed.length === 0 && request.slots > 0, metKeys: true }
}

/** What the last turn claimed, in the same order. */
const heldSince = (turn: Turn, worker: number, request: ExchangeRequest): Claimed[] => {
  const order = new Map(request.wants.map((want, i) => [want.queue, i]))
  const rows = turn.sql(heldOfTurn).all(worker, request.turn) as HeldRow[]
  rows.sort((a, b) => (order.get(a.queue) ?? 0) - (order.get(b.queue) ?? 0))
  const claimed = rows.map(claimedOf)
  // Its first answer may have failed at the disk.
  if (claimed.some(({ policy }) => policy.delivery === 'at-most-once')) turn.isPromise = true
  return claimed
}

export const leave = (turn: Turn, uid: string, end?: WorkerEnd): void => {
  turn.sql(close).run(end === undefined ? null : JSON.stringify(end), uid)
  turn.sql(markLeft).run(turn.now)
}

interface Lost {
  readonly jobs: readonly LostJob[]
  readonly nextExpiryAt: number | null
}

/** When the next lease may be closed. */
const expiryAt = (db: Sql, guardUntil: number): number | null => {
  const { at } = db.sql(nextExpiry).get() as { at: number | null }
  return at === null ? null : Math.max(at, guardUntil)
}

/** After a time in which this process could not write, others could not either: nobody is closed for a full lease. */
export const protectLeases = (turn: Turn): void => {
  const { longest } = turn.sql(openLeases).get() as { longest: number | null }
  if (longest !== null) turn.noteBeat(turn.now + longest)
}

/** `lookedAt`: when this process last did this; one that did all the time knows that the store was not away. */
export const lost = (turn: Turn, limit: number, lookedAt: number): Lost => {
  const { shortest } = turn.sql(openLeases).get() as { shortest: number | null }
  if (shortest !== null) {
    if (wasAway(turn, Math.max(turn.beatAt, lookedAt), shortest)) protectLeases(turn)
    if (turn.now >= turn.guardUntil) turn.sql(closeExpired).run(turn.now)
  }
  turn.sql(markLeft).run(turn.now)
  const rows = turn.sql(heldByClosed).all(limit) as LostRow[]
  return {
    jobs: rows.map(lostOf),
    nextExpiryAt: expiryAt(turn, turn.guardUntil),
  }
}

/**
 * The answer without a write when no worker is closed or due to be. Now and then it is written nevertheless: that is how
 * this process knows later that the store was not away, and reading proves nothing.
 */
export const nothingLost = (db: Reader, lookedAt: number): Lost | undefined => {
  if (db.sql(anyLost).get(db.now) !== undefined) return undefined
  const { shortest } = db.sql(openLeases).get() as { shortest: number | null }
  if (shortest !== null && db.now - lookedAt > shortest / 3) return undefined
  const { guard_until: guardUntil } = db.sql(guardOf).get() as { guard_until: number }
  return { jobs: [], nextExpiryAt: expiryAt(db, guardUntil) }
}

/** Settles for closed workers: a worker that is still open speaks for itself. */
export const settleLost = (
  turn: Turn,
  settlements: readonly (Settlement & { readonly worker: string })[],
): Verdict[] => {
  const verdicts = settlements.map((settlement): Verdict => {
    const worker = findWorker(turn, settlement.worker)
    if (worker === undefined || worker.closed === 0) return 'lost'
    return settle(turn, { worker: worker.id, rescue: true, turn: Infinity }, [settlement])[0]!
  })
  putKeysRight(turn)
  turn.sql(markLeft).run(turn.now)
  return verdicts
}
