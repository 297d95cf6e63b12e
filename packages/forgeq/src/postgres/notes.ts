// Progress and logs of running jobs, fenced like settlements and bounded per job.
import { caps } from '../core/caps.ts'
import type { Note } from '../store/records.ts'
import { storable } from '../store/storable.ts'
import type { Batch } from './batch.ts'
import { placesOf } from './place.ts'
import type { Turn } from './turn.ts'

const setProgress: Batch = {
  sql: /* sql */ `
  INSERT INTO forgeq.progress (job, progress)
  SELECT DISTINCT ON (p.job) p.job, p.progress FROM unnest($1::uuid[], $2::text[]) WITH ORDINALITY AS p (job, progress, n)
  ORDER BY p.job, p.n DESC ON CONFLICT (job) DO UPDATE SET progress = excluded.progress`,
}
const sizes = /* sql */ `SELECT job, lines, bytes FROM forgeq.log_size WHERE job = ANY ($1::uuid[])`
const setSizes = /* sql */ `
  INSERT INTO forgeq.log_size (job, lines, bytes) SELECT * FROM unnest($1::uuid[], $2::int[], $3::int[])
  ON CONFLICT (job) DO UPDATE SET lines = excluded.lines, bytes = excluded.bytes`
const addLine: Batch = {
  sql: /* sql */ `
  INSERT INTO forgeq.log (job, n, at, claim, level, message)
  SELECT * FROM unnest($1::uuid[], $2::int[], $3::bigint[], $4::int[], $5::text[], $6::text[])`,
}

interface Size {
  readonly job: string
  lines: number
  bytes: number
}

/** Notes of stale claims are dropped; lines beyond the caps too, the first ones stay. No exchange of the worker is under way beside it. */
export const addNotes = async (turn: Turn, worker: number, notes: readonly Note[]): Promise<void> => {
  if (notes.length === 0) return
  const places = await placesOf(turn, [...new Set(notes.map(({ job }) => job))])
  const current = notes.filter(({ job, claim }) => {
    const place = places.get(job)
    return place?.worker === worker && place.claim === claim
  })
  for (const { job, progress } of current) {
    if (progress !== undefined) turn.push(setProgress, job, JSON.stringify(progress))
  }
  const logging = current.filter(({ logs = [] }) => logs.length > 0)
  if (logging.length > 0) await addLogs(turn, logging)
}

const addLogs = async (turn: Turn, notes: readonly Note[]): Promise<void> => {
  const ids = [...new Set(notes.map(({ job }) => job))]
  const known = new Map(ids.map((job): [string, Size] => [job, { job, lines: 0, bytes: 0 }]))
  for (const row of await turn.all<Size>(sizes, ids)) known.set(row.job, row)
  for (const note of notes) {
    const size = known.get(note.job)!
    for (const line of note.logs ?? []) {
      const bytes = Buffer.byteLength(line.message)
      if (size.lines >= caps.logLines || size.bytes + bytes > caps.logBytes) break
      size.lines++
      size.bytes += bytes
      turn.push(addLine, note.job, size.lines, turn.now - line.ageMs, note.claim, line.level, storable(line.message))
    }
  }
  const all = [...known.values()]
  await turn.run(
    setSizes,
    all.map(({ job }) => job),
    all.map(({ lines }) => lines),
    all.map(({ bytes }) => bytes),
  )
}
