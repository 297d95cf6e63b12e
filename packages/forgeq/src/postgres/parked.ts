// Jobs set aside by a claim: ready, of a type that the claiming worker does not know or that is held back, and out of the lanes,
// so that no claim meets them again. A worker that may run them puts them before the other lanes of their level.
import { isToPark, runLimit, type Claimer } from '../store/handout.ts'
import { laneOf, levelOf, unparkedLane, type Lanes } from '../store/lanes.ts'
import { exactly, type Batch } from './batch.ts'
import type { Gate } from './gate.ts'
import { inSegment } from './heads.ts'
import { enterLine, putKeysRight } from './keys.ts'
import { putInLane } from './live.ts'
import { rowsAt, rowsOf } from './seek.ts'
import type { Turn } from './turn.ts'

/** The statements that meet all jobs, or only some of them. */
export interface ParkPart {
  readonly parkRun: string
  readonly parked: string
}

export const parkPart = (filter: string): ParkPart => ({
  parkRun: /* sql */ `
  WITH head AS MATERIALIZED (
    SELECT l.* FROM unnest($2::int[], $3::bigint[], $4::int[]) AS s (first, after, last) CROSS JOIN LATERAL (
      SELECT ctid AS place, lane, seq, key IS NOT NULL OR type = ANY ($6::int[]) AS stays FROM forgeq.live
      WHERE queue = $1 AND ${inSegment} AND worker IS NULL ${filter}
      ORDER BY queue, lane, seq LIMIT $5 FOR UPDATE SKIP LOCKED) l LIMIT $5),
  run AS (SELECT place, bool_or(stays) OVER (ROWS UNBOUNDED PRECEDING) AS is_over FROM head),
  gone AS (DELETE FROM forgeq.live WHERE ${rowsOf('SELECT place FROM run WHERE NOT is_over')} RETURNING *)
  INSERT INTO forgeq.parked (queue, type, lane, seq, job, at, claim, attempt, crashes, settler)
  SELECT queue, type, lane, seq, job, at, claim, attempt, crashes, settler FROM gone`,
  parked: /* sql */ `
  SELECT lane, seq, job AS id, type, at, claim, attempt, crashes, settler, key FROM forgeq.parked
  WHERE queue = $1 AND type = $2 AND lane BETWEEN $3 AND $4 ${filter} ORDER BY lane, seq LIMIT $5 FOR UPDATE SKIP LOCKED`,
})

// One step: what leaves the lane is parked.
export const park: Batch = {
  sql: exactly(
    /* sql */ `
  INSERT INTO forgeq.parked (queue, type, lane, seq, job, at, claim, attempt, crashes, settler)
  SELECT queue, type, lane, seq, job, at, claim, attempt, crashes, settler FROM gone`,
    /* sql */ `
  gone AS (DELETE FROM forgeq.live WHERE ${rowsAt('live', { queue: 'int', lane: 'int', seq: 'bigint' })} RETURNING *)`,
  ),
}
const unpark: Batch = { sql: exactly(/* sql */ `DELETE FROM forgeq.parked WHERE job = ANY ($1::uuid[])`) }

interface Parked {
  readonly lane: number
  readonly seq: number
  readonly id: string
  readonly type: number
  readonly at: number
  readonly claim: number
  readonly attempt: number
  readonly crashes: number
  readonly settler: number
  readonly key: string | null
}

/**
 * Parks all that stands before the first job that could be handed out, in one step: many jobs of a kind hold up those behind
 * them no longer than that takes. Answers how many they were.
 */
export const parkRun = (turn: Turn, worker: Claimer, of: ParkPart, gate: Gate, lanes: Lanes): Promise<number> => {
  const fit = [...worker.types].filter((type) => !isToPark(worker, gate.holds, type))
  const { first, after, last } = turn.heads.segments(gate.queue, lanes)
  return turn.run(of.parkRun, gate.queue, first, after, last, runLimit, fit)
}

/** Puts parked jobs that this worker knows before the other lanes of their level, as many as it could take. */
export const unparkKnown = async (
  turn: Turn,
  worker: Claimer,
  of: ParkPart,
  gate: Gate,
  limit: number,
  open: readonly Lanes[],
): Promise<void> => {
  const { queue, holds } = gate
  if (limit <= 0) return
  const rows: Parked[] = []
  for (const type of worker.types) {
    if (holds.types.has(type)) continue
    for (const { from, to } of open) rows.push(...(await turn.all<Parked>(of.parked, queue, type, from, to, limit)))
  }
  rows.sort((a, b) => a.lane - b.lane || a.seq - b.seq)
  const chosen = rows.slice(0, limit)
  await turn.reserve(chosen.length)
  for (const row of chosen) {
    const { id, type, at, key } = row
    const lane = laneOf(levelOf(row.lane), unparkedLane)
    turn.push(unpark, id)
    if (key !== null) enterLine(turn, { queue, key, id, type }, lane, at, row)
    else putInLane(turn, { queue, id, type }, lane, at, row)
  }
  await putKeysRight(turn)
}
