// What every answer to an exchange tells besides: jobs of the worker that are to be cancelled. When something is due: due.ts.
import type { Order } from '../store/records.ts'

/** As one column: `worker` is its number, in SQL. */
export const cancelsOf = (worker: string): string => /* sql */ `
  (SELECT json_agg(json_build_array(c.job, c.claim)) FROM forgeq.cancel c WHERE c.worker = ${worker})`

/** What that column holds. */
export type Cancels = readonly (readonly [job: string, claim: number])[] | null

export const ordersOf = (cancels: Cancels): Order[] =>
  (cancels ?? []).map(([job, claim]) => ({ job, claim, order: 'cancel' }))
