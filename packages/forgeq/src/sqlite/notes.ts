// Progress and logs of running jobs, fenced like settlements and bounded per job.
import { caps } from '../core/caps.ts'
import type { Note } from '../store/records.ts'
import { storable } from '../store/storable.ts'
import type { Turn } from './turn.ts'

const heldBy = /* sql */ `
  SELECT r.job FROM forgeq_job j CROSS JOIN forgeq_running r ON r.job = j.seq WHERE j.id = ? AND r.worker = ? AND r.claim = ?`
const setProgress = /* sql */ `
  INSERT INTO forgeq_progress (job, progress) VALUES (?, ?) ON CONFLICT (job) DO UPDATE SET progress = excluded.progress`
const sizeOf = /* sql */ `SELECT lines, bytes FROM forgeq_log_size WHERE job = ?`
const setSize = /* sql */ `
  INSERT INTO forgeq_log_size (job, lines, bytes) VALUES (?, ?, ?)
  ON CONFLICT (job) DO UPDATE SET lines = excluded.lines, bytes = excluded.bytes`
const addLine = /* sql */ `INSERT INTO forgeq_log (job, n, at, claim, level, message) VALUES (?, ?, ?, ?, ?, ?)`

/** Notes of stale claims are dropped; lines beyond the caps too, the first ones stay. */
export const addNotes = (turn: Turn, worker: number, notes: readonly Note[]): void => {
  for (const note of notes) {
    const row = turn.sql(heldBy).get(note.job, worker, note.claim) as { job: number } | undefined
    if (row === undefined) continue
    if (note.progress !== undefined) turn.sql(setProgress).run(row.job, JSON.stringify(note.progress))
    if (note.logs !== undefined && note.logs.length > 0) addLogs(turn, row.job, note)
  }
}

const addLogs = (turn: Turn, job: number, note: Note): void => {
  let { lines, bytes } = (turn.sql(sizeOf).get(job) as { lines: number; bytes: number } | undefined) ?? {
    lines: 0,
    bytes: 0,
  }
  for (const line of note.logs ?? []) {
    const size = Buffer.byteLength(line.message)
    if (lines >= caps.logLines || bytes + size > caps.logBytes) break
    lines++
    bytes += size
    turn.sql(addLine).run(job, lines, turn.now - line.ageMs, note.claim, line.level, storable(line.message))
  }
  turn.sql(setSize).run(job, lines, bytes)
}
