// Who may talk to a server without accounts: this machine only, and no web page of another site through its browser.
import { lookup } from 'node:dns/promises'
import { isIPv4 } from 'node:net'
import type { Context, MiddlewareHandler } from 'hono'
import { ForgeError } from '../core/errors.ts'

const isLoopback = (address: string): boolean =>
  isIPv4(address) ? address.startsWith('127.') : address === '::1' || address.startsWith('::ffff:127.')

/** The address to bind for `host`; CONFIG when it can be reached from other machines. */
export async function loopbackAddress(host: string): Promise<string> {
  const found = host === '' ? [] : await lookup(host, { all: true, order: 'ipv4first' }).catch(() => [])
  const [first] = found
  if (first !== undefined && found.every(({ address }) => isLoopback(address))) return first.address
  throw new ForgeError(
    'CONFIG',
    `host ${JSON.stringify(host)} is not a loopback address: without accounts the server would be open to the network; ` +
      'use 127.0.0.1, ::1 or localhost, and a proxy or a tunnel that checks who comes from outside',
  )
}

/**
 * Refuses requests for another host, which is how a page gets at this server by rebinding its own name to 127.0.0.1, and
 * writes that a browser sends for a page of another origin. `hosts`: names allowed besides those of this machine.
 */
export function guard(hosts: readonly string[]): MiddlewareHandler {
  const allowed = new Set(hosts.map((host) => host.toLowerCase()))
  return async (c, next) => {
    checkHost(c, allowed)
    if (c.req.method !== 'GET' && c.req.method !== 'HEAD') checkSite(c)
    await next()
  }
}

/** The name, not the port: a tunnel may lead here from any port, a rebound name stays another name. */
function checkHost(c: Context, allowed: ReadonlySet<string>): void {
  const host = c.req.header('host')
  const names = [new URL(c.req.url).hostname, ...(host === undefined ? [] : [hostname(host)])]
  const foreign = names.find((name) => !isOwn(name) && !allowed.has(name))
  if (foreign === undefined) return
  throw new ForgeError('WRONG_HOST', `this server does not answer for host ${foreign.slice(0, 60)}: use localhost`)
}

const hostname = (host: string): string => (URL.canParse(`http://${host}`) ? new URL(`http://${host}`).hostname : host)

const isOwn = (name: string): boolean =>
  name === 'localhost' || name.endsWith('.localhost') || isLoopback(name.replace(/^\[(.*)\]$/, '$1'))

/** Browsers send Sec-Fetch-Site with every request, older ones Origin; other clients send neither. */
function checkSite(c: Context): void {
  const site = c.req.header('sec-fetch-site')
  const origin = c.req.header('origin')
  const isOurs =
    site === undefined
      ? origin === undefined || origin === new URL(c.req.url).origin
      : site === 'same-origin' || site === 'none'
  if (!isOurs) throw new ForgeError('FORBIDDEN', 'web pages of another origin may not change anything here')
}
