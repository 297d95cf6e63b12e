// Where a job is: one of the small trees. Finds it, takes it out, and puts pending jobs back in.
import type { Counters } from '../core/counters.ts'
import { enterLine, leaveLine } from './keys.ts'
import { freshLane, frontLane, laneOf } from '../store/lanes.ts'
import { stateCodes } from '../store/state-codes.ts'
import type { Sql } from './statements.ts'
import type { Turn } from './turn.ts'

/** What identifies a job to the store and where it would sit had it never moved. */
export interface Body {
  readonly seq: number
  readonly id: string
  readonly type: number
  readonly queue: number
  readonly priority: number
  readonly run_at: number
  /** A ready job with a key waits in the line of it. */
  readonly key: string | null
}

export interface Place extends Counters {
  readonly state: number
  readonly tree: 'ready' | 'line' | 'parked' | 'later' | 'running' | 'done'
  /** Key inside the tree: lane and seq in ready, run_at and seq in later. */
  readonly a: number
  readonly b: number
  /** Worker that holds it, and whether it is marked cancelled. */
  readonly worker: number | null
  readonly cancelled: number | null
  readonly started_at: number | null
}

const none = 'NULL AS worker, NULL AS cancelled, NULL AS started_at'
const counters = 'claim, attempt, crashes, settler'

// Ready jobs with a key have a token in ready at most: they themselves are here.
const findInLine = /* sql */ `
  SELECT 'line' AS tree, ${stateCodes.ready} AS state, lane AS a, seq AS b, ${counters}, ${none} FROM forgeq_line WHERE job = ?`
// Each arm is one seek: a job that never moved is where its body says, the others are in the partial indexes.
const findPlace = /* sql */ `
  WITH p (job, queue, lane, run_at) AS (VALUES (?, ?, ?, ?))
  SELECT 'running' AS tree, ${stateCodes.running} AS state, 0 AS a, 0 AS b, ${counters}, worker, cancelled, started_at
    FROM p CROSS JOIN forgeq_running r ON r.job = p.job
  UNION ALL
  SELECT 'done', state, 0, 0, ${counters}, NULL, NULL, started_at FROM p CROSS JOIN forgeq_done d ON d.job = p.job
  UNION ALL
  SELECT 'ready', ${stateCodes.ready}, r.lane, r.seq, ${counters}, ${none}
    FROM p CROSS JOIN forgeq_ready r ON r.queue = p.queue AND r.lane = p.lane AND r.seq = p.job WHERE r.job = p.job AND r.key IS NULL
  UNION ALL
  SELECT 'ready', ${stateCodes.ready}, r.lane, r.seq, ${counters}, ${none}
    FROM p CROSS JOIN forgeq_ready r ON r.job = p.job WHERE r.seq <> r.job AND r.key IS NULL
  UNION ALL
  SELECT 'later', ${stateCodes.scheduled}, l.run_at, l.seq, ${counters}, ${none}
    FROM p CROSS JOIN forgeq_later l ON l.run_at = p.run_at AND l.seq = p.job WHERE l.job = p.job
  UNION ALL
  SELECT 'later', ${stateCodes.scheduled}, l.run_at, l.seq, ${counters}, ${none}
    FROM p CROSS JOIN forgeq_later l ON l.job = p.job WHERE l.seq <> l.job
  UNION ALL
  SELECT 'parked', ${stateCodes.ready}, k.lane, k.seq, ${counters}, ${none} FROM p CROSS JOIN forgeq_parked k ON k.job = p.job
  LIMIT 1`

/** `undefined` only for a job that is being made in this very operation. */
export const placeOf = (db: Sql, body: Body): Place | undefined =>
  (body.key === null ? undefined : (db.sql(findInLine).get(body.seq) as Place | undefined)) ??
  (db.sql(findPlace).get(body.seq, body.queue, laneOf(body.priority, freshLane), body.run_at) as Place | undefined)

const addReady = /* sql */ `
  INSERT INTO forgeq_ready (queue, lane, seq, job, type, at, claim, attempt, crashes, settler) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

/** Makes a job claimable: in the front lane when it was claimed before, else behind the fresh ones. */
export const makeReady = (turn: Turn, body: Omit<Body, 'id' | 'run_at'>, at: Counters): void => {
  const { queue, key } = body
  const lane = laneOf(body.priority, at.claim > 0 ? frontLane : freshLane)
  turn.tally(queue, stateCodes.ready, 1)
  if (key !== null) return enterLine(turn, { ...body, key }, lane, turn.now, at)
  turn
    .sql(addReady)
    .run(queue, lane, turn.nextSeq(), body.seq, body.type, turn.now, at.claim, at.attempt, at.crashes, at.settler)
  turn.hint(`ready:${turn.names.queue.name(body.queue)}`)
}

const addLater = /* sql */ `
  INSERT INTO forgeq_later (run_at, seq, job, claim, attempt, crashes, settler) VALUES (?, ?, ?, ?, ?, ?, ?)`

/** Makes a job due at `runAt`; the sequence number orders jobs due at the same instant. */
export const makeLater = (turn: Turn, body: Pick<Body, 'seq' | 'queue'>, runAt: number, at: Counters): void => {
  turn.sql(addLater).run(runAt, turn.nextSeq(), body.seq, at.claim, at.attempt, at.crashes, at.settler)
  turn.tally(body.queue, stateCodes.scheduled, 1)
  turn.dueAt(runAt)
}

const takeReady = /* sql */ `DELETE FROM forgeq_ready WHERE queue = ? AND lane = ? AND seq = ?`
const takeParked = /* sql */ `DELETE FROM forgeq_parked WHERE job = ?`
const takeLater = /* sql */ `DELETE FROM forgeq_later WHERE run_at = ? AND seq = ?`
const takeRunning = /* sql */ `DELETE FROM forgeq_running WHERE job = ?`
const takeDone = /* sql */ `DELETE FROM forgeq_done WHERE job = ?`

/** Takes a job out of its tree. Its body stays. */
export const takeOut = (turn: Turn, body: Pick<Body, 'seq' | 'queue' | 'key'>, place: Place): void => {
  switch (place.tree) {
    case 'ready':
      turn.sql(takeReady).run(body.queue, place.a, place.b)
      break
    case 'line':
      leaveLine(turn, { queue: body.queue, key: body.key! }, body.seq)
      break
    case 'parked':
      turn.sql(takeParked).run(body.seq)
      break
    case 'later':
      turn.sql(takeLater).run(place.a, place.b)
      break
    case 'running':
      turn.sql(takeRunning).run(body.seq)
      break
    case 'done':
      turn.sql(takeDone).run(body.seq)
      break
  }
  turn.tally(body.queue, place.state, -1)
}
