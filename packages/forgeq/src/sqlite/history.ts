// What is on record of a job beside its place: claims that ended without completing it, and lines that were logged.
import type { AttemptRecord, LogRecord } from '../store/records.ts'
import { attemptOf, type AttemptRow } from '../store/rows.ts'
import type { Sql } from './statements.ts'

const attemptsOf = /* sql */ `
  SELECT a.claim, a.attempt, a.outcome, a.started_at, a.ended_at, a.error, w.uid
  FROM forgeq_attempt a LEFT JOIN forgeq_worker w ON w.id = a.worker WHERE a.job = ? ORDER BY a.claim`
const logsOf = /* sql */ `SELECT at, claim, level, message FROM forgeq_log WHERE job = ? ORDER BY n`

export const pastAttempts = (db: Sql, job: number): AttemptRecord[] =>
  (db.sql(attemptsOf).all(job) as AttemptRow[]).map(attemptOf)

// Drivers give rows without a prototype; a record is a plain object.
export const logs = (db: Sql, job: number): LogRecord[] =>
  (db.sql(logsOf).all(job) as LogRecord[]).map((row) => ({ ...row }))
