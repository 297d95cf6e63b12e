// Unique keys: which job holds one, taking and freeing it. A key is held by at most one job that has not ended.
import type { Sql } from './statements.ts'

const holder = /* sql */ `
  SELECT j.id FROM forgeq_uniq u CROSS JOIN forgeq_job j ON j.seq = u.job WHERE u.type = ? AND u.key = ?`
const take = /* sql */ `INSERT INTO forgeq_uniq (type, key, job) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`
// Only the job that holds the key frees it.
const free = /* sql */ `
  DELETE FROM forgeq_uniq WHERE job = ? AND (type, key) = (SELECT type, uniq FROM forgeq_job WHERE seq = ?)`

/** The id of the job that holds the key. */
export const holderOf = (db: Sql, type: number, key: string): string | undefined =>
  (db.sql(holder).get(type, key) as { id: string } | undefined)?.id

/** False when another job holds it. */
export const takeUnique = (db: Sql, type: number, key: string, job: number): boolean =>
  Number(db.sql(take).run(type, key, job).changes) === 1

export const releaseUnique = (db: Sql, job: number): void => {
  db.sql(free).run(job, job)
}
