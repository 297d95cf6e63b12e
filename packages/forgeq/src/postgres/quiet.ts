// When nothing happens, which is most of the time: an idle worker's exchange and its beat in one statement each, without a
// transaction around it, and what the former saw of everything else answers who promotes and rescues a moment later. Whatever is
// not as quiet as that is left to the calls themselves.
import type { BeatReply, Closed, ExchangeReply, ExchangeRequest, LostJob, Note } from '../store/records.ts'
import type { WorkerFacts } from '../store/worker-record.ts'
import { lastLevel, levels } from '../store/lanes.ts'
import type { Ask } from './client.ts'
import { firstDue } from './due.ts'
import { inSegment, lastDrawn, type Heads, type Segments } from './heads.ts'
import type { Names } from './names.ts'

/** What was seen, and when by the clock of this process. */
export interface Quiet {
  readonly seenAt: number
  readonly now: number
  readonly dueAt: number | null
  readonly isLost: boolean
  readonly expiryAt: number | null
  readonly guardUntil: number
  readonly shortestMs: number | null
}

export interface QuietMemory {
  /** Forgotten whenever this process changes something or hears of a change. */
  quiet: Quiet | undefined
  /** So many times: what was asked for before says nothing of what came meanwhile. */
  changes: number
  lookedAt: number
  readonly heads: Heads
  readonly names: Names
}

// OFFSET 0 keeps the planner from reading all of live and parked at once.
const look = /* sql */ `
  SELECT s.now, w.closed, c.frozen_at IS NULL AS moves, m.guard_until AS "guardUntil",
    coalesce((SELECT e.turn FROM forgeq.exchange e WHERE e.worker = w.id ORDER BY e.turn DESC LIMIT 1), 0) AS turn,
    EXISTS (SELECT 1 FROM forgeq.cancel o WHERE o.worker = w.id OFFSET 0) AS ordered,
    EXISTS (SELECT 1 FROM unnest($2::text[], $3::int[], $4::bigint[], $5::int[]) AS s (queue, first, after, last)
      JOIN forgeq.queue q ON q.name = s.queue WHERE
        EXISTS (SELECT 1 FROM forgeq.live l WHERE l.queue = q.id AND ${inSegment}
          AND l.worker IS NULL OFFSET 0)
        OR EXISTS (SELECT 1 FROM forgeq.parked p WHERE p.queue = q.id AND p.type = ANY (w.types) OFFSET 0)) AS work,
    (SELECT ${lastDrawn} FROM forgeq.turn) AS drawn,
    ${firstDue('$6')} AS "dueAt",
    EXISTS (SELECT 1 FROM forgeq.worker x WHERE x.left_at IS NULL AND (x.closed OR x.expires_at <= s.now)) AS "isLost",
    (SELECT min(x.expires_at) FROM forgeq.worker x WHERE NOT x.closed AND x.left_at IS NULL) AS "expiryAt",
    (SELECT min(x.lease_ms) FROM forgeq.worker x WHERE NOT x.closed AND x.left_at IS NULL) AS "shortestMs"
  FROM (SELECT forgeq.moment() AS now OFFSET 0) s CROSS JOIN forgeq.worker w CROSS JOIN forgeq.clock c CROSS JOIN forgeq.meta m
  WHERE w.uid = $1`

interface Looked extends Omit<Quiet, 'seenAt'> {
  readonly closed: boolean
  readonly turn: number
  readonly moves: boolean
  readonly ordered: boolean
  readonly work: boolean
  readonly drawn: number
}

/** What may have jobs of the queues that are wanted; those that this process does not know by number yet are read whole. */
const segmentsOf = (
  { heads, names }: QuietMemory,
  { wants }: ExchangeRequest,
): Segments & { readonly queues: readonly string[] } => {
  const all = wants.map(({ queue }) => ({
    queue,
    ...heads.segments(names.queue.find(queue) ?? -1, levels(0, lastLevel)),
  }))
  return {
    queues: all.flatMap(({ queue, first }) => first.map(() => queue)),
    first: all.flatMap(({ first }) => first),
    after: all.flatMap(({ after }) => after),
    last: all.flatMap(({ last }) => last),
  }
}

/** The answer when there is nothing to tell and nothing to give. */
export const quietExchange = async (
  ask: Ask,
  memory: QuietMemory,
  request: ExchangeRequest,
): Promise<ExchangeReply | Closed | undefined> => {
  const { changes, heads } = memory
  const known = heads.drawn
  const { first, after, last, queues } = segmentsOf(memory, request)
  const result = await ask(look, request.worker, queues, first, after, last, heads.later)
  const row = result?.rows[0] as Looked | undefined
  if (row !== undefined) heads.confirm(row.drawn, known)
  if (row === undefined || row.closed || row.ordered || row.work || request.turn <= row.turn) return undefined
  // Where time stands still, what was seen says nothing of a moment later.
  memory.quiet = row.moves && memory.changes === changes ? { ...row, seenAt: performance.now() } : undefined
  const { now, dueAt: nextDueAt } = row
  return { closed: false, verdicts: [], claimed: [], suspects: false, more: false, orders: [], nextDueAt, now }
}

// The worker's next chance, where nobody was away and nobody has an order for it. Against whoever beats or rescues: the guard is
// locked first, as everywhere, and both rows are looked at again once they are.
const extend = /* sql */ `
  WITH guard AS (
    UPDATE forgeq.meta m SET beat_at = greatest(m.beat_at, s.now) FROM (SELECT forgeq.moment() AS now OFFSET 0) s, forgeq.worker w
    WHERE w.uid = $1 AND NOT w.closed AND s.now - m.beat_at <= w.lease_ms RETURNING s.now),
  beaten AS (
    UPDATE forgeq.worker w SET beat_at = g.now, expires_at = g.now + w.lease_ms, facts = coalesce($2, w.facts) FROM guard g
    WHERE w.uid = $1 AND NOT w.closed RETURNING w.id, w.slots, w.facts, g.now)
  SELECT b.now, EXISTS (SELECT 1 FROM forgeq.cancel c WHERE c.worker = b.id OFFSET 0)
      OR coalesce(b.slots <> (b.facts::json ->> 'slots')::integer, false) AS ordered,
    set_config('synchronous_commit', 'off', true)
  FROM beaten b`

export const quietBeat = async (
  ask: Ask,
  memory: QuietMemory,
  worker: string,
  facts: WorkerFacts | null,
  notes: readonly Note[],
): Promise<BeatReply | Closed | undefined> => {
  if (notes.length > 0) return undefined
  const result = await ask(extend, worker, facts === null ? null : JSON.stringify(facts))
  const row = result?.rows[0] as { now: number; ordered: boolean } | undefined
  if (row === undefined || row.ordered) return undefined
  // Who has just written knows that the store is there.
  memory.lookedAt = row.now
  return { closed: false, orders: [], now: row.now }
}

const freshMs = 1_500

/** Store time now, as long as what was seen is fresh. */
const nowBy = ({ quiet }: QuietMemory): number | undefined => {
  const ageMs = quiet === undefined ? Infinity : performance.now() - quiet.seenAt
  return ageMs > freshMs ? undefined : quiet!.now + ageMs
}

const isAhead = (at: number | null, now: number): boolean => at === null || at > now

export const quietPromote = (
  memory: QuietMemory,
): { readonly moved: number; readonly nextDueAt: number | null } | undefined => {
  const now = nowBy(memory)
  const { dueAt = null } = memory.quiet ?? {}
  return now !== undefined && isAhead(dueAt, now) ? { moved: 0, nextDueAt: dueAt } : undefined
}

export const quietLost = (
  memory: QuietMemory,
): { readonly jobs: readonly LostJob[]; readonly nextExpiryAt: number | null } | undefined => {
  const now = nowBy(memory)
  if (now === undefined) return undefined
  const { isLost, expiryAt, guardUntil, shortestMs } = memory.quiet!
  if (isLost || !isAhead(expiryAt, now)) return undefined
  // A store that nobody wrote to for long counts as away.
  if (shortestMs !== null && now - memory.lookedAt > shortestMs / 2) return undefined
  return { jobs: [], nextExpiryAt: expiryAt === null ? null : Math.max(expiryAt, guardUntil) }
}
