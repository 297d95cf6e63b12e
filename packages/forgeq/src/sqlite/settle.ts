// Ends claims under the fence (worker, claim number): a stale holder changes nothing. What follows from an outcome was
// decided in core/; here it is carried out.
import { caps } from '../core/caps.ts'
import { followUpRefused } from '../core/refusal.ts'
import { rememberMs } from '../core/retention.ts'
import { settled, verdictOnPast, verdictOnRunning, type Settler } from '../core/settling.ts'
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

type Completion = Extract<Settlement, { outcome: 'complete' }>

export const settle = (turn: Turn, settler: Settler, settlements: readonly Settlement[]): Verdict[] => {
  if (settlements.length === 0) return []
  const ids = JSON.stringify(settlements.map((settlement) => settlement.job))
  const held = new Map<number, HeldRow>()
  for (const row of turn.tuples(heldRows).all(ids) as HeldRow[]) held.set(row[0], row)
  const settledBefore = new Map<number, Verdict>()
  const completed = new Map<string | null, number[]>()
  const verdicts = settlements.map((settlement, i): Verdict => {
    const row = held.get(i)
    if (row === undefined) return verdictOfPast(turn, settler, settlement)
    const [, seq, worker, claim, lastSettler, cancelled, , , , claimedIn] = row
    const running = { worker, claim, turn: claimedIn, settler: lastSettler }
    const refused = verdictOnRunning(running, settler, settlement, settledBefore.get(seq))
    if (refused !== undefined) return refused
    let verdict: Verdict = 'applied'
    if (settlement.outcome === 'complete' && cancelled === 0) {
      complete(turn, row, settlement)
      const alike = completed.get(settlement.result)
      if (alike === undefined) completed.set(settlement.result, [seq])
      else alike.push(seq)
    } else {
      verdict = endOtherwise(turn, seq, settler, settlement)
    }
    settledBefore.set(seq, verdict)
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
  const { verdict, history, counters, next, holdBack: hold } = settled(row, row.cancelled !== 0, settler, settlement)
  if (history !== null) addHistory(turn, row, history.outcome, history.error)
  const body = { seq, type: row.type, queue: row.queue, priority: levelOf(row.lane), key: row.key }
  if ('delayMs' in next) {
    if (next.delayMs > 0) makeLater(turn, body, turn.now + next.delayMs, counters)
    else makeReady(turn, body, counters)
  }
  holdBack(turn, body, hold)
  if ('state' in next) {
    finish(turn, {
      ...counters,
      ...next,
      seq,
      id: row.id,
      queue: row.queue,
      key: row.key,
      startedAt: row.started_at,
      keepResultMs: row.keep_ms,
      holdsUnique: row.uniq !== 0,
    })
  }
  return verdict
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

const verdictOfPast = (turn: Turn, settler: Settler, settlement: Settlement): Verdict => {
  const body = turn.sql(bodyOf).get(settlement.job) as Body | undefined
  return verdictOnPast(body && placeOf(turn, body), settler, settlement)
}
