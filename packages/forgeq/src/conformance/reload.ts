// Takes all that a store dumps, and has it load that again after its jobs were deleted: as another store would take it in.
import assert from 'node:assert/strict'
import type { ImagePage, Images, Loaded } from '../store/moved.ts'
import type { Scene } from './scene.ts'

export const dumpAll = async (s: Scene, limit = 3): Promise<Images> => {
  const pages: ImagePage[] = []
  let cursor: string | null = null
  do {
    const page: ImagePage = await s.store.dump(cursor, limit)
    assert.ok(page.jobs.length <= limit, 'a page is longer than its limit')
    pages.push(page)
    cursor = page.cursor
  } while (cursor !== null)
  return { jobs: pages.flatMap(({ jobs }) => jobs), traces: pages.flatMap(({ traces }) => traces) }
}

/** Takes everything out of the store and puts it back in, the last jobs first. */
export const reload = async (s: Scene): Promise<Images> => {
  const dumped = await dumpAll(s)
  await s.store.act({ action: 'delete', ids: dumped.jobs.map(({ id }) => id) })
  const jobs = dumped.jobs.toReversed()
  assert.deepEqual(await s.store.load({ jobs, traces: dumped.traces }), Array<Loaded>(jobs.length).fill('loaded'))
  return dumped
}

export const look = async (s: Scene): Promise<unknown> => {
  const found = await s.findAll({}, 100)
  const ids = found.map(({ id }) => id).sort()
  const queues = await s.store.queues()
  return { jobs: await s.store.jobs(ids, ['attempts', 'logs', 'line']), queues }
}
