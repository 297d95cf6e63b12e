// Where jobs are: in live, in a line, parked, later or done. Finds them, takes them out, and puts pending jobs back in.
import type { Counters } from '../core/counters.ts'
import { freshLane, frontLane, laneOf } from '../store/lanes.ts'
import { stateCodes } from '../store/state-codes.ts'
import { exactly, type Batch } from './batch.ts'
import { endHeld } from './held.ts'
import { enterLine, leaveLine } from './keys.ts'
import { putInLane, takeLive } from './live.ts'
import { rowOf } from './seek.ts'
import type { Turn } from './turn.ts'

/** A job without its payload, which may be a thousand times as long as the rest. */
export interface Body {
  readonly id: string
  readonly type: number
  readonly queue: number
  readonly priority: number
  readonly run_at: number
  readonly created_at: number
  readonly expire_at: number | null
  readonly policy: string | null
  readonly attempt_base: number
  readonly tags: string | null
  readonly uniq: string | null
  readonly uniq_for: number | null
  /** A ready job with a key waits in the line of it. */
  readonly key: string | null
}

export interface Place extends Counters {
  readonly tree: 'ready' | 'line' | 'parked' | 'later' | 'running' | 'done'
  readonly state: number
  /** Key inside the tree: lane and seq, or run_at and seq. */
  readonly a: number
  readonly b: number
  /** Worker that holds it, in which turn it got it, and whether the job is marked cancelled. */
  readonly worker: number | null
  readonly turn: number | null
  readonly cancelled: boolean
  readonly started_at: number | null
}

export type Placed = Body & Place

export const bodyColumns = `j.id, j.type, j.queue, j.priority, j.run_at, j.created_at, j.expire_at, j.policy, j.attempt_base, j.tags,
  j.uniq, j.uniq_for, j.key`
export const placeColumns = `p.tree, p.state, p.a, p.b, p.claim, p.attempt, p.crashes, p.settler, p.worker, p.turn, p.cancelled,
  p.started_at`

const counters = 'claim, attempt, crashes, settler'
const none = 'NULL::int AS worker, NULL::bigint AS turn, false AS cancelled, NULL::bigint AS started_at'
// A row of live that has a key and no worker is a token: the job itself is in line.
const inLive = `
  SELECT CASE WHEN worker IS NULL THEN 'ready' ELSE 'running' END AS tree,
    CASE WHEN worker IS NULL THEN ${stateCodes.ready} ELSE ${stateCodes.running} END AS state,
    lane AS a, seq AS b, ${counters}, worker, turn, cancelled, started_at FROM forgeq.live l`
const isJob = '(l.worker IS NOT NULL OR l.key IS NULL)'

/** Where the job of a row \`j\` is. Each arm is one seek: a job that never moved is where its body says. */
export const placeOfJob: string = `LATERAL (
  ${inLive} WHERE l.queue = j.queue AND l.lane = j.priority * 4 + ${freshLane} AND l.seq = j.seq AND l.job = j.id AND NOT l.moved
    AND ${isJob}
  UNION ALL ${inLive} WHERE l.moved AND l.job = j.id AND ${isJob}
  UNION ALL SELECT 'done', state, 0, 0, ${counters}, NULL, NULL, false, started_at FROM forgeq.done d WHERE d.job = j.id
  UNION ALL SELECT 'line', ${stateCodes.ready}, lane, seq, ${counters}, ${none} FROM forgeq.line i WHERE i.job = j.id
  UNION ALL SELECT 'later', ${stateCodes.scheduled}, run_at, seq, ${counters}, ${none} FROM forgeq.later t WHERE t.job = j.id
  UNION ALL SELECT 'parked', ${stateCodes.ready}, lane, seq, ${counters}, ${none} FROM forgeq.parked k WHERE k.job = j.id
  LIMIT 1) p`

const find = /* sql */ `
  SELECT ${bodyColumns}, ${placeColumns} FROM unnest($1::uuid[]) WITH ORDINALITY AS e (id, n)
    CROSS JOIN ${rowOf('job', 'j', 'id = e.id')} CROSS JOIN ${placeOfJob} ORDER BY e.n`

/** Jobs where they are now, by id; unknown ones are left out. */
export const placesOf = async (turn: Turn, ids: readonly string[]): Promise<ReadonlyMap<string, Placed>> =>
  new Map((await turn.all<Placed>(find, ids)).map((row) => [row.id, row]))

/** The same for jobs that are about to be changed: nobody else works on their queues any more. */
export const placesAlone = async (turn: Turn, ids: readonly string[]): Promise<ReadonlyMap<string, Placed>> => {
  const before = await placesOf(turn, ids)
  if (before.size === 0) return before
  await turn.gates.enter(new Map([...before.values()].map(({ queue }) => [queue, true])))
  const places = await placesOf(turn, ids)
  // One may have moved to another queue meanwhile.
  await turn.gates.enter(new Map([...places.values()].map(({ queue }) => [queue, true])))
  return places
}

export interface Job {
  readonly id: string
  readonly type: number
  readonly queue: number
  readonly priority: number
  readonly key: string | null
}

/** Makes a job claimable: in the front lane when it was claimed before, else behind the fresh ones. */
export const makeReady = (turn: Turn, job: Job, at: Counters): void => {
  const { queue, key } = job
  const lane = laneOf(job.priority, at.claim > 0 ? frontLane : freshLane)
  turn.tally(queue, stateCodes.ready, 1)
  if (key !== null) return enterLine(turn, { ...job, key }, lane, turn.now, at)
  putInLane(turn, job, lane, turn.now, at)
  turn.hint(`ready:${turn.names.queue.name(queue)}`)
}

const addLater: Batch = {
  sql: /* sql */ `
  INSERT INTO forgeq.later (run_at, seq, job, queue, claim, attempt, crashes, settler)
  SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::uuid[], $4::int[], $5::int[], $6::int[], $7::int[], $8::int[])`,
}

/** Makes a job due at `runAt`; the sequence number orders jobs due at the same instant. */
export const makeLater = (turn: Turn, job: Pick<Job, 'id' | 'queue'>, runAt: number, at: Counters): void => {
  turn.push(addLater, runAt, turn.nextSeq(), job.id, job.queue, at.claim, at.attempt, at.crashes, at.settler)
  turn.tally(job.queue, stateCodes.scheduled, 1)
  turn.dueAt(runAt)
}

const takeParked: Batch = { sql: exactly(/* sql */ `DELETE FROM forgeq.parked WHERE job = ANY ($1::uuid[])`) }
const takeLater: Batch = { sql: exactly(/* sql */ `DELETE FROM forgeq.later WHERE job = ANY ($1::uuid[])`) }
const takeDone: Batch = { sql: exactly(/* sql */ `DELETE FROM forgeq.done WHERE job = ANY ($1::uuid[])`) }

/** Takes a job out of its tree. Its body stays. */
export const takeOut = (turn: Turn, job: Pick<Placed, 'id' | 'queue' | 'key' | keyof Place>): void => {
  switch (job.tree) {
    case 'ready':
      turn.push(takeLive, job.queue, job.a, job.b)
      break
    case 'running':
      turn.push(takeLive, job.queue, job.a, job.b)
      endHeld(turn, job.worker!, job.turn!, job.queue)
      break
    case 'line':
      leaveLine(turn, { queue: job.queue, key: job.key! }, job.id)
      break
    case 'parked':
      turn.push(takeParked, job.id)
      break
    case 'later':
      turn.push(takeLater, job.id)
      break
    case 'done':
      turn.push(takeDone, job.id)
      break
  }
  turn.tally(job.queue, job.state, -1)
}
