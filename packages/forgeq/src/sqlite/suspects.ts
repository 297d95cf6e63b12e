// Suspects are ready jobs that were running in a crash: who holds one, and whether one waits for a worker. How an exchange
// gets them: claim.ts.
import type { ExchangeRequest } from '../store/records.ts'
import { isOpenTo } from './openings.ts'
import type { Reader } from './reader.ts'
import type { Sql } from './statements.ts'

const heldSuspect = /* sql */ `SELECT 1 FROM forgeq_running INDEXED BY forgeq_running_suspect WHERE worker = ? AND crashes > 0 LIMIT 1`
const heldOther = /* sql */ `SELECT 1 FROM forgeq_running WHERE worker = ? AND crashes = 0 LIMIT 1`
const waiting = /* sql */ `
  SELECT 1 WHERE EXISTS (SELECT 1 FROM forgeq_ready r INDEXED BY forgeq_ready_suspect
      WHERE r.queue = ?1 AND r.lane BETWEEN ?2 AND ?3 AND r.crashes > 0 AND r.type IN (SELECT value FROM json_each(?4)))
    OR EXISTS (SELECT 1 FROM forgeq_parked p INDEXED BY forgeq_parked_suspect
      WHERE p.queue = ?1 AND p.lane BETWEEN ?2 AND ?3 AND p.crashes > 0 AND p.type IN (SELECT value FROM json_each(?4)))`

// Nearly always there are none at all. Every queue has a positive number: with it the first row is sought, not scanned for.
const anywhere = /* sql */ `
  SELECT 1 WHERE EXISTS (SELECT 1 FROM forgeq_ready INDEXED BY forgeq_ready_suspect WHERE queue > 0 AND crashes > 0)
    OR EXISTS (SELECT 1 FROM forgeq_parked INDEXED BY forgeq_parked_suspect WHERE queue > 0 AND crashes > 0)`

export const holdsSuspect = (db: Sql, worker: number): boolean => db.sql(heldSuspect).get(worker) !== undefined

/** Looks at what all workers hold: asked only when a suspect waits. */
export const holdsOther = (db: Sql, worker: number): boolean => db.sql(heldOther).get(worker) !== undefined

/** Whether suspects wait that a worker knows, unless it takes them as any other job. `types`: as JSON text. */
export const suspectsWait = (db: Reader, types: string, { wants, suspects = 'together' }: ExchangeRequest): boolean => {
  if (suspects === 'together' || db.sql(anywhere).get() === undefined) return false
  return wants.some(({ queue, slots }) => slots > 0 && isOpenTo(db, queue, types, waiting))
}
