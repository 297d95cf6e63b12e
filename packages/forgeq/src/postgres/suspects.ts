// Suspects are ready jobs that were running in a crash: who holds one, and whether one waits for a worker. How an exchange
// gets them: claim.ts.
import type { ExchangeRequest } from '../store/records.ts'
import { inSegment } from './heads.ts'
import { isOpenTo } from './openings.ts'
import type { Turn } from './turn.ts'

const held = /* sql */ `
  SELECT coalesce(bool_or(crashes > 0), false) AS suspect, coalesce(bool_or(crashes = 0), false) AS other
  FROM forgeq.running WHERE worker = $1`
const waiting = /* sql */ `
  SELECT 1 WHERE EXISTS (
      SELECT 1 FROM unnest($5::int[], $6::bigint[], $7::int[]) AS s (first, after, last) CROSS JOIN LATERAL (
        SELECT 1 FROM forgeq.live WHERE queue = $1 AND ${inSegment} AND crashes > 0
          AND worker IS NULL AND type = ANY ($4::int[]) LIMIT 1) l)
    OR EXISTS (SELECT 1 FROM forgeq.parked p WHERE p.queue = $1 AND p.lane BETWEEN $2 AND $3 AND p.crashes > 0
      AND p.type = ANY ($4::int[]))`
// Every queue has a positive number: with it the first row is sought, not scanned for.
/** As columns of what is asked anyway. */
export const rarityColumns: string = /* sql */ `EXISTS (SELECT 1 FROM forgeq.live WHERE queue > 0 AND crashes > 0)
    OR EXISTS (SELECT 1 FROM forgeq.parked WHERE queue > 0 AND crashes > 0) AS suspects,
  EXISTS (SELECT 1 FROM forgeq.parked WHERE queue > 0) AS parked`
const anywhere = `SELECT ${rarityColumns}`

/** What a worker holds. */
export interface Holding {
  readonly suspect: boolean
  readonly other: boolean
}

/** Of what nearly always there is nothing at all, in any queue. */
export interface Rarities {
  /** Some that wait or run. */
  readonly suspects: boolean
  readonly parked: boolean
}

/** Without suspects it matters to nobody what else a worker holds. */
export const holding = async (turn: Turn, worker: number, { suspects }: Rarities): Promise<Holding> =>
  suspects ? (await turn.one<Holding>(held, worker))! : { suspect: false, other: false }

export const rarities = async (turn: Turn): Promise<Rarities> => (await turn.one<Rarities>(anywhere))!

/** Whether suspects wait that a worker knows, unless it takes them as any other job. */
export const suspectsWait = async (
  turn: Turn,
  types: readonly number[],
  { wants, suspects = 'together' }: ExchangeRequest,
  anywhereIs: Rarities,
): Promise<boolean> => {
  if (suspects === 'together' || !anywhereIs.suspects) return false
  for (const { queue, slots } of wants) {
    if (slots > 0 && (await isOpenTo(turn, queue, types, waiting))) return true
  }
  return false
}
