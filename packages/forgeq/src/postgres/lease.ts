// Workers: registering, beating, leaving, and what closed ones leave behind. The record of a worker is the lease of every
// job it holds. Locks are taken in this order: the outage guard, the worker, queues, jobs.
import type {
  BeatReply,
  Closed,
  LostJob,
  Note,
  Order,
  Registration,
  Settlement,
  TypeRecord,
  Verdict,
} from '../store/records.ts'
import type { WorkerEnd, WorkerFacts } from '../store/worker-record.ts'
import { packPolicy } from '../store/policy-text.ts'
import { lostOf, type LostRow } from '../store/rows.ts'
import { putKeysRight } from './keys.ts'
import { addNotes } from './notes.ts'
import { rowOf, rowsOf } from './seek.ts'
import { readSettling, settle } from './settle.ts'
import type { Turn } from './turn.ts'

export interface WorkerRow {
  readonly id: number
  readonly uid: string
  readonly closed: boolean
  readonly types: readonly number[]
  readonly lease_ms: number
  readonly expires_at: number
}

const addWorker = /* sql */ `
  INSERT INTO forgeq.worker (uid, host, pid, pid_space, version, queues, types, slots, lease_ms, started_at, beat_at, expires_at)
  VALUES ($1, $2, $3, $4, $5, $6, $7::int[], $8, $9::bigint, $10::bigint, $10, $10::bigint + $9::bigint) ON CONFLICT (uid) DO NOTHING`
const setTypes = /* sql */ `
  UPDATE forgeq.type t SET announced = true, queue = a.queue, priority = a.priority, policy = a.policy, schema = a.schema
  FROM unnest($1::int[], $2::text[], $3::int[], $4::text[], $5::text[]) AS a (id, queue, priority, policy, schema) WHERE t.id = a.id`
// Whoever speaks for a worker does so one at a time: its beats, who closes it, who rescues what it held; its exchanges, of which
// only the last one may still be under way when it is sent again, meet in the row of their turn.
const workersByUid = (lock: string): string => /* sql */ `
  SELECT w.* FROM (
    SELECT id FROM (SELECT id FROM forgeq.worker WHERE uid = ANY ($1::text[]) OFFSET 0) f ORDER BY id OFFSET 0) k CROSS JOIN LATERAL (
    SELECT id, uid, closed, types, lease_ms, expires_at FROM forgeq.worker WHERE id = k.id ${lock}) w`
const lockWorkers = workersByUid('FOR NO KEY UPDATE')
// Notes are written under it: exchanges settle what they belong to.
const lockAlone = workersByUid('FOR UPDATE')
// An exchange may wait long for a queue. Nobody can close its worker meanwhile, but it can be beaten for.
export const holdWorker: string = workersByUid('FOR KEY SHARE')
const extend = /* sql */ `UPDATE forgeq.worker SET beat_at = $2, expires_at = $3, facts = coalesce($4, facts) WHERE id = $1`
const cancelled = /* sql */ `SELECT job, claim FROM forgeq.cancel WHERE worker = $1`
const slotsToSet = /* sql */ `
  SELECT slots FROM forgeq.worker WHERE id = $1 AND slots <> (facts::json ->> 'slots')::integer`
const setSlots = /* sql */ `UPDATE forgeq.worker SET slots = $2 WHERE uid = $1 AND NOT closed`
// One row that everybody who beats writes: the guard is about all of them.
const readGuard = /* sql */ `SELECT beat_at, guard_until FROM forgeq.meta FOR UPDATE`
const lookAtGuard = /* sql */ `SELECT guard_until FROM forgeq.meta`
const writeGuard = /* sql */ `UPDATE forgeq.meta SET beat_at = $1, guard_until = $2`
const openLeases = /* sql */ `
  SELECT min(lease_ms) AS shortest, max(lease_ms) AS longest FROM forgeq.worker WHERE NOT closed AND left_at IS NULL`
// Compare-and-set: a beat that commits before this keeps its worker, one that comes after finds it closed. Who is at an
// exchange just now lives, and is left alone.
const closeExpired = /* sql */ `
  UPDATE forgeq.worker SET closed = true WHERE ${rowsOf(`
    SELECT ctid FROM forgeq.worker WHERE NOT closed AND left_at IS NULL AND expires_at <= $1 FOR UPDATE SKIP LOCKED`)}`
const close = /* sql */ `
  UPDATE forgeq.worker SET closed = true, ended = coalesce(ended, $2)
  WHERE id = ANY (ARRAY(SELECT id FROM forgeq.worker WHERE uid = $1 AND left_at IS NULL FOR UPDATE))`
// A closed worker gets nothing any more: once it holds nothing it never will.
const markLeft = /* sql */ `
  WITH gone AS (UPDATE forgeq.worker SET left_at = $1 WHERE ${rowsOf(`
    SELECT ctid FROM forgeq.worker w WHERE closed AND left_at IS NULL
      AND NOT EXISTS (SELECT 1 FROM forgeq.held h WHERE h.worker = w.id OFFSET 0) FOR NO KEY UPDATE SKIP LOCKED`)}
    RETURNING id)
  DELETE FROM forgeq.exchange WHERE worker = ANY (ARRAY(SELECT id FROM gone))`
const heldByClosed = /* sql */ `
  SELECT j.id AS job, r.claim, r.crashes, r.attempt, r.started_at, w.uid AS worker, w.host, w.pid,
    (w.facts::json ->> 'rssBytes')::bigint AS rss_bytes, w.ended, j.policy, j.attempt_base, j.priority, q.name AS queue, t.name AS type
  FROM forgeq.worker w CROSS JOIN ${rowOf('running', 'r', 'worker = w.id')} CROSS JOIN ${rowOf('job', 'j', 'id = r.job')}
    JOIN forgeq.queue q ON q.id = j.queue JOIN forgeq.type t ON t.id = j.type
  WHERE w.closed AND w.left_at IS NULL ORDER BY j.seq LIMIT $1`
const nextExpiry = /* sql */ `SELECT min(expires_at) AS at FROM forgeq.worker WHERE NOT closed AND left_at IS NULL`
const anyLost = /* sql */ `SELECT 1 FROM forgeq.worker WHERE left_at IS NULL AND (closed OR expires_at <= $1) LIMIT 1`

interface Guard {
  readonly beat_at: number
  readonly guard_until: number
}

/** After a gap in which nobody beat for a lease, nobody is closed for one full lease: the store was away, not they. */
const wasAway = (turn: Turn, seenAt: number, leaseMs: number): boolean => seenAt > 0 && turn.now - seenAt > leaseMs

const noteLife = async (turn: Turn, leaseMs: number): Promise<void> => {
  const guard = (await turn.one<Guard>(readGuard))!
  const until = wasAway(turn, guard.beat_at, leaseMs) ? turn.now + leaseMs : guard.guard_until
  await turn.run(writeGuard, turn.now, Math.max(until, guard.guard_until))
}

/** What a worker says of types; answers their numbers. */
export const announce = async (turn: Turn, types: readonly TypeRecord[]): Promise<readonly number[]> => {
  const numbers = types.map(({ type }) => turn.names.type.id(type))
  await turn.run(
    setTypes,
    numbers,
    types.map(({ policy }) => policy.queue),
    types.map(({ policy }) => policy.priority),
    types.map(({ policy }) => packPolicy(policy)),
    types.map(({ inputSchema }) => inputSchema),
  )
  return numbers
}

export const register = async (turn: Turn, worker: Registration): Promise<{ readonly now: number }> => {
  await noteLife(turn, worker.leaseMs)
  const types = await announce(turn, worker.types)
  const { id, host, pid, pidSpace, version, queues, slots, leaseMs } = worker
  await turn.run(addWorker, id, host, pid, pidSpace, version, JSON.stringify(queues), types, slots, leaseMs, turn.now)
  return { now: turn.now }
}

/** The worker's record, for an exchange: it stays open until that is over. `undefined` when it is closed or unknown. */
export const openWorker = (turn: Turn, uid: string): Promise<WorkerRow | undefined> => recordOf(turn, uid, holdWorker)

const recordOf = async (turn: Turn, uid: string, how: string): Promise<WorkerRow | undefined> => {
  const row = await turn.one<WorkerRow>(how, [uid])
  return row === undefined || row.closed ? undefined : row
}

const prolong = /* sql */ `UPDATE forgeq.worker SET expires_at = greatest(expires_at, $2) WHERE id = $1`

/** Nobody closed it while it waited, whether or not somebody beat for it: when its lease ran out meanwhile, it has a new one. */
export const makeUpFor = async (turn: Turn, worker: WorkerRow): Promise<void> => {
  if (worker.expires_at > turn.beganAt && worker.expires_at <= turn.now) {
    await turn.run(prolong, worker.id, turn.now + worker.lease_ms)
  }
}

const ordersFor = async (turn: Turn, worker: number): Promise<Order[]> =>
  (await turn.all<{ job: string; claim: number }>(cancelled, worker)).map((row) => ({ ...row, order: 'cancel' }))

const resizeFor = async (turn: Turn, worker: number): Promise<Order[]> =>
  (await turn.all<{ slots: number }>(slotsToSet, worker)).map(({ slots }) => ({ order: 'resize', slots }))

export const beat = async (
  turn: Turn,
  uid: string,
  facts: WorkerFacts | null,
  notes: readonly Note[],
): Promise<BeatReply | Closed> => {
  const lease = await turn.one<{ lease_ms: number }>(leaseOf, uid)
  if (lease === undefined) return { closed: true }
  await noteLife(turn, lease.lease_ms)
  const worker = await recordOf(turn, uid, notes.length > 0 ? lockAlone : lockWorkers)
  if (worker === undefined) return { closed: true }
  const text = facts === null ? null : JSON.stringify(facts)
  await turn.run(extend, worker.id, turn.now, turn.now + worker.lease_ms, text)
  await addNotes(turn, worker.id, notes)
  const orders = [...(await ordersFor(turn, worker.id)), ...(await resizeFor(turn, worker.id))]
  return { closed: false, orders, now: turn.now }
}

const leaseOf = /* sql */ `SELECT lease_ms FROM forgeq.worker WHERE uid = $1 AND NOT closed`

export const setWorker = async (turn: Turn, uid: string, { slots }: { readonly slots: number }): Promise<boolean> => {
  turn.hint(`orders:${uid}`)
  return (await turn.run(setSlots, uid, slots)) > 0
}

export const leave = async (turn: Turn, uid: string, end?: WorkerEnd): Promise<void> => {
  await turn.run(close, uid, end === undefined ? null : JSON.stringify(end))
  await turn.run(markLeft, turn.now)
}

interface Lost {
  readonly jobs: readonly LostJob[]
  readonly nextExpiryAt: number | null
}

/** When the next lease may be closed. */
const expiryAt = async (turn: Turn, guardUntil: number): Promise<number | null> => {
  const { at } = (await turn.one<{ at: number | null }>(nextExpiry))!
  return at === null ? null : Math.max(at, guardUntil)
}

interface Leases {
  readonly shortest: number | null
  readonly longest: number | null
}

/** `lookedAt`: when this process last did this; one that did all the time knows that the store was not away. */
export const lost = async (turn: Turn, limit: number, lookedAt: number): Promise<Lost> => {
  const { beat_at: beatAt, guard_until } = (await turn.one<Guard>(readGuard))!
  const { shortest, longest } = (await turn.one<Leases>(openLeases))!
  let guardUntil = guard_until
  if (shortest !== null && longest !== null) {
    if (wasAway(turn, Math.max(beatAt, lookedAt), shortest)) {
      guardUntil = turn.now + longest
      await turn.run(writeGuard, turn.now, guardUntil)
    }
    if (turn.now >= guardUntil) await turn.run(closeExpired, turn.now)
  }
  await turn.run(markLeft, turn.now)
  const rows = await turn.all<LostRow>(heldByClosed, limit)
  return {
    jobs: rows.map(lostOf),
    nextExpiryAt: await expiryAt(turn, guardUntil),
  }
}

/**
 * The answer without a write when no worker is closed or due to be. Now and then it is written nevertheless: that is how
 * this process knows later that the store was not away, and reading proves nothing.
 */
export const nothingLost = async (turn: Turn, lookedAt: number): Promise<Lost | undefined> => {
  if ((await turn.one(anyLost, turn.now)) !== undefined) return undefined
  const { shortest } = (await turn.one<Leases>(openLeases))!
  if (shortest !== null && turn.now - lookedAt > shortest / 3) return undefined
  const { guard_until: guardUntil } = (await turn.one<Pick<Guard, 'guard_until'>>(lookAtGuard))!
  return { jobs: [], nextExpiryAt: await expiryAt(turn, guardUntil) }
}

/** Settles for closed workers: a worker that is still open speaks for itself. */
export const settleLost = async (
  turn: Turn,
  settlements: readonly (Settlement & { readonly worker: string })[],
): Promise<Verdict[]> => {
  const uids = [...new Set(settlements.map(({ worker }) => worker))]
  const rows = await turn.all<WorkerRow>(lockWorkers, uids)
  const workers = new Map(rows.filter(({ closed }) => closed).map((row) => [row.uid, row]))
  const settling = await readSettling(turn, settlements)
  const verdicts: Verdict[] = []
  for (const settlement of settlements) {
    const worker = workers.get(settlement.worker)
    if (worker === undefined) verdicts.push('lost')
    else {
      const settler = { worker: worker.id, rescue: true, turn: Infinity }
      verdicts.push(...(await settle(turn, settler, [settlement], settling)))
    }
  }
  await putKeysRight(turn)
  await turn.run(markLeft, turn.now)
  return verdicts
}
