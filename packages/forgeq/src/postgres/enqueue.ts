// Stores new jobs: looks up what the ids and unique keys of a call mean, decides job by job, and writes all bodies and all
// places by a statement for each kind. Whoever was faster in between makes a statement write less than it was given, and
// the call starts anew.
import { isId } from '../core/id.ts'
import { batchRefused, idTaken, isTimely, Refused, shutOut, takesAll, uniqueTaken, untimely } from '../core/refusal.ts'
import { freshLane, laneOf } from '../store/lanes.ts'
import { packPolicy } from '../store/policy-text.ts'
import type { Enqueued, NewJob } from '../store/records.ts'
import { stateCodes } from '../store/state-codes.ts'
import { packHold } from '../store/unique-hold.ts'
import { workOf, type Work } from '../store/work.ts'
import type { Batch } from './batch.ts'
import type { Gate } from './gate.ts'
import { putKeysRight } from './keys.ts'
import { rememberReplacement, replacementsOf, replaceWork, waitingJob, type Replacement } from './replace.ts'
import type { Turn } from './turn.ts'
import { holdersOf, nameOf, takeUnique } from './unique.ts'

// The test for the id and the insert are one step: an id that came in between fails the transaction, which starts anew.
const addJob: Batch = {
  sql: /* sql */ `
  INSERT INTO forgeq.job (id, seq, type, queue, priority, policy, created_at, run_at, expire_at, tags, uniq, uniq_for, key, payload)
  SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::int[], $4::int[], $5::int[], $6::text[], $7::bigint[], $8::bigint[], $9::bigint[],
    $10::text[], $11::text[], $12::bigint[], $13::text[], $14::text[])`,
}
const addDeadline: Batch = {
  sql: /* sql */ `INSERT INTO forgeq.deadline (at, job) SELECT * FROM unnest($1::bigint[], $2::uuid[])`,
}
const placeReady: Batch = {
  sql: /* sql */ `
  INSERT INTO forgeq.live (queue, lane, seq, job, type, at, claim, attempt, crashes, settler, moved)
  SELECT r.*, 0, 1, 0, 0, false FROM unnest($1::int[], $2::int[], $3::bigint[], $4::uuid[], $5::int[], $6::bigint[]) AS r`,
}
const placeInLine: Batch = {
  sql: /* sql */ `
  INSERT INTO forgeq.line (queue, lane, seq, job, type, at, key, claim, attempt, crashes, settler, moved)
  SELECT r.*, 0, 1, 0, 0, false
  FROM unnest($1::int[], $2::int[], $3::bigint[], $4::uuid[], $5::int[], $6::bigint[], $7::text[]) AS r`,
}
const placeLater: Batch = {
  sql: /* sql */ `
  INSERT INTO forgeq.later (run_at, seq, job, queue, claim, attempt, crashes, settler)
  SELECT r.*, 0, 1, 0, 0 FROM unnest($1::bigint[], $2::bigint[], $3::uuid[], $4::int[]) AS r`,
}
const sameIds = /* sql */ `SELECT id, type, payload, edited FROM forgeq.job WHERE id = ANY ($1::uuid[])`
// From here on the queue is ruled. Its caller is alone in the queue.
const noteKeys = /* sql */ `UPDATE forgeq.queue SET has_keys = true WHERE id = $1`

interface Known {
  readonly id: string
  readonly type: number
  readonly payload: string
  readonly edited: boolean
}

/** A store call: with `atomic` one refused job refuses all. */
export const enqueue = async (
  turn: Turn,
  jobs: readonly NewJob[],
  options: { readonly atomic: boolean },
): Promise<readonly Enqueued[]> => {
  if (jobs.length === 0) return []
  const answers = await place(turn, jobs, false)
  await putKeysRight(turn)
  const refused = options.atomic ? batchRefused(jobs, answers) : undefined
  if (refused !== undefined) throw new Refused(refused)
  return answers
}

/** Stores jobs. Those of a running job, `isFollowUp`, are proved by its claim, not by their age, and taken by every queue. */
export const place = async (turn: Turn, jobs: readonly NewJob[], isFollowUp: boolean): Promise<Enqueued[]> => {
  if (jobs.length === 0) return []
  const ids = jobs.map(({ id }) => id).filter(isId)
  // What is not exact any more when it is written makes the call start anew.
  const [gates, known] = await Promise.all([gatesOf(turn, jobs), turn.all<Known>(sameIds, ids)])
  const batch = new Intake(turn, gates, known, isFollowUp)
  await batch.learn(jobs)
  const answers: Enqueued[] = []
  for (const job of jobs) answers.push(await batch.take(job))
  return answers
}

/** The gates of all queues that get jobs, by name; of those that get jobs with keys, alone. */
const gatesOf = async (turn: Turn, jobs: readonly NewJob[]): Promise<ReadonlyMap<string, Gate>> => {
  const keyed = new Map<number, boolean>()
  for (const { policy, key } of jobs) {
    const queue = turn.names.queue.id(policy.queue)
    keyed.set(queue, key !== undefined || keyed.get(queue) === true)
  }
  await turn.gates.enter(keyed)
  const gates = new Map<string, Gate>()
  for (const [queue, hasKeys] of keyed) {
    let gate = await turn.gates.of(queue)
    if (hasKeys && !gate.hasKeys) {
      await turn.run(noteKeys, queue)
      turn.gates.forget(queue)
      gate = await turn.gates.of(queue)
    }
    gates.set(gate.name, gate)
  }
  return gates
}

class Intake {
  readonly #turn: Turn
  readonly #gates: ReadonlyMap<string, Gate>
  readonly #isFollowUp: boolean
  readonly #known: Map<string, Known>
  #replaced: Map<string, Replacement> = new Map()
  #holders: Map<string, string> = new Map()
  /** Jobs that wait in a queue, where that is limited. */
  readonly #depths = new Map<number, number>()
  readonly #policies = new Map<NewJob['policy'], string | null>()

  constructor(turn: Turn, gates: ReadonlyMap<string, Gate>, known: readonly Known[], isFollowUp: boolean) {
    this.#turn = turn
    this.#gates = gates
    this.#known = new Map(known.map((row) => [row.id, row]))
    this.#isFollowUp = isFollowUp
  }

  /** Reads what the call's unique keys are known for. */
  async learn(jobs: readonly NewJob[]): Promise<void> {
    const turn = this.#turn
    // One more for each that may be moved by a replacement, or gets a token.
    await turn.reserve(jobs.length * 2)
    const unique = jobs.filter((job) => job.unique !== undefined)
    if (unique.length === 0) return
    const replacing = unique.filter((job) => job.unique?.onConflict === 'replace').map(({ id }) => id)
    this.#replaced = await replacementsOf(turn, replacing.filter(isId))
    const keys = unique.map((job) => ({ type: turn.names.type.id(job.type), key: job.unique!.key }))
    // A key that is free was freed before now.
    const [holders] = await Promise.all([holdersOf(turn, keys), turn.tellTime()])
    this.#holders = holders
  }

  async take(job: NewJob): Promise<Enqueued> {
    const turn = this.#turn
    const known = this.#duplicateOf(job)
    if (!this.#isFollowUp && !isTimely(job.id, turn.now)) {
      if (known !== undefined) return known
      return untimely(job.id)
    }
    // The job itself may hold the key: its id comes first.
    if (known !== undefined) return known
    const type = turn.names.type.id(job.type)
    const gate = this.#gates.get(job.policy.queue)!
    const work = this.#workOf(job, gate)
    if (job.unique !== undefined) {
      const holder = this.#holders.get(nameOf({ type, key: job.unique.key }))
      if (holder !== undefined) return this.#meet(holder, job, type, work)
    }
    const shut = await this.#shutFor(job)
    if (shut !== undefined) return shut
    return this.#store(job, type, work)
  }

  /** What this enqueue was answered with before. */
  #duplicateOf({ id, type, payload, unique }: NewJob): Enqueued | undefined {
    const number = this.#turn.names.type.id(type)
    const same = this.#known.get(id)
    if (same !== undefined) {
      return same.type === number && (same.edited || same.payload === payload) ? { id, duplicate: true } : idTaken(id)
    }
    const replaced = unique?.onConflict === 'replace' ? this.#replaced.get(id) : undefined
    if (replaced === undefined) return undefined
    return replaced.type === number ? { id: replaced.holder, duplicate: true, replaced: true } : idTaken(id)
  }

  #workOf(job: NewJob, { queue }: Gate): Work {
    let policy = this.#policies.get(job.policy)
    if (policy === undefined) this.#policies.set(job.policy, (policy = packPolicy(job.policy)))
    return workOf(job, queue, policy, this.#turn.now)
  }

  #store({ id, type: name, unique, payload }: NewJob, type: number, work: Work): Enqueued {
    const turn = this.#turn
    const { queue, priority, policy, runAt, expireAt, tags, key } = work
    const seq = turn.nextSeq()
    const uniq = unique?.key ?? null
    const heldFor = unique === undefined ? null : packHold(unique)
    const { now } = turn
    const dates = [now, runAt, expireAt]
    turn.push(addJob, id, seq, type, queue, priority, policy, ...dates, tags, uniq, heldFor, key, payload)
    this.#known.set(id, { id, type, payload, edited: false })
    if (uniq !== null) {
      takeUnique(turn, { id, type, uniq, uniq_for: heldFor })
      this.#holders.set(nameOf({ type, key: uniq }), id)
    }
    const depth = this.#depths.get(queue)
    if (depth !== undefined) this.#depths.set(queue, depth + 1)
    if (expireAt !== null) {
      turn.push(addDeadline, expireAt, id)
      turn.dueAt(expireAt)
    }
    if (runAt > turn.now) {
      turn.push(placeLater, runAt, seq, id, queue)
      turn.tally(queue, stateCodes.scheduled, 1)
      turn.dueAt(runAt)
      return { id, duplicate: false }
    }
    turn.tally(queue, stateCodes.ready, 1)
    const lane = laneOf(priority, freshLane)
    if (key === null) {
      turn.push(placeReady, queue, lane, seq, id, type, turn.now)
      const fresh = {
        spot: null,
        queue,
        lane,
        seq,
        id,
        type,
        name,
        claim: 0,
        attempt: 1,
        crashes: 0,
        key,
        payload,
        policy,
        now,
      } as const
      turn.fresh?.push({ ...fresh, created_at: now, expire_at: expireAt, attempt_base: 0, uniq, uniq_for: heldFor })
      turn.hint(`ready:${turn.names.queue.name(queue)}`)
    } else {
      turn.push(placeInLine, queue, lane, seq, id, type, turn.now, key)
      turn.touch(queue, key)
    }
    return { id, duplicate: false }
  }

  /** What becomes of a job whose key is held. */
  async #meet(holder: string, job: NewJob, type: number, work: Work): Promise<Enqueued> {
    switch (job.unique!.onConflict) {
      case 'keep':
        return { id: holder, duplicate: true }
      case 'error':
        return uniqueTaken(job.id, holder)
      case 'replace':
        return this.#replace(holder, job, type, work)
    }
  }

  async #replace(holder: string, job: NewJob, type: number, work: Work): Promise<Enqueued> {
    const waiting = await waitingJob(this.#turn, holder)
    if (waiting === undefined) return { id: holder, duplicate: true }
    // Where it is it may stay; another queue takes it as it takes a new job.
    const shut = waiting.queue === work.queue ? undefined : await this.#shutFor(job)
    if (shut !== undefined) return shut
    await replaceWork(this.#turn, waiting, work)
    this.#depths.clear()
    this.#noteEdit(holder, work)
    rememberReplacement(this.#turn, job.id, type, holder)
    this.#replaced.set(job.id, { type, holder })
    return { id: holder, duplicate: true, replaced: true }
  }

  /** A job of this call may ask for the holder by its id. */
  #noteEdit(holder: string, { payload }: Work): void {
    const known = this.#known.get(holder)
    if (known === undefined) return
    this.#known.set(holder, { ...known, payload, edited: known.edited || known.payload !== payload })
  }

  /** The refusal of a job by its queue, if it takes none. */
  async #shutFor(job: NewJob): Promise<Enqueued | undefined> {
    const gate = this.#gates.get(job.policy.queue)!
    if (this.#isFollowUp || takesAll(gate)) return undefined
    return shutOut(job.id, gate.name, gate, gate.limits.maxDepth === null ? 0 : await this.#depthOf(gate.queue))
  }

  async #depthOf(queue: number): Promise<number> {
    const known = this.#depths.get(queue)
    if (known !== undefined) return known
    const [turn, { ready, scheduled, blocked }] = [this.#turn, stateCodes]
    const waiting = (await turn.count(queue, ready)) + (await turn.count(queue, scheduled))
    const depth = waiting + (await turn.count(queue, blocked))
    this.#depths.set(queue, depth)
    return depth
  }
}
