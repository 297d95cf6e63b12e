// Ends claims under the fence (worker, claim number): a stale holder changes nothing. What follows from an outcome was
// decided in core/; here it is carried out. The rows of the workers concerned are locked, so nobody else ends their claims.
import { caps } from '../core/caps.ts'
import { followUpRefused } from '../core/refusal.ts'
import { settled, verdictOnPast, verdictOnRunning, type Settler } from '../core/settling.ts'
import { levelOf } from '../store/lanes.ts'
import { unpackPolicy } from '../store/policy-text.ts'
import type { Failure, NewJob, Settlement, Verdict } from '../store/records.ts'
import type { Batch } from './batch.ts'
import { place } from './enqueue.ts'
import { finish } from './finish.ts'
import { holdBack } from './holds.ts'
import { goesOn } from './keys.ts'
import { makeLater, makeReady, placesOf, takeOut, type Placed } from './place.ts'
import { rowsAt, rowsOf } from './seek.ts'
import type { Turn } from './turn.ts'

/** The jobs of settlements as they are, and what has become of those that were settled since they were read. */
export interface Settling {
  readonly jobs: ReadonlyMap<string, Placed>
  readonly settled: Map<string, Verdict>
}

const forgetCancel: Batch = {
  sql: /* sql */ `
  DELETE FROM forgeq.cancel WHERE ${rowsAt('cancel', { worker: 'int', job: 'uuid' })}`,
}

/**
 * Reads what is to be settled, with its queues entered: alone where a settlement holds something back. Most are in `queues`,
 * which are entered first.
 */
export const readSettling = async (
  turn: Turn,
  settlements: readonly Settlement[],
  queues: ReadonlyMap<number, boolean> = new Map(),
): Promise<Settling> => {
  const ids = [...new Set(settlements.map(({ job }) => job))]
  const settled = new Map<string, Verdict>()
  const entered = turn.gates.enter(queues)
  if (ids.length === 0) {
    await entered
    return { jobs: new Map(), settled }
  }
  const held = new Set(settlements.filter(isHold).map(({ job }) => job))
  // Which queues they are in is known only now, and whether they are marked cancelled only once those are entered.
  const [jobs] = await Promise.all([placesOf(turn, ids), entered])
  const theirs = queuesOf(jobs, held)
  if (turn.gates.areIn(theirs)) return { jobs, settled }
  await turn.gates.enter(theirs)
  return { jobs: await placesOf(turn, ids), settled }
}

const isHold = (settlement: Settlement): boolean => 'holdBack' in settlement && settlement.holdBack !== undefined

const queuesOf = (jobs: ReadonlyMap<string, Placed>, held: ReadonlySet<string>): ReadonlyMap<number, boolean> => {
  const queues = new Map<number, boolean>()
  for (const { id, queue } of jobs.values()) queues.set(queue, held.has(id) || queues.get(queue) === true)
  return queues
}

export const settle = async (
  turn: Turn,
  settler: Settler,
  settlements: readonly Settlement[],
  settling: Settling,
): Promise<Verdict[]> => {
  const followUps = new FollowUps(turn, settlements)
  const verdicts: Verdict[] = []
  await turn.reserve(settlements.length)
  for (const settlement of settlements) verdicts.push(await settleOne(turn, settler, settlement, settling, followUps))
  await followUps.place()
  return verdicts
}

const settleOne = async (
  turn: Turn,
  settler: Settler,
  settlement: Settlement,
  { jobs, settled: before }: Settling,
  followUps: FollowUps,
): Promise<Verdict> => {
  const job = jobs.get(settlement.job)
  if (job?.tree !== 'running') return verdictOnPast(job, settler, settlement)
  const running = { worker: job.worker!, claim: job.claim, turn: job.turn!, settler: job.settler }
  const refused = verdictOnRunning(running, settler, settlement, before.get(job.id))
  if (refused !== undefined) return refused
  takeOut(turn, job)
  if (job.cancelled) turn.push(forgetCancel, job.worker, job.id)
  if (job.key !== null) await goesOn(turn, { queue: job.queue, key: job.key }, job.id)
  const { verdict, history, counters, next, holdBack: hold } = settled(job, job.cancelled, settler, settlement)
  if (history !== null) addHistory(turn, job, history.outcome, history.error)
  const body = { ...job, priority: levelOf(job.a) }
  if ('delayMs' in next) {
    if (next.delayMs > 0) makeLater(turn, body, turn.now + next.delayMs, counters)
    else makeReady(turn, body, counters)
  }
  await holdBack(turn, body, hold)
  if ('state' in next) {
    const { keepResultMs } = unpackPolicy(job.policy)
    await finish(turn, { ...job, ...counters, ...next, startedAt: job.started_at, keepResultMs })
    if (next.state === 'completed' && 'followUps' in settlement) await followUps.add(job.id, settlement.followUps ?? [])
  }
  before.set(job.id, verdict)
  return verdict
}

/** Jobs that settled ones leave behind: together where their order says nothing, one settlement after the other elsewhere. */
class FollowUps {
  readonly #turn: Turn
  readonly #isOrdered: boolean
  #jobs: { readonly of: string; readonly job: NewJob }[] = []

  constructor(turn: Turn, settlements: readonly Settlement[]) {
    this.#turn = turn
    // Whether a unique key is free depends on what was settled before.
    this.#isOrdered = settlements.some(
      (settlement) =>
        settlement.outcome === 'complete' && settlement.followUps?.some(({ unique }) => unique !== undefined),
    )
  }

  async add(of: string, jobs: readonly NewJob[]): Promise<void> {
    this.#jobs.push(...jobs.map((job) => ({ of, job })))
    if (this.#isOrdered) await this.place()
  }

  async place(): Promise<void> {
    const placed = this.#jobs.splice(0)
    const answers = await place(
      this.#turn,
      placed.map(({ job }) => job),
      true,
    )
    for (const [i, answer] of answers.entries()) {
      if ('refused' in answer) throw followUpRefused(placed[i]!.of, answer.refused)
    }
  }
}

const addAttempt: Batch = {
  sql: /* sql */ `
  INSERT INTO forgeq.attempt (job, claim, attempt, outcome, worker, started_at, ended_at, error)
  SELECT * FROM unnest($1::uuid[], $2::int[], $3::int[], $4::text[], $5::int[], $6::bigint[], $7::bigint[], $8::text[])`,
}
// A claim leaves at most one attempt, so cutting by claim number bounds how many are kept.
const cutAttempts: Batch = {
  sql: /* sql */ `
  DELETE FROM forgeq.attempt WHERE ${rowsOf(`
    SELECT a.ctid FROM unnest($1::uuid[], $2::int[]) AS k (job, claim)
      CROSS JOIN LATERAL (SELECT ctid FROM forgeq.attempt WHERE job = k.job AND claim <= k.claim OFFSET 0) a`)}`,
}

const addHistory = (turn: Turn, job: Placed, outcome: string, error: Failure | null): void => {
  const text = error === null ? null : JSON.stringify(error)
  turn.push(addAttempt, job.id, job.claim, job.attempt, outcome, job.worker, job.started_at, turn.now, text)
  if (job.claim > caps.attemptsKept) turn.push(cutAttempts, job.id, job.claim - caps.attemptsKept)
}
