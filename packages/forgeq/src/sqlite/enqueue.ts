// Stores new jobs: bodies one by one (ids and unique keys decide), places by one statement for the whole batch.
import type { Enqueued, NewJob, Refusal, StoredPolicy } from '../store/records.ts'
import { caps } from '../core/caps.ts'
import { idTime, isId } from '../core/id.ts'
import type { Gate } from './gate.ts'
import { putKeysRight } from './keys.ts'
import { freshLane } from './lanes.ts'
import { packPolicy } from './policy.ts'
import { stateCodes } from './schema.ts'
import type { Turn } from './turn.ts'
import { holderOf, takeUnique } from './unique.ts'

// DO NOTHING makes the test for the id and the insert one step.
const addJob = /* sql */ `
  INSERT INTO forgeq_job (seq, id, type, queue, priority, policy, created_at, run_at, expire_at, tags, uniq, key, payload)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`
const sameId = /* sql */ `SELECT type, payload FROM forgeq_job WHERE id = ?`
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
  readonly gate: Gate
}

const isTimely = (id: string, now: number): boolean => isId(id) && Math.abs(idTime(id) - now) <= caps.idDriftMs

const refuse = (id: string, code: Refusal['code'], message: string): Enqueued => ({ id, refused: { code, message } })

const duplicateOf = (turn: Turn, job: NewJob): Enqueued | undefined => {
  const same = turn.sql(sameId).get(job.id) as { type: number; payload: string } | undefined
  if (same === undefined) return undefined
  return turn.names.type.name(same.type) === job.type && same.payload === job.payload
    ? { id: job.id, duplicate: true }
    : refuse(job.id, 'ID_CONFLICT', `job ${job.id} exists with another type or payload; make a new id for a new job`)
}

/** A store call: with `atomic` one refused job refuses all. */
export const enqueue = (
  turn: Turn,
  jobs: readonly NewJob[],
  options: { readonly atomic: boolean },
): readonly Enqueued[] => {
  const answers = place(turn, jobs, false)
  putKeysRight(turn)
  const faulty = options.atomic && answers.some((answer) => 'refused' in answer)
  if (!faulty) return answers
  throw new Refused(
    answers.map((answer, i) =>
      'refused' in answer
        ? answer
        : refuse(jobs[i]!.id, 'BATCH_REFUSED', 'not stored: another job of this call was refused'),
    ),
  )
}

/** Rolls the operation back and is answered with, not thrown at the caller. */
export class Refused extends Error {
  readonly answers: readonly Enqueued[]

  constructor(answers: readonly Enqueued[]) {
    super('refused')
    this.answers = answers
  }
}

/** Stores jobs. Those of a running job, `isFollowUp`, are proved by its claim, not by their age, and taken by every queue. */
export const place = (turn: Turn, jobs: readonly NewJob[], isFollowUp: boolean): Enqueued[] => {
  const before = turn.lastSeq
  const facts = new Map<StoredPolicy, PolicyFacts>()
  let anyReady = false
  let anyInLine = false
  let anyLater = false
  const answers = jobs.map((job): Enqueued => {
    let policy = facts.get(job.policy)
    if (policy === undefined) {
      const queue = turn.names.queue.id(job.policy.queue)
      policy = { queue, text: packPolicy(job.policy), gate: turn.gate(queue) }
      facts.set(job.policy, policy)
    }
    const type = turn.names.type.id(job.type)
    if (!isFollowUp && !isTimely(job.id, turn.now)) {
      const known = duplicateOf(turn, job)
      if (known !== undefined) return known
      return refuse(job.id, 'INVALID_ID', `${job.id} is no UUIDv7 made within a day of the store's time; make a new id`)
    }
    if (job.unique !== undefined) {
      // The job itself may hold the key: its id comes first.
      const known = duplicateOf(turn, job)
      if (known !== undefined) return known
      const holder = holderOf(turn, type, job.unique)
      if (holder !== undefined) return { id: holder, duplicate: true }
    }
    const shut = isFollowUp ? undefined : whyShut(turn, policy.gate)
    // A full queue still answers for the jobs that it has.
    if (shut !== undefined) return duplicateOf(turn, job) ?? refuse(job.id, ...shut(job.policy.queue))
    const seq = turn.nextSeq()
    const runAt = Math.max(turn.now + (job.delayMs ?? 0), job.runAt ?? 0)
    const expireAt = job.expireMs === undefined ? null : turn.now + job.expireMs
    const tags = job.tags === undefined || job.tags.length === 0 ? null : JSON.stringify(job.tags)
    const { changes } = turn
      .sql(addJob)
      .run(
        seq,
        job.id,
        type,
        policy.queue,
        job.policy.priority,
        policy.text,
        turn.now,
        runAt,
        expireAt,
        tags,
        job.unique ?? null,
        job.key ?? null,
        job.payload,
      )
    if (Number(changes) === 0) return duplicateOf(turn, job)!
    if (job.unique !== undefined) takeUnique(turn, type, job.unique, seq)
    if (expireAt !== null) {
      turn.sql(addDeadline).run(expireAt, seq)
      turn.dueAt(expireAt)
    }
    if (runAt > turn.now) {
      anyLater = true
      turn.tally(policy.queue, stateCodes.scheduled, 1)
      turn.dueAt(runAt)
    } else {
      turn.tally(policy.queue, stateCodes.ready, 1)
      if (job.key === undefined) {
        anyReady = true
        turn.hint(`ready:${job.policy.queue}`)
      } else {
        anyInLine = true
        turn.touch(policy.queue, job.key)
      }
    }
    return { id: job.id, duplicate: false }
  })
  if (anyReady) turn.sql(placeReady).run(before)
  if (anyInLine) turn.sql(placeInLine).run(before)
  if (anyLater) turn.sql(placeLater).run(before)
  return answers
}

/** Why a queue takes no more jobs, if it does not: as the refusal of a job for it. */
const whyShut = (
  turn: Turn,
  { queue, isAccepting, limits: { maxDepth } }: Gate,
): ((name: string) => [Refusal['code'], string]) | undefined => {
  if (!isAccepting) {
    return (name) => [
      'QUEUE_CLOSED',
      `queue ${name} takes no new jobs; \`forgeq queues limit ${name} --accepting\` opens it`,
    ]
  }
  if (maxDepth === null || depthOf(turn, queue) < maxDepth) return undefined
  return (name) => ['QUEUE_FULL', `queue ${name} has ${maxDepth} jobs waiting, as many as it may; try again later`]
}

const depthOf = (turn: Turn, queue: number): number =>
  turn.count(queue, stateCodes.ready) + turn.count(queue, stateCodes.scheduled) + turn.count(queue, stateCodes.blocked)
