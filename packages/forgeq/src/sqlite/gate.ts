// What lets jobs of a queue out, as it stands: its settings, and what handlers hold back. How much that leaves: openings.ts.
import { noLimits, type QueueLimits } from '../core/limit.ts'
import type { Gate, WideHolds } from '../store/opening.ts'
import type { Sql } from './statements.ts'

// Holds of keys come before `q` in binary order, those of types behind it.
const row = /* sql */ `
  SELECT paused, accepting, limits, EXISTS (SELECT 1 FROM forgeq_hold WHERE queue = q.id AND what >= 'q') AS held
  FROM forgeq_queue q WHERE id = ?`
const wideHolds = /* sql */ `SELECT what, until FROM forgeq_hold WHERE queue = ? AND what >= 'q' AND until > ?`
const noHolds: WideHolds = { queue: null, types: new Map() }
const parsed = new Map<string, QueueLimits>()

const parse = (text: string): QueueLimits => {
  let limits = parsed.get(text)
  if (limits === undefined) {
    limits = JSON.parse(text) as QueueLimits
    if (parsed.size > 1000) parsed.clear()
    parsed.set(text, limits)
  }
  return limits
}

export const readGate = (db: Sql, queue: number, now: number): Gate => {
  const { paused, accepting, limits, held } = db.sql(row).get(queue) as {
    paused: number
    accepting: number
    limits: string | null
    held: number
  }
  return {
    queue,
    isPaused: paused !== 0,
    isAccepting: accepting !== 0,
    limits: limits === null ? noLimits : parse(limits),
    holds: held === 0 ? noHolds : readHolds(db, queue, now),
  }
}

const readHolds = (db: Sql, queue: number, now: number): WideHolds => {
  const types = new Map<number, number>()
  let whole: number | null = null
  for (const { what, until } of db.sql(wideHolds).all(queue, now) as { what: string; until: number }[]) {
    if (what === 'q') whole = until
    else types.set(Number(what.slice(1)), until)
  }
  return { queue: whole, types }
}
