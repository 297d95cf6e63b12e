// The routes of queues and workers: look, limit, pause, resume, resize.
import * as z from 'zod'
import { unknownQueue } from '../core/errors.ts'
import { checkName } from '../core/name.ts'
import type { ForgeQ } from '../forge.ts'
import { findQueue, type QueueRecord } from '../store/queue-record.ts'
import { check, noMembers, parse, readBody, readOptionalBody, readQuery } from './body.ts'
import { json, type App } from './parts.ts'
import { readSettings } from './queue-body.ts'
import { listJson, queueJson, workerJson } from './view.ts'

const newSlots = z.strictObject({ slots: z.number() })

export function addQueueRoutes(app: App, forge: ForgeQ): void {
  app.get('/v1/queues', async (c) => {
    readQuery(c, noMembers)
    return json(c, listJson((await forge.store.queues()).map(queueJson)))
  })

  app.get('/v1/queues/:queue', async (c) => {
    readQuery(c, noMembers)
    return json(c, queueJson(await queueOf(c.req.param('queue'))))
  })

  // As with pause: what is set holds from its first job on.
  app.patch('/v1/queues/:queue', async (c) => {
    const queue = c.req.param('queue')
    checkName(queue, 'queue')
    const settings = readSettings(await readBody(c))
    if (Object.keys(settings).length > 0) await forge.store.setQueue(queue, settings)
    return json(c, queueJson(await queueOf(queue)))
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

  async function queueOf(name: string): Promise<QueueRecord> {
    const record = await findQueue(forge.store, name)
    if (record === undefined) throw unknownQueue(name)
    return record
  }
}
