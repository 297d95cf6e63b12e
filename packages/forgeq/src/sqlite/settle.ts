// Ends claims under the fence (worker, claim number): a stale holder changes nothing. What follows from an outcome was
// decided in core/; here it is carried out.
import { caps } from '../core/caps.ts'
import { ForgeError } from '../core/errors.ts'
import { followUpRefused } from '../core/refusal.ts'
import { rememberMs } from '../core/retention.ts'
import type { Failure, Settlement, Verdict } from '../store/records.ts'
import { place } from './enqueue.ts'
import { finish } from './finish.ts'
import { holdBack } from './holds.ts'
import { endOfKeyed, goesOn } from './keys.ts'
import { levelOf } from '../store/lanes.ts'
import { makeLater, makeReady, placeOf, type Body } from './place.ts'
import { stateCodes } from '../store/state-codes.ts'
import type { Turn } from './turn.ts'
import { endUnique } from './unique.ts'

// CROSS JOIN fixes the order: id -> body -> held row, one seek each.
const heldRows = /* sql */ `
  SELECT e.key, j.seq, r.worker, r.claim, r.settler, r.cancelled, r.queue, r.keep_ms, r.uniq, r.turn, r.key
  FROM json_each(?) e CROSS JOIN forgeq_job j ON j.id = e.value CROSS JOIN forgeq_running r ON r.job = j.seq`
type HeldRow = readonly [
  index: number,
  seq: number,
  worker: number,
  claim: number,
  settler: number,
  cancelled: number,
  queue: number,
  keepMs: number,
  uniq: number,
  turn: number,
  key: string | null,
]

// All that completed with the same result in one statement: most have none.
const addCompleted = /* sql */ `
  INSERT INTO forgeq_done (job, state, claim, attempt, crashes, settler, started_at, finished_at, result_until, expires_at, result)
  SELECT r.job, ${stateCodes.completed}, r.claim, r.attempt, r.crashes, r.worker, r.started_at, ?, ? + r.keep_ms,
    ? + max(r.keep_ms, ${rememberMs}), ?
  FROM json_each(?) e CROSS JOIN forgeq_running r ON r.job = e.value`
const endClaims = /* sql */ `DELETE FROM forgeq_running WHERE job IN (SELECT value FROM json_each(?))`

/** Who settles: the holder itself, or a rescuer for a closed worker, whose repeats must not be taken for the holder's. */
export interface Settler {
  readonly worker: number
  readonly rescue: boolean
  /** Of the exchange: what that turn itself claimed cannot have ended yet. */
  readonly turn: number
}

type Completion = Extract<Settlement, { outcome: 'complete' }>

export const settle = (turn: Turn, settler: Settler, settlements: readonly Settlement[]): Verdict[] => {
  if (settlements.length === 0) return []
  const ids = JSON.stringify(settlements.map((settlement) => settlement.job))
  const held = new Map<number, HeldRow>()
  for (const row of turn.tuples(heldRows).all(ids) as HeldRow[]) held.set(row[0], row)
  const settled = new Map<number, Verdict>()
  const completed = new Map<string | null, number[]>()
  const verdicts = settlements.map((settlement, i): Verdict => {
    const row = held.get(i)
    if (row === undefined) return verdictOfPast(turn, settler, settlement)
    const [, seq, worker, claim, lastSettler, cancelled, , , , claimedIn] = row
    const isOurs = worker === settler.worker && claim === settlement.claim && claimedIn < settler.turn
    // Earlier in this call the claim that ran was settled: this is a repeat of it, or older.
    const before = settled.get(seq)
    if (before !== undefined) return isOurs ? before : 'lost'
    // Under another fence: only the claim just before the one that runs may have been settled by this very worker.
    if (!isOurs) return claim === settlement.claim + 1 ? verdictBefore(settler, lastSettler) : 'lost'
    let verdict: Verdict = 'applied'
    if (settlement.outcome === 'complete' && cancelled === 0) {
      complete(turn, row, settlement)
      const alike = completed.get(settlement.result)
      if (alike === undefined) completed.set(settlement.result, [seq])
      else alike.push(seq)
    } else {
      verdict = endOtherwise(turn, seq, settler, settlement)
    }
    settled.set(seq, verdict)
    return verdict
  })
  for (const [result, seqs] of completed) {
    const list = JSON.stringify(seqs)
    turn.sql(addCompleted).run(turn.now, turn.now, turn.now, result, list)
    turn.sql(endClaims).run(list)
  }
  return verdicts
}

/** What completion means beside the rows that are written for all of them together. */
const complete = (turn: Turn, row: HeldRow, settlement: Completion): void => {
  const [, seq, , , , , queue, keepMs, uniq, , key] = row
  turn.tally(queue, stateCodes.running, -1)
  turn.tally(queue, stateCodes.completed, 1)
  turn.expire(seq, keepMs)
  if (uniq !== 0) endUnique(turn, seq)
  if (key !== null) {
    turn.touch(queue, key)
    endOfKeyed(turn, { queue, key, seq })
  }
  turn.hintEnded(settlement.job)
  if (settlement.followUps === undefined) return
  for (const answer of place(turn, settlement.followUps, true)) {
    if ('refused' in answer) throw followUpRefused(settlement.job, answer.refused)
  }
}

interface Held {
  readonly seq: number
  readonly id: string
  readonly type: number
  readonly worker: number
  readonly claim: number
  readonly queue: number
  readonly lane: number
  readonly attempt: number
  readonly crashes: number
  readonly started_at: number
  readonly keep_ms: number
  readonly uniq: number
  readonly cancelled: number
  readonly key: string | null
}

const heldJob = /* sql */ `
  SELECT j.seq, j.id, j.type, r.worker, r.claim, r.queue, r.lane, r.attempt, r.crashes, r.started_at, r.keep_ms, r.uniq, r.cancelled,
    r.key
  FROM forgeq_running r CROSS JOIN forgeq_job j ON j.seq = r.job WHERE r.job = ?`
const endClaim = /* sql */ `DELETE FROM forgeq_running WHERE job = ?`

const endOtherwise = (turn: Turn, seq: number, settler: Settler, settlement: Settlement): Verdict => {
  const row = turn.sql(heldJob).get(seq) as Held
  turn.sql(endClaim).run(seq)
  turn.tally(row.queue, stateCodes.running, -1)
  if (row.key !== null) goesOn(turn, { queue: row.queue, key: row.key, job: seq })
  return row.cancelled === 0 ? goOn(turn, row, settler, settlement) : cancel(turn, row, settler, settlement)
}

/** Everything but completion of a job that was not cancelled. */
const goOn = (turn: Turn, row: Held, settler: Settler, settlement: Settlement): Verdict => {
  const by = settler.rescue ? 0 : settler.worker
  const body = { seq: row.seq, type: row.type, queue: row.queue, priority: levelOf(row.lane), key: row.key }
  switch (settlement.outcome) {
    case 'retry':
    case 'snooze': {
      addHistory(turn, row, settlement.outcome, settlement.error)
      const counters = { ...countersOf(row, by), attempt: row.attempt + (settlement.outcome === 'retry' ? 1 : 0) }
      if (settlement.delayMs > 0) makeLater(turn, body, turn.now + settlement.delayMs, counters)
      else makeReady(turn, body, counters)
      if (settlement.outcome === 'snooze') holdBack(turn, body, settlement.holdBack)
      return 'applied'
    }
    case 'release':
      addHistory(turn, row, 'release', null)
      makeReady(turn, body, countersOf(row, by))
      return 'applied'
    case 'crash': {
      addHistory(turn, row, 'crash', settlement.error)
      const counters = { ...countersOf(row, by), crashes: row.crashes + 1 }
      if (settlement.bury === undefined) makeReady(turn, body, counters)
      else finishHeld(turn, row, counters, 'dead', settlement.bury)
      return 'applied'
    }
    case 'bury':
      addHistory(turn, row, 'bury', settlement.error)
      holdBack(turn, body, settlement.holdBack)
      finishHeld(turn, row, countersOf(row, by), 'dead', settlement.reason)
      return 'applied'
    case 'cancel':
      addHistory(turn, row, 'cancel', settlement.error)
      finishHeld(turn, row, countersOf(row, by), 'cancelled', 'cancelled')
      return 'applied'
    case 'complete':
      throw new ForgeError('INTERNAL', 'a completion does not come here', { id: row.id })
  }
}

/** However a claim ends, a job marked cancelled ends cancelled. */
const cancel = (turn: Turn, row: Held, settler: Settler, settlement: Settlement): Verdict => {
  const crashed = settlement.outcome === 'crash'
  addHistory(turn, row, crashed ? 'crash' : 'cancel', 'error' in settlement ? settlement.error : null)
  const verdict = settlement.outcome === 'cancel' ? 'applied' : 'cancelled'
  const by = settler.rescue ? 0 : verdict === 'applied' ? settler.worker : -settler.worker
  const counters = { ...countersOf(row, by), crashes: row.crashes + (crashed ? 1 : 0) }
  finishHeld(turn, row, counters, 'cancelled', 'cancelled')
  return verdict
}

const countersOf = (
  row: Held,
  settler: number,
): { claim: number; attempt: number; crashes: number; settler: number } => ({
  claim: row.claim,
  attempt: row.attempt,
  crashes: row.crashes,
  settler,
})

const finishHeld = (
  turn: Turn,
  row: Held,
  counters: ReturnType<typeof countersOf>,
  state: 'dead' | 'cancelled',
  reason: string,
): void => {
  finish(turn, {
    ...counters,
    seq: row.seq,
    id: row.id,
    queue: row.queue,
    key: row.key,
    state,
    reason,
    result: null,
    startedAt: row.started_at,
    keepResultMs: row.keep_ms,
    holdsUnique: row.uniq !== 0,
  })
}

const addAttempt = /* sql */ `
  INSERT INTO forgeq_attempt (job, claim, attempt, outcome, worker, started_at, ended_at, error) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`
// A claim leaves at most one attempt, so cutting by claim number bounds how many are kept.
const cutAttempts = /* sql */ `DELETE FROM forgeq_attempt WHERE job = ? AND claim <= ?`

const addHistory = (turn: Turn, row: Held, outcome: string, error: Failure | null): void => {
  const text = error === null ? null : JSON.stringify(error)
  turn.sql(addAttempt).run(row.seq, row.claim, row.attempt, outcome, row.worker, row.started_at, turn.now, text)
  if (row.claim > caps.attemptsKept) turn.sql(cutAttempts).run(row.seq, row.claim - caps.attemptsKept)
}

const bodyOf = /* sql */ `SELECT seq, id, type, queue, priority, run_at, key FROM forgeq_job WHERE id = ?`

/** The job does not run: its last claim says who settled it. */
const verdictOfPast = (turn: Turn, settler: Settler, settlement: Settlement): Verdict => {
  const body = turn.sql(bodyOf).get(settlement.job) as Body | undefined
  const now = body === undefined ? undefined : placeOf(turn, body)
  return now?.claim === settlement.claim ? verdictBefore(settler, now.settler) : 'lost'
}

/** The answer that was given when the claim was settled. A rescuer was not the one: it comes too late. */
const verdictBefore = (settler: Settler, lastSettler: number): Verdict => {
  if (settler.rescue || Math.abs(lastSettler) !== settler.worker) return 'lost'
  return lastSettler > 0 ? 'applied' : 'cancelled'
}
