// The HTTP API as a fetch handler: puts routes, guards and error answers together. Sockets are left to serve.ts.
import { Hono, type Context } from 'hono'
import { methodNotAllowed } from 'hono/method-not-allowed'
import { requestId } from 'hono/request-id'
import { EndedJobs } from '../await-results.ts'
import { ForgeError } from '../core/errors.ts'
import type { ForgeQ } from '../forge.ts'
import type { Job } from '../job.ts'
import { StoreTime } from '../store-time.ts'
import { realTimers } from '../timers.ts'
import { guard } from './guard.ts'
import { health } from './health.ts'
import { Intake } from './intake.ts'
import { addJobRoutes } from './jobs.ts'
import { json, type Env } from './parts.ts'
import { problem } from './problem.ts'
import { addQueueRoutes } from './queues.ts'

export interface ApiOptions {
  readonly forge: ForgeQ
  /** Definitions at hand: they check and complete jobs before what workers announced. Default: none. */
  readonly jobs?: readonly Job[]
  /** Names it answers to besides those of this machine (`localhost`, `127.0.0.1`, `::1`). Default: none. */
  readonly hosts?: readonly string[]
  /** Hears of errors that are the server's own fault. Default: a process warning. */
  readonly onError?: (error: unknown, requestId?: string) => void
}

export interface Api {
  /** Answers one request; goes wherever fetch handlers go. */
  readonly fetch: (request: Request) => Response | Promise<Response>
  /** Ends the requests that wait for a job; the forge stays open. */
  close(): Promise<void>
}

/** What the server around an API shares with it. */
export interface Surroundings {
  readonly time: StoreTime
  /** Throws what keeps the server from its work. */
  readonly check: () => void
}

const safety = {
  'Cache-Control': 'no-store',
  'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
}

/** The API without a server: `api({ forge }).fetch` goes into any framework that takes fetch handlers. */
export function api(options: ApiOptions): Api {
  return build(options, { time: new StoreTime(realTimers), check: () => {} })
}

export function build({ forge, jobs = [], hosts = [], onError = warn }: ApiOptions, around: Surroundings): Api {
  const { time, check } = around
  const intake = new Intake(forge, time, jobs)
  const ended = new EndedJobs(forge.store, realTimers)
  let isClosing = false

  const fail = (c: Context<Env>, error: unknown): Response => {
    const { status, headers, body } = problem(error, c.get('requestId'))
    if (status === 500) onError(error, c.get('requestId'))
    return c.body(body, status, headers)
  }
  const app = new Hono<Env>()
  app.onError((error, c) => fail(c, error))
  app.notFound((c) => fail(c, new ForgeError('NOT_FOUND', `there is nothing at ${c.req.path.slice(0, 200)}`)))
  app.use(requestId())
  app.use(async (c, next) => {
    for (const [name, value] of Object.entries(safety)) c.header(name, value)
    await next()
    if (isClosing) c.header('Connection', 'close')
  })
  app.use(guard(hosts))
  app.use(
    methodNotAllowed({
      app,
      onMethodNotAllowed: (c: Context<Env>, methods) => {
        const allow = methods.join(', ')
        c.header('Allow', allow)
        return fail(c, new ForgeError('METHOD_NOT_ALLOWED', `${c.req.path.slice(0, 200)} takes ${allow} only`))
      },
    }),
  )
  addJobRoutes(app, { forge, intake, ended })
  addQueueRoutes(app, forge)
  app.get('/healthz', (c) => json(c, '{"status":"ok"}'))
  app.on('GET', ['/readyz', '/health'], async (c) => {
    check()
    return json(c, await health(forge.store, time, intake.problems))
  })

  return {
    fetch: (request) => app.fetch(request),
    close: async () => {
      isClosing = true
      await ended.close()
    },
  }
}

export function warn(error: unknown, requestId?: string): void {
  const where = requestId === undefined ? '' : ` (request ${requestId})`
  process.emitWarning(
    `${error instanceof Error ? (error.stack ?? error.message) : String(error)}${where}`,
    'ForgeQWarning',
  )
}
