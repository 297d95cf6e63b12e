// Ends claims under the fence (worker, claim number): a stale holder changes nothing. What follows from an outcome was
// decided in core/; here it is carried out.
import { caps } from '../core/caps.ts'
import { ForgeError } from '../core/errors.ts'
import type { Failure, Settlement, Verdict } from '../store/records.ts'
import { place } from './enqueue.ts'
import { finish } from './finish.ts'
import { makeLater, makeReady, placeOf, type Body } from './place.ts'
import { stateCodes } from './schema.ts'
import type { Turn } from './turn.ts'

interface Held {
  readonly i: number
  readonly id: string
  readonly seq: number
  readonly type: number
  readonly worker: number
  readonly claim: number
  readonly queue: number
  readonly lane: number
  readonly attempt: number
  readonly crashes: number
  readonly settler: number
  readonly started_at: number
  readonly keep_ms: number
  readonly uniq: number
  readonly cancelled: number
}

// CROSS JOIN fixes the order: id -> body -> held row, one seek each.
const heldRows = /* sql */ `
  SELECT e.key AS i, j.id, j.seq, j.type, r.worker, r.claim, r.queue, r.lane, r.attempt, r.crashes, r.settler, r.started_at,
    r.keep_ms, r.uniq, r.cancelled
  FROM json_each(?) e CROSS JOIN forgeq_job j ON j.id = e.value CROSS JOIN forgeq_running r ON r.job = j.seq`
const bodyOf = /* sql */ `SELECT seq, id, type, queue, priority, run_at FROM forgeq_job WHERE id = ?`
const endClaim = /* sql */ `DELETE FROM forgeq_running WHERE job = ?`
const endClaims = /* sql */ `DELETE FROM forgeq_running WHERE job IN (SELECT value FROM json_each(?))`
const addAttempt = /* sql */ `
  INSERT INTO forgeq_attempt (job, claim, attempt, outcome, worker, started_at, ended_at, error) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`
// A claim leaves at most one attempt, so cutting by claim number bounds how many are kept.
const cutAttempts = /* sql */ `DELETE FROM forgeq_attempt WHERE job = ? AND claim <= ?`

/** Who settles: the holder itself, or a rescuer for a closed worker, whose repeats must not be taken for the holder's. */
export interface Settler {
  readonly worker: number
  readonly rescue: boolean
}

export const settle = (turn: Turn, settler: Settler, settlements: readonly Settlement[]): Verdict[] => {
  if (settlements.length === 0) return []
  const rows = turn.sql(heldRows).all(JSON.stringify(settlements.map((s) => s.job))) as Held[]
  const held = new Map(rows.map((row) => [row.id, row]))
  const completed: number[] = []
  const verdicts = settlements.map((settlement): Verdict => {
    const row = held.get(settlement.job)
    if (row === undefined || row.worker !== settler.worker || row.claim !== settlement.claim) {
      return row === undefined ? verdictOfPast(turn, settler, settlement) : verdictOfRunning(row, settler, settlement)
    }
    // A second settlement of this claim in the same call is a repeat.
    held.delete(settlement.job)
    turn.tally(row.queue, stateCodes.running, -1)
    if (settlement.outcome === 'complete' && row.cancelled === 0) {
      completed.push(row.seq)
      complete(turn, row, settlement)
      return 'applied'
    }
    turn.sql(endClaim).run(row.seq)
    return row.cancelled === 0 ? goOn(turn, row, settler, settlement) : cancel(turn, row, settler, settlement)
  })
  if (completed.length === 1) turn.sql(endClaim).run(completed[0]!)
  else if (completed.length > 1) turn.sql(endClaims).run(JSON.stringify(completed))
  return verdicts
}

const complete = (turn: Turn, row: Held, settlement: Extract<Settlement, { outcome: 'complete' }>): void => {
  finish(turn, {
    ...countersOf(row, row.worker),
    seq: row.seq,
    id: row.id,
    queue: row.queue,
    state: 'completed',
    reason: null,
    result: settlement.result,
    startedAt: row.started_at,
    keepResultMs: row.keep_ms,
    holdsUnique: row.uniq !== 0,
  })
  const followUps = settlement.followUps ?? []
  const refused = place(turn, followUps, false).find((answer) => 'refused' in answer)
  if (refused !== undefined && 'refused' in refused) {
    throw new ForgeError('INTERNAL', `follow-up job of ${row.id} refused: ${refused.refused.message}`, { id: row.id })
  }
}

/** Everything but completion of a job that was not cancelled. */
const goOn = (turn: Turn, row: Held, settler: Settler, settlement: Settlement): Verdict => {
  const by = settler.rescue ? 0 : settler.worker
  const body = { seq: row.seq, type: row.type, queue: row.queue, priority: Math.floor(row.lane / 4) }
  switch (settlement.outcome) {
    case 'retry':
    case 'snooze': {
      addHistory(turn, row, settlement.outcome, settlement.error)
      const counters = { ...countersOf(row, by), attempt: row.attempt + (settlement.outcome === 'retry' ? 1 : 0) }
      if (settlement.delayMs > 0) makeLater(turn, body, turn.now + settlement.delayMs, counters)
      else makeReady(turn, body, counters)
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
  const counters = countersOf(row, settler.rescue ? 0 : settler.worker)
  finishHeld(turn, row, { ...counters, crashes: row.crashes + (crashed ? 1 : 0) }, 'cancelled', 'cancelled')
  return settlement.outcome === 'cancel' ? 'applied' : 'cancelled'
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
    state,
    reason,
    result: null,
    startedAt: row.started_at,
    keepResultMs: row.keep_ms,
    holdsUnique: row.uniq !== 0,
  })
}

const addHistory = (turn: Turn, row: Held, outcome: string, error: Failure | null): void => {
  const text = error === null ? null : JSON.stringify(error)
  turn.sql(addAttempt).run(row.seq, row.claim, row.attempt, outcome, row.worker, row.started_at, turn.now, text)
  if (row.claim > caps.attemptsKept) turn.sql(cutAttempts).run(row.seq, row.claim - caps.attemptsKept)
}

/** The job runs, but not under this fence: only the claim just before it, settled by this very worker, was applied. */
const verdictOfRunning = (row: Held, settler: Settler, settlement: Settlement): Verdict =>
  row.claim === settlement.claim + 1 && row.settler === settler.worker ? 'applied' : 'lost'

/** The job does not run: its last claim says who settled it. */
const verdictOfPast = (turn: Turn, settler: Settler, settlement: Settlement): Verdict => {
  const body = turn.sql(bodyOf).get(settlement.job) as Body | undefined
  const now = body === undefined ? undefined : placeOf(turn, body)
  if (now === undefined || now.claim !== settlement.claim || now.settler !== settler.worker) return 'lost'
  return now.state === stateCodes.cancelled && settlement.outcome !== 'cancel' ? 'cancelled' : 'applied'
}
