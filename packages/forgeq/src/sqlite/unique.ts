// Unique keys: which job holds one, taking and freeing it. A key is held by at most one job of a type: until that job frees
// it, or until an instant, which may come after the job is gone.
import { untilDone, untilStart, type HeldFor } from '../store/unique-hold.ts'
import type { Sql } from './statements.ts'

const holder = /* sql */ `
  SELECT u.job AS seq, coalesce(u.id, j.id) AS id FROM forgeq_uniq u LEFT JOIN forgeq_job j ON j.seq = u.job
  WHERE u.type = ? AND u.key = ? AND (u.until IS NULL OR u.until > ?)`
// Whoever holds it beyond its time does not hold it; a job that is retried may still hold it itself.
const take = /* sql */ `
  INSERT INTO forgeq_uniq (type, key, job, until, id) VALUES (?, ?, ?, ?, ?)
  ON CONFLICT (type, key) DO UPDATE SET job = excluded.job, until = excluded.until, id = excluded.id
  WHERE forgeq_uniq.until <= ? OR forgeq_uniq.job = excluded.job`
// Only the job that holds the key frees it.
const free = /* sql */ `
  DELETE FROM forgeq_uniq WHERE job = ? AND (type, key) = (SELECT type, uniq FROM forgeq_job WHERE seq = ?)`
const freeAtEnd = /* sql */ `${free} AND until IS NULL`

interface Clock extends Sql {
  readonly now: number
}

/** The job that holds the key; it may be pruned. */
export const holderOf = (
  db: Clock,
  type: number,
  key: string,
): { readonly seq: number; readonly id: string } | undefined =>
  db.sql(holder).get(type, key, db.now) as { seq: number; id: string } | undefined

interface Owner {
  readonly seq: number
  readonly id: string
  readonly type: number
}

/** False when another job holds it. */
export const takeUnique = (db: Clock, { seq, id, type }: Owner, key: string, heldFor: HeldFor): boolean => {
  const isWindow = heldFor !== untilDone && heldFor !== untilStart
  // The id of a window's job is kept with it: the job may be pruned first.
  const { changes } = db.sql(take).run(type, key, seq, isWindow ? db.now + heldFor : null, isWindow ? id : null, db.now)
  return Number(changes) === 1
}

/** Frees the key of a job that was claimed, or will never do its work. */
export const releaseUnique = (db: Sql, job: number): void => {
  db.sql(free).run(job, job)
}

/** Frees the key of a job that has ended; one that is held for a time is held on. */
export const endUnique = (db: Sql, job: number): void => {
  db.sql(freeAtEnd).run(job, job)
}
