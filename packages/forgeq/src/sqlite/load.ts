// Takes in what another store has dumped: jobs with all that is known of them, at the places that they had. A job that is
// there already is compared, never changed.
import { packPolicy } from '../store/policy-text.ts'
import {
  deadlineOf,
  lastOrder,
  verdictOn,
  workersIn,
  type Images,
  type JobImage,
  type Loaded,
  type Trace,
} from '../store/moved.ts'
import { freshLane, laneOf } from '../store/lanes.ts'
import { stateCodes } from '../store/state-codes.ts'
import { packHold } from '../store/unique-hold.ts'
import { storable } from '../store/storable.ts'
import { imageById } from './dump.ts'
import { announce } from './lease.ts'
import type { Turn } from './turn.ts'

// The test for the id and the insert are one step.
const addJob = /* sql */ `
  INSERT INTO forgeq_job (seq, id, type, queue, priority, policy, attempt_base, created_at, run_at, expire_at, tags, uniq, uniq_for,
    edited, key, payload)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`
const addDeadline = /* sql */ `INSERT INTO forgeq_deadline (at, job) VALUES (?, ?) ON CONFLICT DO NOTHING`
const addReady = /* sql */ `
  INSERT INTO forgeq_ready (queue, lane, seq, job, type, at, claim, attempt, crashes, settler, key) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?)`
const addToLine = /* sql */ `
  INSERT INTO forgeq_line (queue, lane, seq, job, type, at, claim, attempt, crashes, settler, key) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?)`
const addParked = /* sql */ `
  INSERT INTO forgeq_parked (queue, lane, seq, job, type, at, claim, attempt, crashes, settler, key) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?)`
const addLater = /* sql */ `
  INSERT INTO forgeq_later (run_at, seq, job, claim, attempt, crashes, settler) VALUES (?, ?, ?, ?, ?, ?, 0)`
const addDone = /* sql */ `
  INSERT INTO forgeq_done (job, state, claim, attempt, crashes, settler, started_at, finished_at, result_until, expires_at, reason, result)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
const addUnique = /* sql */ `
  INSERT INTO forgeq_uniq (type, key, job, until, id) VALUES (?, ?, ?, ?, ?) ON CONFLICT (type, key) DO NOTHING`
const giveTurn = /* sql */ `INSERT INTO forgeq_key_turn (queue, key, job) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`
const addAttempt = /* sql */ `
  INSERT INTO forgeq_attempt (job, claim, attempt, outcome, worker, started_at, ended_at, error) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`
const addProgress = /* sql */ `INSERT INTO forgeq_progress (job, progress) VALUES (?, ?)`
const addLine = /* sql */ `INSERT INTO forgeq_log (job, n, at, claim, level, message) VALUES (?, ?, ?, ?, ?, ?)`
const addSize = /* sql */ `INSERT INTO forgeq_log_size (job, lines, bytes) VALUES (?, ?, ?)`
// A name that attempts refer to, and nothing else.
const addWorker = /* sql */ `
  INSERT INTO forgeq_worker (uid, host, pid, version, queues, types, slots, lease_ms, started_at, beat_at, expires_at, closed, left_at)
  VALUES (?1, '', 0, '', '[]', '[]', 0, 0, ?2, ?2, ?2, 1, ?2) ON CONFLICT (uid) DO NOTHING`
const workerByUid = /* sql */ `SELECT id FROM forgeq_worker WHERE uid = ?`

export const load = (turn: Turn, { jobs, traces }: Images): readonly Loaded[] => {
  const workers = new Map<string, number>()
  for (const uid of new Set(jobs.flatMap(workersIn))) {
    turn.sql(addWorker).run(uid, turn.now)
    workers.set(uid, (turn.sql(workerByUid).get(uid) as { id: number }).id)
  }
  const verdicts = jobs.map((job): Loaded => {
    const { id, arrival } = job
    turn.goPast(lastOrder(job))
    if (!addBody(turn, job)) return verdictOn(imageById(turn, id), job)
    addPast(turn, arrival, job, workers)
    addPlace(turn, job, workers)
    return 'loaded'
  })
  for (const trace of traces) addTrace(turn, trace)
  return verdicts
}

/** False when there is a job with its id. */
const addBody = (turn: Turn, job: JobImage): boolean => {
  const { id, arrival, policy, unique, tags, key } = job
  const [type, queue] = [turn.names.type.id(job.type), turn.names.queue.id(policy.queue)]
  const { changes } = turn
    .sql(addJob)
    .run(
      arrival,
      id,
      type,
      queue,
      policy.priority,
      packPolicy(policy),
      job.attemptBase,
      job.createdAt,
      job.runAt,
      job.expireAt,
      tags.length === 0 ? null : JSON.stringify(tags),
      unique?.key ?? null,
      unique === null ? null : packHold(unique),
      Number(job.edited),
      key,
      job.payload,
    )
  if (Number(changes) === 0) return false
  if (unique !== null && job.holdsUnique) turn.sql(addUnique).run(type, unique.key, arrival, null, null)
  if (key !== null && job.hasTurn) turn.sql(giveTurn).run(queue, key, arrival)
  const deadline = deadlineOf(job)
  if (deadline !== null) {
    turn.sql(addDeadline).run(deadline, arrival)
    turn.dueAt(deadline)
  }
  return true
}

type Numbers = ReadonlyMap<string, number>

const addPast = (turn: Turn, seq: number, { attempts, progress, logs }: JobImage, workers: Numbers): void => {
  for (const { claim, attempt, outcome, worker, startedAt, endedAt, error } of attempts) {
    const text = error === null ? null : JSON.stringify(error)
    turn.sql(addAttempt).run(seq, claim, attempt, outcome, workers.get(worker) ?? 0, startedAt, endedAt, text)
  }
  if (progress !== null) turn.sql(addProgress).run(seq, JSON.stringify(progress))
  if (logs.length === 0) return
  let bytes = 0
  for (const [i, { at, claim, level, message }] of logs.entries()) {
    bytes += Buffer.byteLength(message)
    turn.sql(addLine).run(seq, i + 1, at, claim, level, storable(message))
  }
  turn.sql(addSize).run(seq, logs.length, bytes)
}

const addPlace = (turn: Turn, job: JobImage, workers: Numbers): void => {
  const { arrival: seq, key, place, claim, attempt, crashes, policy } = job
  const [type, queue] = [turn.names.type.id(job.type), turn.names.queue.id(policy.queue)]
  turn.tally(queue, stateCodes[place.state], 1)
  switch (place.state) {
    case 'scheduled':
      turn.sql(addLater).run(place.dueAt, place.order, seq, claim, attempt, crashes)
      turn.dueAt(place.dueAt)
      break
    case 'ready': {
      const lane = laneOf(policy.priority, place.kind)
      const add = place.parked ? addParked : key === null ? addReady : addToLine
      const rest = [seq, type, place.readyAt, claim, attempt, crashes, key] as const
      turn.sql(add).run(queue, lane, place.order, ...rest)
      if (place.token !== null) turn.sql(addReady).run(queue, laneOf(policy.priority, freshLane), place.token, ...rest)
      turn.hint(`ready:${policy.queue}`)
      break
    }
    case 'completed':
    case 'dead':
    case 'cancelled': {
      const settler = workers.get(place.worker ?? '') ?? 0
      const dates = [place.startedAt, place.finishedAt, place.resultUntil, place.expiresAt] as const
      const state = stateCodes[place.state]
      turn.sql(addDone).run(seq, state, claim, attempt, crashes, settler, ...dates, place.reason, place.result)
      turn.expireAt(seq, place.expiresAt)
    }
  }
}

const seqOf = /* sql */ `SELECT seq FROM forgeq_job WHERE id = ?`
const addReplacement = /* sql */ `
  INSERT INTO forgeq_replacement (id, type, holder, expires_at) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`
const setHold = /* sql */ `
  INSERT INTO forgeq_hold (queue, what, until) VALUES (?, ?, ?) ON CONFLICT (queue, what) DO UPDATE SET until = excluded.until`
const setAlarm = /* sql */ `
  INSERT INTO forgeq_alarm (queue, what, at) VALUES (?, ?, ?) ON CONFLICT (queue, what) DO UPDATE SET at = excluded.at`
const setStarts = /* sql */ `
  INSERT INTO forgeq_start (queue, what, at, n, total, until) VALUES (?, ?, ?, ?, ?, ?)
  ON CONFLICT (queue, what, at) DO UPDATE SET n = excluded.n, total = excluded.total, until = excluded.until`

const addTrace = (turn: Turn, trace: Trace): void => {
  const { type: types, queue: queues } = turn.names
  const where = ({ queue, on }: { readonly queue: string; readonly on: string }): [number, string] => [
    queues.id(queue),
    on.startsWith('t') ? `t${types.id(on.slice(1))}` : on,
  ]
  switch (trace.trace) {
    case 'type':
      announce(turn, [trace.record])
      break
    case 'unique': {
      const { type, key, job, until } = trace
      // No job has the number 0: that of a job that is gone.
      const { seq } = (turn.sql(seqOf).get(job) as { seq: number } | undefined) ?? { seq: 0 }
      turn.sql(addUnique).run(types.id(type), key, seq, until, job)
      break
    }
    case 'replacement':
      turn.sql(addReplacement).run(trace.id, types.id(trace.type), trace.holder, trace.expiresAt)
      break
    case 'hold': {
      const [queue, what] = where(trace)
      turn.sql(setHold).run(queue, what, trace.until)
      turn.forgetGate(queue)
      break
    }
    case 'alarm':
      turn.sql(setAlarm).run(...where(trace), trace.at)
      turn.dueAt(trace.at)
      break
    case 'starts':
      turn.sql(setStarts).run(...where(trace), trace.at, trace.n, trace.total, trace.until)
  }
}
