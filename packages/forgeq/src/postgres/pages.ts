// What a claim reads of a queue: the heads of its lanes, locked, with their bodies. An exchange that knows beforehand what it
// will ask reads them together with what it asks first, which is a trip to the server less.
import { byteLimit } from '../store/handout.ts'
import type { Lanes } from '../store/lanes.ts'
import { wide } from '../store/opening.ts'
import type { ExchangeRequest } from '../store/records.ts'
import { inSegment } from './heads.ts'
import { parkPart, type ParkPart } from './parked.ts'
import type { Fresh, Row } from './row.ts'
import { rowOf } from './seek.ts'
import type { Turn } from './turn.ts'

/** What a claim reads of live. */
export interface Part extends ParkPart {
  readonly head: string
}

// The locks are taken in index order, before bodies are looked at: no more rows than the limit are locked. Whatever reads on
// keeps that order, without a sort. Payloads are read only as far as they fit into one answer.
const part = (filter: string): Part => ({
  head: /* sql */ `
  WITH head AS MATERIALIZED (
    SELECT l.* FROM unnest($2::int[], $3::bigint[], $4::int[]) AS s (first, after, last) CROSS JOIN LATERAL (
      SELECT ctid AS spot, lane, seq, job, type, claim, attempt, crashes, key FROM forgeq.live
      WHERE queue = $1 AND ${inSegment} AND worker IS NULL ${filter}
      ORDER BY queue, lane, seq LIMIT $5 FOR UPDATE SKIP LOCKED) l LIMIT $5),
  sized AS (
    SELECT h.*, j.payload, j.created_at, j.expire_at, j.policy, j.attempt_base, j.uniq, j.uniq_for,
      sum(octet_length(j.payload)) OVER (ROWS UNBOUNDED PRECEDING) - octet_length(j.payload) AS before
    FROM head h CROSS JOIN ${rowOf('job', 'j', 'id = h.job')})
  SELECT s.spot::text, lane, seq, job AS id, s.type, (SELECT t.name FROM forgeq.type t WHERE t.id = s.type) AS name, claim, attempt,
    crashes, key, CASE WHEN before < $6 THEN payload END AS payload, created_at, expire_at, s.policy, attempt_base, uniq, uniq_for,
    (SELECT forgeq.moment()) AS now
  FROM sized s`,
  ...parkPart(filter),
})

export const all: Part = part('')
export const others: Part = part('AND crashes = 0')
export const suspects: Part = part('AND crashes > 0')

const pageRows = 500

export interface Page {
  readonly rows: readonly Row[]
  /** The lanes have no more. */
  readonly isLast: boolean
}

interface Ask {
  readonly of: Part
  readonly queue: number
  readonly lanes: Lanes
  readonly wanted: number
  readonly bytes: number
}

export class Pages {
  readonly turn: Turn
  #ahead: { readonly ask: Ask; readonly rows: Promise<readonly Row[]> } | undefined

  constructor(turn: Turn) {
    this.turn = turn
  }

  /**
   * Asks now for what the claim of this exchange begins with, where that depends on nothing that it does before: it settles
   * what has completed, and the queue was wide open and without suspects when this process looked last. Others pass over what
   * it locks, so it must not lock what it is not going to claim.
   */
  askAhead({ wants, slots, settlements, suspects: how = 'together' }: ExchangeRequest): Promise<unknown> | undefined {
    const want = wants.find((one) => one.slots > 0)
    const queue = want === undefined ? undefined : this.turn.names.queue.find(want.queue)
    if (want === undefined || queue === undefined || slots === 0 || !this.turn.gates.mayReadAhead(queue))
      return undefined
    if (settlements.some((one) => one.outcome !== 'complete' || (one.followUps ?? []).length > 0)) return undefined
    const wanted = Math.min(want.slots, slots, pageRows)
    const of = how === 'together' ? all : others
    const ask = { of, queue, lanes: wide.parts[0]!, wanted, bytes: byteLimit }
    const rows = this.#read(ask)
    this.#ahead = { ask, rows }
    return rows
  }

  /** What the lanes have next. */
  async read(of: Part, queue: number, lanes: Lanes, most: number, bytes: number): Promise<Page> {
    const ask = { of, queue, lanes, wanted: Math.min(most, pageRows), bytes }
    const ahead = this.#ahead
    this.#ahead = undefined
    const isAhead = ahead !== undefined && isSame(ahead.ask, ask) && !this.turn.hasFilledLanes
    const read = await (isAhead ? ahead.rows : this.#read(ask))
    if (read[0] !== undefined) this.turn.passTo(read[0].now)
    const rows = isAhead ? withFresh(read, this.turn.fresh, ask) : read
    return { rows, isLast: rows.length < ask.wanted }
  }

  #read({ of, queue, lanes, wanted, bytes }: Ask): Promise<readonly Row[]> {
    const { first, after, last } = this.turn.heads.segments(queue, lanes)
    return this.turn.all<Row>(of.head, queue, first, after, last, wanted, bytes)
  }
}

const isSame = (a: Ask, b: Ask): boolean =>
  a.of === b.of &&
  a.queue === b.queue &&
  a.lanes.from === b.lanes.from &&
  a.lanes.to === b.lanes.to &&
  a.wanted === b.wanted &&
  a.bytes === b.bytes

/** What was read, and what this transaction has stored since: behind all that it found, for it found less than it wanted. */
const withFresh = (
  rows: readonly Row[],
  fresh: readonly Fresh[] = [],
  { queue, lanes, wanted }: Ask,
): readonly Row[] => {
  if (rows.length === wanted) return rows
  const mine = fresh.filter((row) => row.queue === queue && row.lane >= lanes.from && row.lane <= lanes.to)
  return [...rows, ...mine].sort((a, b) => a.lane - b.lane || a.seq - b.seq).slice(0, wanted)
}
