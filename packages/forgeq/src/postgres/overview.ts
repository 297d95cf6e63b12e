// Reads what is not a job: queues with their depths, workers, announced types.
import type { State } from '../core/states.ts'
import { fillOf, measuresOf } from '../store/opening.ts'
import type { QueueRecord } from '../store/queue-record.ts'
import type { TypeRecord } from '../store/records.ts'
import { typeOf, type TypeRow } from '../store/rows.ts'
import type { WorkerFacts, WorkerRecord } from '../store/worker-record.ts'
import { stateCodes, stateName } from '../store/state-codes.ts'
import { rateFills } from './starts.ts'
import type { Turn } from './turn.ts'

// The head of the next non-empty lane, or of the next parked type: a walk over heads, never over jobs.
const allQueues = /* sql */ `
  SELECT q.id, q.name, least((SELECT min(at) FROM forgeq.line i WHERE i.queue = q.id),
    (WITH RECURSIVE heads AS (
      (SELECT lane, at FROM forgeq.live l WHERE l.queue = q.id AND l.worker IS NULL ORDER BY lane, seq LIMIT 1)
      UNION ALL
      SELECT n.lane, n.at FROM heads h CROSS JOIN LATERAL (
        SELECT lane, at FROM forgeq.live l WHERE l.queue = q.id AND l.lane > h.lane AND l.worker IS NULL ORDER BY lane, seq LIMIT 1) n)
    SELECT min(at) FROM heads),
    (WITH RECURSIVE heads AS (
      (SELECT type, at FROM forgeq.parked p WHERE p.queue = q.id ORDER BY type, lane, seq LIMIT 1)
      UNION ALL
      SELECT n.type, n.at FROM heads h CROSS JOIN LATERAL (
        SELECT type, at FROM forgeq.parked p WHERE p.queue = q.id AND p.type > h.type ORDER BY type, lane, seq LIMIT 1) n)
    SELECT min(at) FROM heads)) AS oldest
  FROM forgeq.queue q ORDER BY q.name COLLATE "C"`
const tallies = /* sql */ `SELECT queue, state, sum(n)::bigint AS n FROM forgeq.tally GROUP BY queue, state`
const typeNames = /* sql */ `SELECT id, name FROM forgeq.type WHERE id = ANY ($1::int[])`

export const queues = async (turn: Turn): Promise<QueueRecord[]> => {
  const counts = new Map<number, Record<State, number>>()
  for (const row of await turn.all<{ queue: number; state: number; n: number }>(tallies)) {
    const of = counts.get(row.queue) ?? noJobs()
    of[stateName(row.state)] = row.n
    counts.set(row.queue, of)
  }
  const records: QueueRecord[] = []
  for (const row of await turn.all<{ id: number; name: string; oldest: number | null }>(allQueues)) {
    const settings = await settingsOf(turn, row.id)
    const of = counts.get(row.id) ?? noJobs()
    records.push({ queue: row.name, ...settings, counts: of, oldestReadyAt: row.oldest })
  }
  return records
}

const settingsOf = async (
  turn: Turn,
  queue: number,
): Promise<Omit<QueueRecord, 'queue' | 'counts' | 'oldestReadyAt'>> => {
  const { isPaused, isAccepting, limits, holds } = await turn.gates.of(queue)
  return {
    paused: isPaused,
    accepting: isAccepting,
    limits,
    fill: fillOf(limits, await rateFills(turn, queue, measuresOf(limits))),
    heldUntil: holds.queue,
    heldTypes: await heldTypes(turn, holds.types),
  }
}

const heldTypes = async (turn: Turn, held: ReadonlyMap<number, number>): Promise<Record<string, number>> => {
  if (held.size === 0) return {}
  const rows = await turn.all<{ id: number; name: string }>(typeNames, [...held.keys()])
  return Object.fromEntries(rows.map(({ id, name }) => [name, held.get(id)!]))
}

const noJobs = (): Record<State, number> => {
  const counts = {} as Record<State, number>
  for (const state of Object.keys(stateCodes) as State[]) counts[state] = 0
  return counts
}

const presentWorkers = /* sql */ `
  SELECT w.*, coalesce((SELECT sum(open) FROM forgeq.held h WHERE h.worker = w.id), 0)::integer AS held,
    ARRAY(SELECT t.name FROM unnest(w.types) WITH ORDINALITY AS k (id, n) JOIN forgeq.type t ON t.id = k.id ORDER BY k.n) AS names,
    ARRAY(SELECT c.job::text FROM forgeq.cancel c WHERE c.worker = w.id ORDER BY c.job) AS cancelling
  FROM forgeq.worker w WHERE left_at IS NULL ORDER BY w.id`

interface WorkerRow {
  readonly uid: string
  readonly host: string
  readonly pid: number
  readonly pid_space: string | null
  readonly version: string
  readonly queues: string
  readonly names: readonly string[]
  readonly slots: number
  readonly lease_ms: number
  readonly started_at: number
  readonly beat_at: number
  readonly expires_at: number
  readonly closed: boolean
  readonly held: number
  readonly cancelling: readonly string[]
  readonly facts: string | null
}

export const workers = async (turn: Turn): Promise<WorkerRecord[]> =>
  (await turn.all<WorkerRow>(presentWorkers)).map((row) => ({
    id: row.uid,
    host: row.host,
    pid: row.pid,
    pidSpace: row.pid_space,
    version: row.version,
    queues: JSON.parse(row.queues) as string[],
    types: row.names,
    slots: row.slots,
    leaseMs: row.lease_ms,
    startedAt: row.started_at,
    beatAt: row.beat_at,
    expiresAt: row.expires_at,
    closed: row.closed,
    held: row.held,
    cancelling: row.cancelling,
    facts: row.facts === null ? null : (JSON.parse(row.facts) as WorkerFacts),
  }))

const announced = /* sql */ `
  SELECT name, queue, priority, policy, schema FROM forgeq.type
  WHERE announced AND ($1::text[] IS NULL OR name = ANY ($1::text[])) ORDER BY name COLLATE "C"`

export const types = async (turn: Turn, names?: readonly string[]): Promise<TypeRecord[]> =>
  (await turn.all<TypeRow>(announced, names ?? null)).map(typeOf)
