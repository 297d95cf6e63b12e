// What a settlement does to the job whose claim it ends, and what one gets as an answer that comes too late or twice. Stores
// find the claim and carry it out.
import type { Counters } from './counters.ts'
import type { DeadReason, Failure, HoldBack, Settlement, Verdict } from '../store/records.ts'
import type { Outcome } from './states.ts'

/** Who settles: the holder itself, or a rescuer for a closed worker, whose repeats must not be taken for the holder's. */
export interface Settler {
  /** Number of the worker that holds the claims. */
  readonly worker: number
  readonly rescue: boolean
  /** Of the exchange: what that turn itself claimed cannot have ended yet. */
  readonly turn: number
}

/** A claim that runs. `settler`: who settled the one before, negative where the job was cancelled instead. */
export interface RunningClaim {
  readonly worker: number
  readonly claim: number
  readonly turn: number
  readonly settler: number
}

/**
 * The verdict on a settlement that may not end the claim that runs, `undefined` when it may. `before`: the verdict with which
 * that claim was settled earlier in this very call.
 */
export const verdictOnRunning = (
  running: RunningClaim,
  settler: Settler,
  settlement: Settlement,
  before: Verdict | undefined,
): Verdict | undefined => {
  const isOurs = running.worker === settler.worker && running.claim === settlement.claim && running.turn < settler.turn
  // A repeat of what has settled it, or older.
  if (before !== undefined) return isOurs && !settler.rescue ? before : 'lost'
  if (isOurs) return undefined
  // Under another fence: only the claim just before the one that runs may have been settled by this very worker.
  return running.claim === settlement.claim + 1 ? verdictBefore(settler, running.settler) : 'lost'
}

/** The verdict where the job does not run, or is not known: its last claim says who settled it. */
export const verdictOnPast = (
  last: Pick<Counters, 'claim' | 'settler'> | undefined,
  settler: Settler,
  settlement: Settlement,
): Verdict => (last?.claim === settlement.claim ? verdictBefore(settler, last.settler) : 'lost')

/** The answer that was given when the claim was settled. A rescuer was not the one: it comes too late. */
const verdictBefore = (settler: Settler, lastSettler: number): Verdict => {
  if (settler.rescue || Math.abs(lastSettler) !== settler.worker) return 'lost'
  return lastSettler > 0 ? 'applied' : 'cancelled'
}

/** What becomes of a job whose claim has ended. */
export interface Settled {
  readonly verdict: Verdict
  /** The entry of its history. A completion has none: it is told by how the job ended. */
  readonly history: { readonly outcome: Outcome; readonly error: Failure | null } | null
  readonly counters: Counters
  /** It waits for so many milliseconds and runs again, or has ended. */
  readonly next: { readonly delayMs: number } | End
  readonly holdBack: HoldBack | undefined
}

type End =
  | { readonly state: 'completed'; readonly reason: null; readonly result: string | null }
  | { readonly state: 'dead'; readonly reason: DeadReason; readonly result: null }
  | { readonly state: 'cancelled'; readonly reason: 'cancelled'; readonly result: null }

const dead = (reason: DeadReason): End => ({ state: 'dead', reason, result: null })
const cancelled: End = { state: 'cancelled', reason: 'cancelled', result: null }

type Claim = Omit<Counters, 'settler'>

export const settled = (claim: Claim, isCancelled: boolean, settler: Settler, settlement: Settlement): Settled =>
  isCancelled ? settledCancelled(claim, settler, settlement) : settledAsAsked(claim, settler, settlement)

const settledAsAsked = (claim: Claim, { rescue, worker }: Settler, settlement: Settlement): Settled => {
  const { outcome } = settlement
  const verdict = 'applied'
  const error = 'error' in settlement ? settlement.error : null
  const counters = countersOf(claim, rescue ? 0 : worker)
  const asIs = { verdict, history: { outcome, error }, counters, holdBack: undefined } as const
  switch (outcome) {
    case 'complete':
      return {
        ...asIs,
        history: null,
        counters: countersOf(claim, worker),
        next: { state: 'completed', reason: null, result: settlement.result },
      }
    case 'retry': {
      const counted = { ...counters, attempt: claim.attempt + 1 }
      return { ...asIs, counters: counted, next: { delayMs: settlement.delayMs } }
    }
    case 'snooze':
      return { ...asIs, next: { delayMs: settlement.delayMs }, holdBack: settlement.holdBack }
    case 'release':
      return { ...asIs, next: { delayMs: 0 } }
    case 'crash': {
      const counted = { ...counters, crashes: claim.crashes + 1 }
      return {
        ...asIs,
        counters: counted,
        next: settlement.bury === undefined ? { delayMs: 0 } : dead(settlement.bury),
      }
    }
    case 'bury':
      return { ...asIs, next: dead(settlement.reason), holdBack: settlement.holdBack }
    case 'cancel':
      return { ...asIs, next: cancelled }
  }
}

/** However a claim ends, a job marked cancelled ends cancelled. */
const settledCancelled = (claim: Claim, { rescue, worker }: Settler, settlement: Settlement): Settled => {
  const isCrash = settlement.outcome === 'crash'
  const verdict = settlement.outcome === 'cancel' ? 'applied' : 'cancelled'
  const counters = countersOf(claim, rescue ? 0 : verdict === 'applied' ? worker : -worker)
  return {
    verdict,
    history: { outcome: isCrash ? 'crash' : 'cancel', error: 'error' in settlement ? settlement.error : null },
    counters: { ...counters, crashes: claim.crashes + (isCrash ? 1 : 0) },
    next: cancelled,
    holdBack: undefined,
  }
}

const countersOf = ({ claim, attempt, crashes }: Claim, settler: number): Counters => ({
  claim,
  attempt,
  crashes,
  settler,
})
