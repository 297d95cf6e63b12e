// Moves due jobs into their lanes, when the next one is due.
import { batchLimit, type Store } from '../store/store.ts'

/** Without a due job in sight it looks again, because the hint that one came may be lost. */
const idleMs = 5_000

/** One round; returns the delay until the next. `storeNow` is read after the store answered. */
export const promote = async (store: Store, storeNow: () => number): Promise<number> => {
  const { nextDueAt } = await store.promote(batchLimit)
  if (nextDueAt === null) return idleMs
  return Math.max(0, Math.min(nextDueAt - storeNow(), idleMs))
}
