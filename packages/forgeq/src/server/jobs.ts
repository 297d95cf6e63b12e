// The routes of jobs: enqueue, look, wait for the end, retry, cancel.
import * as z from 'zod'
import { ForgeError, unknownJob } from '../core/errors.ts'
import { isId } from '../core/id.ts'
import { rawMember } from '../core/json.ts'
import { isEnded, states } from '../core/states.ts'
import type { JobRecord } from '../store/records.ts'
import type { Store } from '../store/store.ts'
import { noMembers, readBody, readOptionalBody, readQuery } from './body.ts'
import { readJob } from './job-body.ts'
import { json, type App, type Parts } from './parts.ts'
import { takeVerdict } from './verdict.ts'
import { acceptedJson, actedJson, jobJson, pageJson } from './view.ts'

const text = z.string().exactOptional()

const newPayload = z.strictObject({ payload: z.unknown().exactOptional() }, 'must be an object')

const whole = (min: number, max: number): z.ZodType<number, string> => {
  const rule = `must be a whole number from ${min} to ${max}`
  return z
    .string()
    .regex(/^\d{1,9}$/, rule)
    .transform(Number)
    .pipe(z.int().min(min, rule).max(max, rule))
}

const oneOf = <const T extends readonly string[]>(names: T): z.ZodType<T[number], string> =>
  z.enum(names, `must be one of ${names.join(', ')}`)

const listQuery = z.strictObject({
  state: oneOf(states).exactOptional(),
  queue: text,
  type: text,
  tag: text,
  limit: whole(1, 200).default(50),
  cursor: text,
})

const jobQuery = z.strictObject({
  include: z
    .string()
    .transform((names) => names.split(','))
    .pipe(z.array(oneOf(['attempts', 'logs', 'why'])))
    .default([]),
})

/** Proxies give up after a minute. */
const waitQuery = z.strictObject({ timeoutMs: whole(0, 60_000).default(30_000) })

export function addJobRoutes(app: App, { forge, intake, ended }: Parts): void {
  app.post('/v1/jobs', async (c) => {
    const { type, payload, options } = readJob(await readBody(c), 'body')
    const accepted = await intake.enqueue(type, payload, options)
    c.header('Location', `/v1/jobs/${accepted.id}`)
    return json(c, acceptedJson(accepted), accepted.duplicate ? 200 : 201)
  })

  app.get('/v1/jobs', async (c) => {
    const { limit, cursor, ...filter } = readQuery(c, listQuery)
    const page = await forge.store.find(filter, cursor ?? null, limit)
    return json(c, pageJson(page.jobs, page.cursor))
  })

  app.get('/v1/jobs/:id', async (c) => {
    const { include } = readQuery(c, jobQuery)
    const job = await jobOf(
      forge.store,
      c.req.param('id'),
      include.filter((name) => name !== 'why'),
    )
    return json(c, jobJson(job, include.includes('why') ? await forge.admin.why(job.id) : undefined))
  })

  app.get('/v1/jobs/:id/wait', async (c) => {
    const { timeoutMs } = readQuery(c, waitQuery)
    const job = await end(c.req.param('id'), timeoutMs)
    if (isEnded(job.state)) return json(c, jobJson(job))
    c.header('Retry-After', '1')
    return json(c, jobJson(job), 202)
  })

  app.post('/v1/jobs/:id/retry', async (c) => {
    const id = c.req.param('id')
    const payloadJson = rawMember((await readOptionalBody(c, newPayload)).text, 'payload')
    if (payloadJson !== undefined) await intake.check((await jobOf(forge.store, id)).type, payloadJson)
    const [verdict] = await forge.admin.retry([id], payloadJson === undefined ? {} : { payloadJson })
    return json(c, actedJson(takeVerdict(verdict!, 'retry')))
  })

  app.post('/v1/jobs/:id/cancel', async (c) => {
    await readOptionalBody(c, noMembers)
    const [verdict] = await forge.admin.cancel([c.req.param('id')])
    const done = takeVerdict(verdict!, 'cancel')
    // A running job ends when its handler has heard of it.
    return json(c, actedJson(done), done.state === 'running' ? 202 : 200)
  })

  /** The job once it ended, or as it is after `timeoutMs` or when the server stops. */
  async function end(id: string, timeoutMs: number): Promise<JobRecord> {
    const job = await jobOf(forge.store, id)
    if (isEnded(job.state) || timeoutMs === 0) return job
    try {
      const record = await ended.wait(id, timeoutMs)
      if (record !== undefined) return record
    } catch (error) {
      if (!ForgeError.is(error, 'TIMEOUT') && !ForgeError.is(error, 'STORE_CLOSED')) throw error
    }
    return jobOf(forge.store, id)
  }
}

async function jobOf(store: Store, id: string, include: readonly ('attempts' | 'logs')[] = []): Promise<JobRecord> {
  const [job] = isId(id) ? await store.jobs([id], include) : []
  if (job === undefined) throw unknownJob(id)
  return job
}
