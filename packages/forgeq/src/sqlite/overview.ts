// Reads what is not a job: queues with their depths, workers, announced types.
import type { State } from '../core/states.ts'
import type { QueueRecord } from '../store/queue-record.ts'
import type { TypeRecord } from '../store/records.ts'
import { typeOf, type TypeRow } from '../store/rows.ts'
import type { WorkerFacts, WorkerRecord } from '../store/worker-record.ts'
import { typesOf } from './lease.ts'
import { fillOf, measuresOf } from '../store/opening.ts'
import type { Reader } from './reader.ts'
import { stateCodes, stateName } from '../store/state-codes.ts'
import { rateFills } from './starts.ts'

const allQueues = /* sql */ `SELECT id, name FROM forgeq_queue ORDER BY name`
const tallies = /* sql */ `SELECT queue, state, n FROM forgeq_tally`
// The head of the next non-empty lane, or of the next parked type: a walk over heads, never over jobs.
const laneHead = /* sql */ `SELECT lane AS k, at FROM forgeq_ready WHERE queue = ? AND lane > ? ORDER BY lane, seq LIMIT 1`
const parkedHead = /* sql */ `SELECT type AS k, at FROM forgeq_parked WHERE queue = ? AND type > ? ORDER BY type, lane, seq LIMIT 1`

const oldestInLine = /* sql */ `SELECT min(at) AS at FROM forgeq_line WHERE queue = ?`

export const queues = (db: Reader): QueueRecord[] => {
  const counts = new Map<number, Record<State, number>>()
  for (const row of db.sql(tallies).all() as { queue: number; state: number; n: number }[]) {
    const of = counts.get(row.queue) ?? noJobs()
    of[stateName(row.state)] = row.n
    counts.set(row.queue, of)
  }
  return (db.sql(allQueues).all() as { id: number; name: string }[]).map((row) => ({
    queue: row.name,
    ...settingsOf(db, row.id),
    counts: counts.get(row.id) ?? noJobs(),
    oldestReadyAt: oldestReadyAt(db, row.id),
  }))
}

const settingsOf = (db: Reader, queue: number): Omit<QueueRecord, 'queue' | 'counts' | 'oldestReadyAt'> => {
  const { isPaused, isAccepting, limits, holds } = db.gate(queue)
  return {
    paused: isPaused,
    accepting: isAccepting,
    limits,
    fill: fillOf(limits, rateFills(db, queue, measuresOf(limits))),
    heldUntil: holds.queue,
    heldTypes: Object.fromEntries([...holds.types].map(([type, until]) => [db.names.type.name(type), until])),
  }
}

const noJobs = (): Record<State, number> => {
  const counts = {} as Record<State, number>
  for (const state of Object.keys(stateCodes) as State[]) counts[state] = 0
  return counts
}

const oldestReadyAt = (db: Reader, queue: number): number | null => {
  let oldest = (db.sql(oldestInLine).get(queue) as { at: number | null }).at
  for (const heads of [laneHead, parkedHead]) {
    let key = -1
    for (;;) {
      const row = db.sql(heads).get(queue, key) as { k: number; at: number } | undefined
      if (row === undefined) break
      oldest = oldest === null ? row.at : Math.min(oldest, row.at)
      key = row.k
    }
  }
  return oldest
}

const presentWorkers = /* sql */ `SELECT * FROM forgeq_worker WHERE left_at IS NULL ORDER BY id`
const holders = /* sql */ `SELECT worker, cancelled, job FROM forgeq_running`
const idOf = /* sql */ `SELECT id FROM forgeq_job WHERE seq = ?`

interface WorkerRow {
  readonly id: number
  readonly uid: string
  readonly host: string
  readonly pid: number
  readonly pid_space: string | null
  readonly version: string
  readonly queues: string
  readonly types: string
  readonly slots: number
  readonly lease_ms: number
  readonly started_at: number
  readonly beat_at: number
  readonly expires_at: number
  readonly closed: number
  readonly facts: string | null
}

export const workers = (db: Reader): WorkerRecord[] => {
  const held = new Map<number, number>()
  const cancelling = new Map<number, string[]>()
  for (const [worker, cancelled, job] of db.tuples(holders).all() as [number, number, number][]) {
    held.set(worker, (held.get(worker) ?? 0) + 1)
    if (cancelled === 0) continue
    const { id } = db.sql(idOf).get(job) as { id: string }
    cancelling.set(worker, [...(cancelling.get(worker) ?? []), id])
  }
  return (db.sql(presentWorkers).all() as WorkerRow[]).map((row) => ({
    id: row.uid,
    host: row.host,
    pid: row.pid,
    pidSpace: row.pid_space,
    version: row.version,
    queues: JSON.parse(row.queues) as string[],
    types: [...typesOf(row.types)].map((type) => db.names.type.name(type)),
    slots: row.slots,
    leaseMs: row.lease_ms,
    startedAt: row.started_at,
    beatAt: row.beat_at,
    expiresAt: row.expires_at,
    closed: row.closed !== 0,
    held: held.get(row.id) ?? 0,
    cancelling: cancelling.get(row.id) ?? [],
    facts: row.facts === null ? null : (JSON.parse(row.facts) as WorkerFacts),
  }))
}

const announced = /* sql */ `SELECT name, queue, priority, policy, schema FROM forgeq_type WHERE announced ORDER BY name`

export const types = (db: Reader, names?: readonly string[]): TypeRecord[] =>
  (db.sql(announced).all() as TypeRow[]).filter((row) => names === undefined || names.includes(row.name)).map(typeOf)
