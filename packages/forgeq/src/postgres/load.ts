// Takes in what another store has dumped: jobs with all that is known of them, at the places that they had. A job that is
// there already is compared, never changed. Whoever loads into a queue is alone there.
import { freshLane, laneOf } from '../store/lanes.ts'
import { deadlineOf, lastOrder, verdictOn, workersIn, type Images, type JobImage, type Loaded } from '../store/moved.ts'
import { packPolicy } from '../store/policy-text.ts'
import { stateCodes } from '../store/state-codes.ts'
import { packHold } from '../store/unique-hold.ts'
import { storable } from '../store/storable.ts'
import type { Batch } from './batch.ts'
import { imagesOf } from './dump.ts'
import { addTraces, queuesIn } from './load-traces.ts'
import type { Turn } from './turn.ts'

const known = /* sql */ `SELECT id FROM forgeq.job WHERE id = ANY ($1::uuid[])`
const noteKeys = /* sql */ `UPDATE forgeq.queue SET has_keys = true WHERE id = ANY ($1::int[])`
// What comes later comes after this number. A sequence takes no part in transactions: a load that is undone leaves a gap.
const goPast = /* sql */ `SELECT setval('forgeq.turn', $1::bigint) FROM forgeq.turn WHERE last_value < $1`
// A name that attempts refer to, and nothing else.
const addWorkers = /* sql */ `
  INSERT INTO forgeq.worker (uid, host, pid, version, queues, types, slots, lease_ms, started_at, beat_at, expires_at, closed, left_at)
  SELECT u, '', 0, '', '[]', '{}', 0, 0, $2::bigint, $2::bigint, $2::bigint, true, $2::bigint FROM unnest($1::text[]) AS u
  ON CONFLICT (uid) DO NOTHING`
const workersByUid = /* sql */ `SELECT id, uid FROM forgeq.worker WHERE uid = ANY ($1::text[])`

const addJob: Batch = {
  sql: /* sql */ `
  INSERT INTO forgeq.job (id, seq, type, queue, priority, policy, attempt_base, created_at, run_at, expire_at, tags, uniq, uniq_for, edited,
    key, payload)
  SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::int[], $4::int[], $5::int[], $6::text[], $7::int[], $8::bigint[], $9::bigint[],
    $10::bigint[], $11::text[], $12::text[], $13::bigint[], $14::boolean[], $15::text[], $16::text[])`,
}
const addDeadline: Batch = {
  sql: /* sql */ `INSERT INTO forgeq.deadline (at, job) SELECT * FROM unnest($1::bigint[], $2::uuid[]) ON CONFLICT DO NOTHING`,
}
const addUnique: Batch = {
  sql: /* sql */ `
  INSERT INTO forgeq.uniq (type, key, job) SELECT * FROM unnest($1::int[], $2::text[], $3::uuid[]) ON CONFLICT (type, key) DO NOTHING`,
}
const giveTurn: Batch = {
  sql: /* sql */ `
  INSERT INTO forgeq.key_turn (queue, key, job) SELECT * FROM unnest($1::int[], $2::text[], $3::uuid[]) ON CONFLICT DO NOTHING`,
}
const addAttempt: Batch = {
  sql: /* sql */ `
  INSERT INTO forgeq.attempt (job, claim, attempt, outcome, worker, started_at, ended_at, error)
  SELECT * FROM unnest($1::uuid[], $2::int[], $3::int[], $4::text[], $5::int[], $6::bigint[], $7::bigint[], $8::text[])`,
}
const addProgress: Batch = {
  sql: /* sql */ `INSERT INTO forgeq.progress (job, progress) SELECT * FROM unnest($1::uuid[], $2::text[])`,
}
const addLine: Batch = {
  sql: /* sql */ `
  INSERT INTO forgeq.log (job, n, at, claim, level, message)
  SELECT * FROM unnest($1::uuid[], $2::int[], $3::bigint[], $4::int[], $5::text[], $6::text[])`,
}
const addSize: Batch = {
  sql: /* sql */ `INSERT INTO forgeq.log_size (job, lines, bytes) SELECT * FROM unnest($1::uuid[], $2::int[], $3::int[])`,
}
const spot =
  '$1::int[], $2::int[], $3::bigint[], $4::uuid[], $5::int[], $6::bigint[], $7::int[], $8::int[], $9::int[], $10::text[]'
const addReady: Batch = {
  sql: /* sql */ `
  INSERT INTO forgeq.live (queue, lane, seq, job, type, at, claim, attempt, crashes, key, moved, settler)
  SELECT r.*, 0 FROM unnest(${spot}, $11::boolean[]) AS r`,
}
const addToLine: Batch = {
  sql: /* sql */ `
  INSERT INTO forgeq.line (queue, lane, seq, job, type, at, claim, attempt, crashes, key, moved, settler)
  SELECT r.*, 0 FROM unnest(${spot}, $11::boolean[]) AS r`,
}
const addParked: Batch = {
  sql: /* sql */ `
  INSERT INTO forgeq.parked (queue, lane, seq, job, type, at, claim, attempt, crashes, key, settler)
  SELECT r.*, 0 FROM unnest(${spot}) AS r`,
}
const addLater: Batch = {
  sql: /* sql */ `
  INSERT INTO forgeq.later (run_at, seq, job, queue, claim, attempt, crashes, settler)
  SELECT r.*, 0 FROM unnest($1::bigint[], $2::bigint[], $3::uuid[], $4::int[], $5::int[], $6::int[], $7::int[]) AS r`,
}
const addDone: Batch = {
  sql: /* sql */ `
  INSERT INTO forgeq.done (job, state, claim, attempt, crashes, settler, started_at, finished_at, result_until, expires_at, reason, result)
  SELECT * FROM unnest($1::uuid[], $2::int[], $3::int[], $4::int[], $5::int[], $6::int[], $7::bigint[], $8::bigint[], $9::bigint[],
    $10::bigint[], $11::text[], $12::text[])`,
}

export const load = async (turn: Turn, images: Images): Promise<readonly Loaded[]> => {
  const { jobs, traces } = images
  await turn.gates.enter(new Map(queuesIn(images).map((name) => [turn.names.queue.id(name), true])))
  const ids = jobs.map(({ id }) => id)
  const there = new Set((await turn.all<{ id: string }>(known, ids)).map(({ id }) => id))
  const verdicts = await compare(turn, jobs, there)
  const fresh = jobs.filter(({ id }) => !there.has(id))
  if (fresh.length > 0) await addJobs(turn, fresh)
  await addTraces(turn, traces)
  return verdicts
}

const compare = async (turn: Turn, jobs: readonly JobImage[], there: ReadonlySet<string>): Promise<Loaded[]> => {
  const images = await imagesOf(turn, [...there])
  return jobs.map((job) => (there.has(job.id) ? verdictOn(images.get(job.id), job) : 'loaded'))
}

const addJobs = async (turn: Turn, jobs: readonly JobImage[]): Promise<void> => {
  turn.heads.forget()
  await turn.all(goPast, Math.max(...jobs.map(lastOrder)))
  const keyed = jobs.filter(({ key }) => key !== null).map(({ policy }) => turn.names.queue.id(policy.queue))
  if (keyed.length > 0) await turn.run(noteKeys, [...new Set(keyed)])
  const uids = [...new Set(jobs.flatMap(workersIn))]
  if (uids.length > 0) await turn.run(addWorkers, uids, turn.now)
  const rows = uids.length === 0 ? [] : await turn.all<{ id: number; uid: string }>(workersByUid, uids)
  const workers = new Map(rows.map(({ id, uid }) => [uid, id]))
  for (const job of jobs) {
    addBody(turn, job)
    addPast(turn, job, workers)
    addPlace(turn, job, workers)
  }
}

const addBody = (turn: Turn, job: JobImage): void => {
  const { id, arrival, policy, unique, tags, key, createdAt, runAt, expireAt, edited, payload } = job
  const [type, queue] = [turn.names.type.id(job.type), turn.names.queue.id(policy.queue)]
  const packed = packPolicy(policy)
  const dates = [createdAt, runAt, expireAt]
  const words = tags.length === 0 ? null : JSON.stringify(tags)
  const [uniq, heldFor] = unique === null ? [null, null] : [unique.key, packHold(unique)]
  const about = [words, uniq, heldFor, edited, key, payload]
  turn.push(addJob, id, arrival, type, queue, policy.priority, packed, job.attemptBase, ...dates, ...about)
  if (uniq !== null && job.holdsUnique) turn.push(addUnique, type, uniq, id)
  if (key !== null && job.hasTurn) turn.push(giveTurn, queue, key, id)
  const deadline = deadlineOf(job)
  if (deadline === null) return
  turn.push(addDeadline, deadline, id)
  turn.dueAt(deadline)
}

type Numbers = ReadonlyMap<string, number>

const addPast = (turn: Turn, { id, attempts, progress, logs }: JobImage, workers: Numbers): void => {
  for (const { claim, attempt, outcome, worker, startedAt, endedAt, error } of attempts) {
    const text = error === null ? null : JSON.stringify(error)
    turn.push(addAttempt, id, claim, attempt, outcome, workers.get(worker) ?? 0, startedAt, endedAt, text)
  }
  if (progress !== null) turn.push(addProgress, id, JSON.stringify(progress))
  if (logs.length === 0) return
  let bytes = 0
  for (const [i, { at, claim, level, message }] of logs.entries()) {
    bytes += Buffer.byteLength(message)
    turn.push(addLine, id, i + 1, at, claim, level, storable(message))
  }
  turn.push(addSize, id, logs.length, bytes)
}

const addPlace = (turn: Turn, job: JobImage, workers: Numbers): void => {
  const { id, key, place, claim, attempt, crashes, policy } = job
  const [type, queue] = [turn.names.type.id(job.type), turn.names.queue.id(policy.queue)]
  turn.tally(queue, stateCodes[place.state], 1)
  switch (place.state) {
    case 'scheduled':
      turn.push(addLater, place.dueAt, place.order, id, queue, claim, attempt, crashes)
      turn.dueAt(place.dueAt)
      break
    case 'ready': {
      const lane = laneOf(policy.priority, place.kind)
      const fresh = laneOf(policy.priority, freshLane)
      const rest = [id, type, place.readyAt, claim, attempt, crashes, key]
      const moved = place.order !== job.arrival || lane !== fresh
      if (place.parked) turn.push(addParked, queue, lane, place.order, ...rest)
      else turn.push(key === null ? addReady : addToLine, queue, lane, place.order, ...rest, moved)
      if (place.token !== null) turn.push(addReady, queue, fresh, place.token, ...rest, true)
      turn.hint(`ready:${policy.queue}`)
      break
    }
    case 'completed':
    case 'dead':
    case 'cancelled': {
      const settler = workers.get(place.worker ?? '') ?? 0
      const { startedAt, finishedAt, resultUntil, expiresAt, reason, result } = place
      const counters = [claim, attempt, crashes, settler]
      const dates = [startedAt, finishedAt, resultUntil, expiresAt]
      turn.push(addDone, id, stateCodes[place.state], ...counters, ...dates, reason, result)
      turn.expireAt(id, expiresAt)
    }
  }
}
