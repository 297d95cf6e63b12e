// Jobs set aside by a claim: ready, of a type that the claiming worker does not know or that is held back, and out of the lanes,
// so that no claim meets them again. A worker that may run them puts them before the other lanes of their level.
import { isToPark, runLimit, type Claimer } from '../store/handout.ts'
import { laneOf, levelOf, unparkedLane, type Lanes } from '../store/lanes.ts'
import type { Gate } from '../store/opening.ts'
import { enterLine, putKeysRight } from './keys.ts'
import type { Turn } from './turn.ts'

/** The statements that meet all jobs, or only some of them. */
export interface ParkPart {
  readonly types: string
  readonly park: string
  readonly take: string
  readonly parked: string
}

export const parkPart = (filter: string, index?: string): ParkPart => ({
  types: /* sql */ `
  SELECT r.lane, r.seq, r.type, r.key FROM forgeq_ready r ${index ? `INDEXED BY forgeq_ready_${index}` : ''}
  WHERE r.queue = ? AND r.lane BETWEEN ? AND ? ${filter} ORDER BY r.lane, r.seq LIMIT ?`,
  park: /* sql */ `
  INSERT INTO forgeq_parked (queue, type, lane, seq, job, at, claim, attempt, crashes, settler, key)
  SELECT queue, type, lane, seq, job, at, claim, attempt, crashes, settler, key
  FROM forgeq_ready r ${index ? `INDEXED BY forgeq_ready_${index}` : ''} WHERE queue = ? AND lane = ? AND seq <= ? ${filter}`,
  take: /* sql */ `
  DELETE FROM forgeq_ready AS r ${index ? `INDEXED BY forgeq_ready_${index}` : ''}
  WHERE queue = ? AND lane = ? AND seq <= ? ${filter}`,
  parked: /* sql */ `
  SELECT lane, seq, job, type, at, claim, attempt, crashes, settler, key
  FROM forgeq_parked r ${index ? `INDEXED BY forgeq_parked_${index}` : ''}
  WHERE queue = ? AND type = ? AND lane BETWEEN ? AND ? ${filter} ORDER BY lane, seq LIMIT ?`,
})

const park = /* sql */ `
  INSERT INTO forgeq_parked (queue, type, lane, seq, job, at, claim, attempt, crashes, settler, key)
  SELECT queue, type, lane, seq, job, at, claim, attempt, crashes, settler, key FROM forgeq_ready
  WHERE queue = ? AND lane = ? AND seq = ?`
const anyParked = /* sql */ `SELECT 1 FROM forgeq_parked WHERE queue = ? LIMIT 1`
const unpark = /* sql */ `DELETE FROM forgeq_parked WHERE job = ?`
const addReady = /* sql */ `
  INSERT INTO forgeq_ready (queue, lane, seq, job, type, at, claim, attempt, crashes, settler) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

type Head = readonly [lane: number, seq: number, type: number, key: string | null]

interface Parked {
  readonly lane: number
  readonly seq: number
  readonly job: number
  readonly type: number
  readonly at: number
  readonly claim: number
  readonly attempt: number
  readonly crashes: number
  readonly settler: number
  readonly key: string | null
}

export const parkOne = (turn: Turn, queue: number, lane: number, seq: number): void => {
  turn.sql(park).run(queue, lane, seq)
}

/**
 * Parks all that stands before the first job that could be handed out, in one step: many jobs of a kind hold up those behind
 * them no longer than that takes. Answers how many they were.
 */
export const parkRun = (turn: Turn, worker: Claimer, of: ParkPart, gate: Gate, { from, to }: Lanes): number => {
  const { queue } = gate
  const heads = turn.tuples(of.types).all(queue, from, to, runLimit) as Head[]
  const end = heads.findIndex(([, , type, key]) => key !== null || !isToPark(worker, gate.holds, type))
  const run = end === -1 ? heads : heads.slice(0, end)
  for (const [i, [lane, seq]] of run.entries()) {
    if (run[i + 1]?.[0] === lane) continue
    turn.sql(of.park).run(queue, lane, seq)
    turn.sql(of.take).run(queue, lane, seq)
  }
  return run.length
}

/** Puts parked jobs that this worker knows before the other lanes of their level, as many as it could take. */
export const unparkKnown = (
  turn: Turn,
  worker: Claimer,
  of: ParkPart,
  gate: Gate,
  limit: number,
  open: readonly Lanes[],
): void => {
  const { queue, holds } = gate
  if (limit <= 0 || turn.sql(anyParked).get(queue) === undefined) return
  const rows: Parked[] = []
  for (const type of worker.types) {
    if (holds.types.has(type)) continue
    for (const { from, to } of open) rows.push(...(turn.sql(of.parked).all(queue, type, from, to, limit) as Parked[]))
  }
  rows.sort((a, b) => a.lane - b.lane || a.seq - b.seq)
  for (const row of rows.slice(0, limit)) {
    const { job, type, at, key } = row
    const lane = laneOf(levelOf(row.lane), unparkedLane)
    turn.sql(unpark).run(job)
    if (key !== null) enterLine(turn, { queue, key, seq: job, type }, lane, at, row)
    else
      turn
        .sql(addReady)
        .run(queue, lane, turn.nextSeq(), job, type, at, row.claim, row.attempt, row.crashes, row.settler)
  }
  putKeysRight(turn)
}
