// The routes of queues and workers: look, pause, resume.
import { checkName } from '../core/name.ts'
import type { ForgeQ } from '../forge.ts'
import { noMembers, readOptionalBody, readQuery } from './body.ts'
import { json, type App } from './parts.ts'
import { listJson, queueJson, workerJson } from './view.ts'

export function addQueueRoutes(app: App, forge: ForgeQ): void {
  app.get('/v1/queues', async (c) => {
    readQuery(c, noMembers)
    return json(c, listJson((await forge.admin.queues()).map(queueJson)))
  })

  for (const [verb, isPaused] of [
    ['pause', true],
    ['resume', false],
  ] as const) {
    // A queue may be paused before its first job.
    app.post(`/v1/queues/:queue/${verb}`, async (c) => {
      const queue = c.req.param('queue')
      checkName(queue, 'queue')
      await readOptionalBody(c, noMembers)
      await forge.store.setQueue(queue, { paused: isPaused })
      return json(c, JSON.stringify({ queue, paused: isPaused }))
    })
  }

  app.get('/v1/workers', async (c) => {
    readQuery(c, noMembers)
    return json(c, listJson((await forge.admin.workers()).map(workerJson)))
  })
}
