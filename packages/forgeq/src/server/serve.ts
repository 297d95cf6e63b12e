// The HTTP server: a loopback socket in front of the API, and the duties that keep delays, rescue and retention going
// where no worker runs.
import { createServer, type Server as HttpServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { getRequestListener, RequestError } from '@hono/node-server'
import { toMs, type Duration } from '../core/duration.ts'
import { ForgeError } from '../core/errors.ts'
import { StoreTime } from '../store-time.ts'
import { realTimers } from '../timers.ts'
import { build, warn, type ApiOptions } from './api.ts'
import { loopbackAddress } from './guard.ts'
import { problem } from './problem.ts'

export interface ServeOptions extends ApiOptions {
  /** A loopback address or a name of one. Default `127.0.0.1`. */
  readonly host?: string
  /** 0 = any free one. Default 7788. */
  readonly port?: number
}

export interface Server extends AsyncDisposable {
  readonly url: string
  readonly port: number
  /**
   * Takes no more requests, answers those that wait for a job at once, lets the others end for `grace` (default 5 s). The
   * forge stays open.
   */
  stop(options?: { readonly grace?: Duration }): Promise<void>
}

/** A client that sends slower than this is cut off. */
const headersWithinMs = 10_000
const requestWithinMs = 30_000
const graceMs = 5_000

/** Starts the HTTP API; CONFIG when the host is not a loopback address or the port is taken. */
export async function serve(options: ServeOptions): Promise<Server> {
  const { forge, host = '127.0.0.1', port = 7788, hosts = [], onError = warn } = options
  const address = await loopbackAddress(host)
  const time = new StoreTime(realTimers)
  let failure: { readonly error: unknown } | undefined
  const check = (): void => {
    if (failure !== undefined) throw failure.error
  }
  const duties = forge.duties((error) => {
    failure = { error }
    onError(error)
  })
  const inner = build({ ...options, hosts: [...hosts, host] }, { time, check })
  const listener = getRequestListener(inner.fetch, {
    overrideGlobalObjects: false,
    errorHandler: (error) => refuse(error, onError),
  })
  const http = createServer(
    { headersTimeout: headersWithinMs, requestTimeout: requestWithinMs },
    (request, response) => {
      listener(request, response).catch(onError)
    },
  )
  const bound = await listen(http, address, port)
  http.on('error', onError)
  duties.start()

  let stopping: Promise<void> | undefined
  const stop = async (withinMs: number): Promise<void> => {
    const closed = new Promise<void>((resolve) => http.close(() => resolve()))
    const cancel = realTimers.after(withinMs, () => http.closeAllConnections())
    await inner.close()
    await closed
    cancel()
    await duties.stop()
  }
  const server: Server = {
    url: `http://${bound.family === 'IPv6' ? `[${bound.address}]` : bound.address}:${bound.port}`,
    port: bound.port,
    stop: (how = {}) => (stopping ??= stop(how.grace === undefined ? graceMs : toMs(how.grace, 'grace'))),
    [Symbol.asyncDispose]: () => server.stop(),
  }
  return server
}

function listen(http: HttpServer, host: string, port: number): Promise<AddressInfo> {
  return new Promise((resolve, reject) => {
    const refused = (cause: NodeJS.ErrnoException): void => {
      const why = cause.code === 'EADDRINUSE' ? 'is taken: stop what uses it, or choose another port' : cause.message
      reject(new ForgeError('CONFIG', `port ${port} on ${host} ${why}`, { cause }))
    }
    http.once('error', refused)
    http.listen({ host, port }, () => {
      http.off('error', refused)
      resolve(http.address() as AddressInfo)
    })
  })
}

/** What never became a request, or was not answered by the API. */
function refuse(error: unknown, onError: (error: unknown, requestId?: string) => void): Response {
  const requestId = crypto.randomUUID()
  const isClients = error instanceof RequestError
  if (!isClients) onError(error, requestId)
  const { status, headers, body } = problem(
    isClients ? new ForgeError('USAGE', `the request cannot be read: ${error.message}`) : error,
    requestId,
  )
  return new Response(body, { status, headers: { ...headers, 'X-Request-Id': requestId } })
}
