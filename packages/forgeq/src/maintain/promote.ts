// Moves due jobs into their lanes and has what was closed looked at again, when the next one is due or opens.
import { batchLimit, type Store } from '../store/store.ts'

/** Without a due job in sight it looks again, because the hint that one came may be lost. */
const idleMs = 5_000

/** One round; returns the delay until the next. `storeNow` is read after the store answered. */
export const promote = async (store: Store, storeNow: () => number): Promise<number> => {
  const { moved, nextDueAt } = await store.promote(batchLimit)
  if (nextDueAt === null) return idleMs
  // Where nothing moved, the next one is due a moment from now, whatever this process takes the time to be.
  return Math.max(moved === 0 ? 1 : 0, Math.min(nextDueAt - storeNow(), idleMs))
}
