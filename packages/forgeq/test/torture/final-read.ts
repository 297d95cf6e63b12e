// What is in the store when all is over: through its own calls, and for what must not be there by looking into it.
import { states } from '#src/core/states.js'
import type { JobRecord } from '#src/store/records.js'
import { batchLimit, type Store } from '#src/store/store.js'
import type { Final } from './events.ts'
import type { Ground } from './ground.ts'

export async function readFinal(store: Store, ground: Ground, isDrained: boolean): Promise<Final> {
  const { now } = await store.open()
  // As any worker does: what is over is forgotten then.
  await store.promote(batchLimit)
  await store.prune(batchLimit)
  const jobs: JobRecord[] = []
  for (const state of states) {
    let cursor: string | null = null
    do {
      const page = await store.find({ state }, cursor, batchLimit)
      jobs.push(
        ...(await store.jobs(
          page.jobs.map(({ id }) => id),
          ['attempts'],
        )),
      )
      cursor = page.cursor
    } while (cursor !== null)
  }
  const [queues, workers] = await Promise.all([store.queues(), store.workers()])
  return { now: (await store.open()).now, jobs, queues, workers, leftovers: await ground.leftovers(now), isDrained }
}
