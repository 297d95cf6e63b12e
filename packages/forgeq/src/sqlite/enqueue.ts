// Stores new jobs: bodies one by one (ids and unique keys decide), places by one statement for the whole batch.
import { batchRefused, idTaken, isTimely, Refused, shutOut, takesAll, uniqueTaken, untimely } from '../core/refusal.ts'
import type { Enqueued, NewJob, StoredPolicy } from '../store/records.ts'
import type { Gate } from '../store/opening.ts'
import { putKeysRight } from './keys.ts'
import { freshLane } from '../store/lanes.ts'
import { packPolicy } from '../store/policy-text.ts'
import { rememberReplacement, replacementOf, replaceWork, waitingJob } from './replace.ts'
import { stateCodes } from '../store/state-codes.ts'
import type { Turn } from './turn.ts'
import { packHold } from '../store/unique-hold.ts'
import { workOf, type Work } from '../store/work.ts'
import { holderOf, takeUnique } from './unique.ts'

// DO NOTHING makes the test for the id and the insert one step. Most jobs have no unique key and no key.
const addJob = /* sql */ `
  INSERT INTO forgeq_job (seq, id, type, queue, priority, policy, created_at, run_at, expire_at, tags, payload)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`
const addKeyed = /* sql */ `
  INSERT INTO forgeq_job (seq, id, type, queue, priority, policy, created_at, run_at, expire_at, tags, payload, uniq, uniq_for, key)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`
const sameId = /* sql */ `SELECT type, payload, edited FROM forgeq_job WHERE id = ?`
const addDeadline = /* sql */ `INSERT INTO forgeq_deadline (at, job) VALUES (?, ?)`

// Places every ready body of the batch: no other connection can have written in this range of seq.
const placeReady = /* sql */ `
  INSERT INTO forgeq_ready (queue, lane, seq, job, type, at, claim, attempt, crashes, settler)
  SELECT queue, priority * 4 + ${freshLane}, seq, seq, type, created_at, 0, 1, 0, 0
  FROM forgeq_job WHERE seq > ? AND run_at <= created_at AND key IS NULL`
const placeInLine = /* sql */ `
  INSERT INTO forgeq_line (queue, key, lane, seq, job, type, at, claim, attempt, crashes, settler)
  SELECT queue, key, priority * 4 + ${freshLane}, seq, seq, type, created_at, 0, 1, 0, 0
  FROM forgeq_job WHERE seq > ? AND run_at <= created_at AND key IS NOT NULL`
const placeLater = /* sql */ `
  INSERT INTO forgeq_later (run_at, seq, job, claim, attempt, crashes, settler)
  SELECT run_at, seq, seq, 0, 1, 0, 0 FROM forgeq_job WHERE seq > ? AND run_at > created_at`

interface PolicyFacts {
  readonly queue: number
  readonly text: string | null
  readonly shutFor: ShutFor
}

/** What this enqueue was answered with before. */
const duplicateOf = (turn: Turn, job: NewJob): Enqueued | undefined => {
  const same = turn.sql(sameId).get(job.id) as { type: number; payload: string; edited: number } | undefined
  if (same !== undefined) {
    const isSame = turn.names.type.name(same.type) === job.type && (same.edited !== 0 || same.payload === job.payload)
    return isSame ? { id: job.id, duplicate: true } : idTaken(job.id)
  }
  if (job.unique?.onConflict !== 'replace') return undefined
  const replaced = replacementOf(turn, job.id, turn.names.type.id(job.type))
  return replaced === 'taken' ? idTaken(job.id) : replaced
}

/** A store call: with `atomic` one refused job refuses all. */
export const enqueue = (
  turn: Turn,
  jobs: readonly NewJob[],
  options: { readonly atomic: boolean },
): readonly Enqueued[] => {
  const answers = place(turn, jobs, false)
  putKeysRight(turn)
  const refused = options.atomic ? batchRefused(jobs, answers) : undefined
  if (refused !== undefined) throw new Refused(refused)
  return answers
}

/** Bodies that were written and have no place yet. */
interface Batch {
  /** They come after this seq. */
  after: number
  anyReady: boolean
  anyInLine: boolean
  anyLater: boolean
}

const placeAll = (turn: Turn, batch: Batch): void => {
  if (batch.anyReady) turn.sql(placeReady).run(batch.after)
  if (batch.anyInLine) turn.sql(placeInLine).run(batch.after)
  if (batch.anyLater) turn.sql(placeLater).run(batch.after)
  batch.anyReady = batch.anyInLine = batch.anyLater = false
  batch.after = turn.lastSeq
}

/** Stores jobs. Those of a running job, `isFollowUp`, are proved by its claim, not by their age, and taken by every queue. */
export const place = (turn: Turn, jobs: readonly NewJob[], isFollowUp: boolean): Enqueued[] => {
  const batch: Batch = { after: turn.lastSeq, anyReady: false, anyInLine: false, anyLater: false }
  const facts = new Map<StoredPolicy, PolicyFacts>()
  const answers = jobs.map((job): Enqueued => {
    let policy = facts.get(job.policy)
    if (policy === undefined) {
      const queue = turn.names.queue.id(job.policy.queue)
      const shutFor = isFollowUp ? open : shutBy(turn, turn.gate(queue), job.policy.queue)
      policy = { queue, text: packPolicy(job.policy), shutFor }
      facts.set(job.policy, policy)
    }
    const type = turn.names.type.id(job.type)
    if (!isFollowUp && !isTimely(job.id, turn.now)) {
      const known = duplicateOf(turn, job)
      if (known !== undefined) return known
      return untimely(job.id)
    }
    const work = workOf(job, policy.queue, policy.text, turn.now)
    if (job.unique !== undefined) {
      // The job itself may hold the key: its id comes first.
      const known = duplicateOf(turn, job)
      if (known !== undefined) return known
      const holder = holderOf(turn, type, job.unique.key)
      if (holder !== undefined) return meet(turn, batch, holder, job, type, work, policy.shutFor)
    }
    const shut = policy.shutFor(job)
    // A full queue still answers for the jobs that it has.
    if (shut !== undefined) return duplicateOf(turn, job) ?? shut
    return store(turn, batch, job, type, work) ?? duplicateOf(turn, job)!
  })
  placeAll(turn, batch)
  return answers
}

/** `undefined` when the id is known. */
const store = (turn: Turn, batch: Batch, job: NewJob, type: number, work: Work): Enqueued | undefined => {
  const { payload, queue, priority, policy, runAt, expireAt, tags, key } = work
  const { id, unique } = job
  const seq = turn.nextSeq()
  const body = [seq, id, type, queue, priority, policy, turn.now, runAt, expireAt, tags, payload] as const
  const { changes } =
    unique === undefined && key === null
      ? turn.sql(addJob).run(...body)
      : turn.sql(addKeyed).run(...body, unique?.key ?? null, unique === undefined ? null : packHold(unique), key)
  if (Number(changes) === 0) return undefined
  if (unique !== undefined) takeUnique(turn, { seq, id, type }, unique.key, packHold(unique))
  if (expireAt !== null) {
    turn.sql(addDeadline).run(expireAt, seq)
    turn.dueAt(expireAt)
  }
  if (runAt > turn.now) {
    batch.anyLater = true
    turn.tally(queue, stateCodes.scheduled, 1)
    turn.dueAt(runAt)
    return { id, duplicate: false }
  }
  turn.tally(queue, stateCodes.ready, 1)
  if (key === null) {
    batch.anyReady = true
    turn.hint(`ready:${job.policy.queue}`)
  } else {
    batch.anyInLine = true
    turn.touch(queue, key)
  }
  return { id, duplicate: false }
}

/** What becomes of a job whose key is held. */
const meet = (
  turn: Turn,
  batch: Batch,
  holder: { readonly seq: number; readonly id: string },
  job: NewJob,
  type: number,
  work: Work,
  shutFor: ShutFor,
): Enqueued => {
  switch (job.unique!.onConflict) {
    case 'keep':
      return { id: holder.id, duplicate: true }
    case 'error':
      return uniqueTaken(job.id, holder.id)
    case 'replace':
      // The holder may be of this very call.
      placeAll(turn, batch)
      const waiting = waitingJob(turn, holder.seq)
      if (waiting === undefined) return { id: holder.id, duplicate: true }
      // Where it is it may stay; another queue takes it as it takes a new job.
      const shut = waiting.body.queue === work.queue ? undefined : shutFor(job)
      if (shut !== undefined) return shut
      replaceWork(turn, waiting, work)
      rememberReplacement(turn, job.id, type, holder.id)
      return { id: holder.id, duplicate: true, replaced: true }
  }
}

/** The refusal of a job by its queue, if it takes none. */
type ShutFor = (job: NewJob) => Enqueued | undefined

const open: ShutFor = () => undefined

const shutBy = (turn: Turn, gate: Gate, name: string): ShutFor => {
  if (takesAll(gate)) return open
  return ({ id }) => shutOut(id, name, gate, gate.limits.maxDepth === null ? 0 : depthOf(turn, gate.queue))
}

const depthOf = (turn: Turn, queue: number): number =>
  turn.count(queue, stateCodes.ready) + turn.count(queue, stateCodes.scheduled) + turn.count(queue, stateCodes.blocked)
