// The name under which a worker registered, by its number.
import type { Sql } from './statements.ts'

const byNumber = /* sql */ `SELECT uid FROM forgeq_worker WHERE id = ?`

/** `undefined` once its record is forgotten. */
export const uidOf = (db: Sql, worker: number): string | undefined =>
  (db.sql(byNumber).get(worker) as { uid: string } | undefined)?.uid
