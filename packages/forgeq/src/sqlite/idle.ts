// Answers an exchange that would change nothing without taking the write lock: idle workers of many processes poll, and
// must not stand in each other's way.
import type { Closed, ExchangeReply, ExchangeRequest } from '../store/records.ts'
import { nextDueAt, ordersFor } from './lease.ts'
import { isOpenTo } from './openings.ts'
import type { Reader } from './reader.ts'
import { holdsSuspect, suspectsWait } from './suspects.ts'

const workerByUid = /* sql */ `SELECT id, closed, turn, types FROM forgeq_worker WHERE uid = ?`
const claimable = (filter: string): string => /* sql */ `
  SELECT 1 WHERE EXISTS (SELECT 1 FROM forgeq_ready WHERE queue = ?1 AND lane BETWEEN ?2 AND ?3 ${filter})
    OR EXISTS (SELECT 1 FROM forgeq_parked
      WHERE queue = ?1 AND type IN (SELECT value FROM json_each(?4)) AND lane BETWEEN ?2 AND ?3 ${filter})`
const anyClaimable = claimable('')
const otherClaimable = claimable('AND crashes = 0')

/** `undefined` when there may be something to settle, note, replay or claim. */
export const idleExchange = (db: Reader, request: ExchangeRequest): ExchangeReply | Closed | undefined => {
  if (request.settlements.length > 0 || request.notes.length > 0) return undefined
  const worker = db.sql(workerByUid).get(request.worker) as
    | { id: number; closed: number; turn: number; types: string }
    | undefined
  if (worker === undefined || worker.closed !== 0) return { closed: true }
  if (request.turn <= worker.turn) return undefined
  const wants = request.slots > 0 ? request.wants.filter((want) => want.slots > 0) : []
  const mine = request.suspects === 'skip' ? otherClaimable : anyClaimable
  const suspects = suspectsWait(db, worker.types, request)
  const getsOthers = request.suspects !== 'apart' || !holdsSuspect(db, worker.id)
  const mayBring = getsOthers || (suspects && request.suspectSlots !== 0)
  if (mayBring && wants.some(({ queue }) => isOpenTo(db, queue, worker.types, mine))) return undefined
  return {
    closed: false,
    verdicts: [],
    claimed: [],
    suspects,
    more: false,
    orders: ordersFor(db, worker.id),
    nextDueAt: nextDueAt(db),
    now: db.now,
  }
}
