// The routes of queues and workers: look, pause, resume, resize.
import * as z from 'zod'
import { checkName } from '../core/name.ts'
import type { ForgeQ } from '../forge.ts'
import { check, noMembers, parse, readBody, readOptionalBody, readQuery } from './body.ts'
import { json, type App } from './parts.ts'
import { listJson, queueJson, workerJson } from './view.ts'

const newSlots = z.strictObject({ slots: z.number() })

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

  app.patch('/v1/workers/:id', async (c) => {
    const id = c.req.param('id')
    const { slots } = check(newSlots, parse(await readBody(c), 'body'), 'body')
    await forge.admin.resizeWorker(id, slots)
    return json(c, JSON.stringify({ id, slots }))
  })

  app.get('/v1/workers', async (c) => {
    readQuery(c, noMembers)
    return json(c, listJson((await forge.admin.workers()).map(workerJson)))
  })
}
