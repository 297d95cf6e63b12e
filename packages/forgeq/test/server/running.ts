// A server on a free port in front of a temporary file, and a client that sends exactly what it is told.
import { request, type IncomingHttpHeaders, type RequestOptions } from 'node:http'
import type { TestContext } from 'node:test'
import { ForgeQ, type ForgeOptions, type Handler } from 'forgeq'
import { serve, type ServeOptions, type Server } from 'forgeq/server'
import { sqlite } from 'forgeq/sqlite'
import type { Topic } from '#src/store/store.js'
import { temporaryFile } from '../sqlite/files.ts'

export interface Running {
  readonly forge: ForgeQ
  readonly server: Server
  readonly path: string
}

type Options = Partial<ServeOptions> & Pick<ForgeOptions, 'defaults'> & { readonly path?: string }

export async function running(t: TestContext, options: Options = {}): Promise<Running> {
  const { path = temporaryFile(t), defaults = {}, ...how } = options
  const forge = new ForgeQ({ store: sqlite(path), defaults })
  const server = await serve({ forge, port: 0, ...how })
  t.after(async () => {
    await server.stop()
    await forge.close()
  })
  return { forge, server, path }
}

/** A worker in this process, running until the test ends. */
export function working(t: TestContext, forge: ForgeQ, ...handlers: readonly Handler[]): void {
  const worker = forge.worker({ handlers, signals: false })
  const over = worker.run()
  t.after(async () => {
    await worker.stop({ grace: 0 })
    await over
  })
}

interface Shown {
  readonly id: string
  readonly type: string
  readonly queue: string
  readonly queues: readonly string[]
  readonly types: readonly string[]
  readonly state: string
  readonly status: unknown
  readonly duplicate: boolean
  readonly unique: unknown
  readonly maxAttempts: number
  readonly payload: unknown
  readonly result: unknown
  readonly error: { readonly message: string }
  readonly reason: string | null
  readonly progress: unknown
  readonly createdAt: string
  readonly startedAt: string
  readonly finishedAt: string
  readonly expiresAt: string
  readonly resultUntil: string
  readonly oldestReadyAt: string
  readonly attempts: readonly (Pick<Shown, 'startedAt' | 'error'> & { readonly outcome: string })[]
  readonly logs: readonly { readonly at: string; readonly message: string }[]
  readonly why: { readonly reason: string }
  readonly paused: boolean
  readonly accepting: boolean
  readonly concurrency: number | null
  readonly rate: unknown
  readonly ratePerPriority: unknown
  readonly perKey: unknown
  readonly maxDepth: number | null
  readonly fill: {
    readonly rate: { readonly left: number; readonly opensAt: string | null }
    readonly ratePerPriority: Readonly<Record<string, { readonly left: number; readonly opensAt: string | null }>>
  }
  readonly heldUntil: string | null
  readonly heldTypes: Readonly<Record<string, string>>
  readonly key: string | null
  readonly counts: Readonly<Record<string, number>>
  readonly pid: number
  readonly data: readonly Shown[]
  readonly page: { readonly next: string | null; readonly hasMore: boolean }
  readonly store: { readonly kind: string; readonly durability: string }
  readonly workers: number
  readonly problems: readonly string[]
  readonly code: string
  readonly detail: string
  readonly errors: readonly { readonly path: string; readonly message: string }[]
  readonly holder: string
  readonly requestId: string
  readonly retryable: boolean
}

export interface Reply {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
  /** Every answer has some of the members. */
  readonly json: Shown
}

/** RFC 3339 in UTC with milliseconds. */
export const instant = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/

/** Which paths a problem names, sorted. */
export const pathsOf = ({ json }: Reply): string[] => json.errors.map(({ path }) => path).sort()

/** A text body is sent as JSON, unless `headers` say otherwise. */
export function send(
  to: Server | { readonly port: number },
  method: string,
  path: string,
  body?: string | Buffer,
  headers: Readonly<Record<string, string>> = {},
  options: RequestOptions = {},
): Promise<Reply> {
  const all = { ...(body !== undefined && { 'Content-Type': 'application/json' }), ...headers }
  return new Promise((resolve, reject) => {
    const sent = request(
      { host: '127.0.0.1', port: to.port, method, path, headers: all, agent: false, ...options },
      (answer) => {
        const chunks: Buffer[] = []
        answer.on('data', (chunk: Buffer) => chunks.push(chunk))
        answer.on('error', reject)
        answer.on('end', () => {
          const text = Buffer.concat(chunks).toString()
          const json = JSON.parse(text === '' ? '{}' : text) as Shown
          resolve({ status: answer.statusCode!, headers: answer.headers, text, json })
        })
      },
    )
    sent.on('error', reject)
    sent.end(body)
  })
}

/** Enqueues over HTTP; gives the id. */
export async function enqueued(to: Server, job: Readonly<Record<string, unknown>>): Promise<string> {
  const reply = await send(to, 'POST', '/v1/jobs', JSON.stringify(job))
  if (reply.status !== 201) throw new Error(reply.text)
  return reply.json.id
}

/** Resolves when somebody has begun to wait for each of the jobs. */
export const awaited = (t: TestContext, { store }: ForgeQ, ids: readonly string[]): Promise<void> =>
  new Promise((resolve) => {
    const missing = new Set<Topic>(ids.map((id): Topic => `ended:${id}`))
    const listen = store.listen.bind(store)
    t.mock.method(store, 'listen', (topics: readonly Topic[], fn: (topic: Topic) => void) => {
      for (const topic of topics) missing.delete(topic)
      if (missing.size === 0) resolve()
      return listen(topics, fn)
    })
  })

/** Resolves when the store hints that the job ended. */
export const ended = (forge: ForgeQ, id: string): Promise<void> =>
  new Promise((resolve) => {
    const stop = forge.store.listen([`ended:${id}`], () => {
      stop()
      resolve()
    })
  })
