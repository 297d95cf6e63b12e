// Deletes ended jobs whose time is over, a little at a time so that claims get in between.
import { batchLimit, type Store } from '../store/store.ts'

const idleMs = 60_000
const moreMs = 20

/** One round; returns the delay until the next. */
export const prune = async (store: Store): Promise<number> => {
  const { more } = await store.prune(batchLimit)
  return more ? moreMs : idleMs
}
