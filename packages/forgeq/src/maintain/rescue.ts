// Closes expired leases and brings the jobs of closed workers back: core decides how each goes on, the fence sorts out
// rescuers that race.
import { afterLoss } from '../core/outcome.ts'
import { failpoint } from '../store/failpoint.ts'
import type { LostJob, Settlement, Verdict } from '../store/records.ts'
import { batchLimit, type Store } from '../store/store.ts'

/** Less than half of the shortest lease: a store that nobody looked at for longer counts as away, and closes none. */
const idleMs = 2_000
/** Never more often than that. */
const leastMs = 100

export interface Rescued {
  readonly job: LostJob
  /** How long it was held. */
  readonly heldMs: number
  readonly settlement: Settlement
  readonly verdict: Verdict
}

/** One round; returns the delay until the next. `told` hears of every job it brought back. */
export const rescue = async (
  store: Store,
  storeNow: () => number,
  random: () => number,
  told: (rescued: Rescued) => void,
): Promise<number> => {
  const { jobs, nextExpiryAt } = await store.lost(batchLimit)
  if (jobs.length > 0) {
    failpoint('rescue.after-lost')
    const now = storeNow()
    const settlements = jobs.map((job) => afterLoss(job, now, random))
    const verdicts = await store.settle(settlements)
    jobs.forEach((job, index) => {
      const verdict = verdicts[index]!
      if (verdict !== 'lost')
        told({ job, heldMs: Math.max(0, now - job.startedAt), settlement: settlements[index]!, verdict })
    })
    if (jobs.length === batchLimit) return 0
  }
  if (nextExpiryAt === null) return idleMs
  return Math.max(leastMs, Math.min(nextExpiryAt - storeNow(), idleMs))
}
