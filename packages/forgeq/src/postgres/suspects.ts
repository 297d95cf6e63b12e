// Suspects are ready jobs that were running in a crash: who holds one, and whether one waits for a worker. How an exchange
// gets them: claim.ts.
import type { ExchangeRequest } from '../store/records.ts'
import { isOpenTo } from './openings.ts'
import type { Turn } from './turn.ts'

const held = /* sql */ `
  SELECT coalesce(bool_or(crashes > 0), false) AS suspect, coalesce(bool_or(crashes = 0), false) AS other
  FROM forgeq.running WHERE worker = $1`
const waiting = /* sql */ `
  SELECT 1 WHERE EXISTS (SELECT 1 FROM forgeq.live r WHERE r.queue = $1 AND r.lane BETWEEN $2 AND $3 AND r.crashes > 0
      AND r.worker IS NULL AND r.type = ANY ($4::int[]))
    OR EXISTS (SELECT 1 FROM forgeq.parked p WHERE p.queue = $1 AND p.lane BETWEEN $2 AND $3 AND p.crashes > 0
      AND p.type = ANY ($4::int[]))`
// Nearly always there are none at all. Every queue has a positive number: with it the first row is sought, not scanned for.
const anywhere = /* sql */ `
  SELECT EXISTS (SELECT 1 FROM forgeq.live WHERE queue > 0 AND crashes > 0)
    OR EXISTS (SELECT 1 FROM forgeq.parked WHERE queue > 0 AND crashes > 0) AS found`

/** What a worker holds. */
export const holding = async (turn: Turn, worker: number): Promise<{ suspect: boolean; other: boolean }> =>
  (await turn.one<{ suspect: boolean; other: boolean }>(held, worker))!

/** Whether suspects wait that a worker knows, unless it takes them as any other job. */
export const suspectsWait = async (
  turn: Turn,
  types: readonly number[],
  { wants, suspects = 'together' }: ExchangeRequest,
): Promise<boolean> => {
  if (suspects === 'together' || !(await turn.one<{ found: boolean }>(anywhere))!.found) return false
  for (const { queue, slots } of wants) {
    if (slots > 0 && (await isOpenTo(turn, queue, types, waiting))) return true
  }
  return false
}
