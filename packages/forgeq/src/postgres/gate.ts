// What lets jobs of a queue out, as it stands: its settings, and what handlers hold back. How much that leaves: openings.ts.
import { noLimits, type QueueLimits } from '../core/limit.ts'
import type { Gate as PlainGate, WideHolds } from '../store/opening.ts'

export interface Gate extends PlainGate {
  readonly name: string
  /** A job with a key has been here. */
  readonly hasKeys: boolean
  /** What starts depends on what else runs or waits: its transactions take turns. */
  readonly isRuled: boolean
}

export interface GateRow {
  readonly name: string
  readonly paused: boolean
  readonly accepting: boolean
  readonly limits: string | null
  readonly has_keys: boolean
  readonly holds: readonly (readonly [what: string, until: number])[] | null
}

/** Waits until this transaction may work on the queue, alone or with others that do not ask to be alone. */
export const enter = /* sql */ `SELECT * FROM forgeq.enter($1, $2)`

/** The same without a lock, for those who only look. */
export const look = /* sql */ `
  SELECT q.name, q.paused, q.accepting, q.limits, q.has_keys, (SELECT json_agg(json_build_array(h.what, h.until))
    FROM forgeq.hold h WHERE h.queue = q.id AND h.what >= 'q' AND h.until > $2) AS holds
  FROM forgeq.queue q WHERE q.id = $1`

const noHolds: WideHolds = { queue: null, types: new Map() }

export const gateOf = (queue: number, row: GateRow): Gate => ({
  queue,
  name: row.name,
  isPaused: row.paused,
  isAccepting: row.accepting,
  limits: row.limits === null ? noLimits : (JSON.parse(row.limits) as QueueLimits),
  holds: row.holds === null ? noHolds : holdsOf(row.holds),
  hasKeys: row.has_keys,
  isRuled: row.limits !== null || row.has_keys,
})

const holdsOf = (rows: NonNullable<GateRow['holds']>): WideHolds => ({
  queue: rows.find(([what]) => what === 'q')?.[1] ?? null,
  types: new Map(rows.filter(([what]) => what !== 'q').map(([what, until]) => [Number(what.slice(1)), until])),
})
