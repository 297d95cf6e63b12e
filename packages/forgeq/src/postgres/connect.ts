// Finds the driver and makes the connections: a pool for transactions, single ones to listen.
import { createRequire } from 'node:module'
import { setTimeout as sleep } from 'node:timers/promises'
import { ForgeError } from '../core/errors.ts'
import { breakOff, type Listener, type Pool, type Pooled, type Query, type Result } from './client.ts'
import { explainRefusal, hasNoRoom } from './failures.ts'
import { Pipe, type DriverClient } from './pipe.ts'

interface DriverPool {
  connect(): Promise<PooledClient>
  end(): Promise<void>
  on(event: 'error', fn: (error: Error) => void): void
  on(event: 'connect' | 'acquire' | 'remove', fn: (client: PooledClient) => void): void
  on(event: 'release', fn: (error: unknown, client: PooledClient) => void): void
}

interface PooledClient extends DriverClient {
  release(error?: Error): void
  on(event: 'error', fn: (error: Error & { readonly code?: string }) => void): void
}

interface Driver {
  readonly Pool: new (config: object) => DriverPool
  readonly Client: new (config: object) => Listener
  readonly types: { getTypeParser(oid: number, format?: string): (text: string) => unknown }
}

/** CONFIG with what to install. */
const findDriver = (): Driver => {
  try {
    return createRequire(import.meta.url)('pg') as Driver
  } catch (cause) {
    throw new ForgeError('CONFIG', 'the PostgreSQL driver did not load; run `npm install pg`', { cause })
  }
}

/** Calls of one process that are in the database at a time; more of them wait. */
const poolSize = 6
const connectMs = 5_000
/** Until it is believed that there is no room for another connection, although there is one of ours. */
const roomMs = 1_500
/** A process that stands still inside a transaction must not keep a queue to itself. Less than the shortest lease. */
const idleMs = 4_000
/** Until a server that does not say goodbye is left without. */
const endMs = 3_000
/** Each statement is bounded by the server: one that takes longer waits for something that hangs. */
const statementMs = 15_000
/** And by this process, for a server that does not even say so. */
const answerMs = 20_000

/**
 * Plans must not depend on what the server believes about tables that fill and empty by the minute: a plan that was made when
 * a table was empty would walk it when it is full. So each statement is planned once, as nested loops over indexes, which is
 * what all of them are written for. Compiling one would take longer than it runs.
 */
export const planning: Readonly<Record<string, string>> = {
  plan_cache_mode: 'force_generic_plan',
  enable_seqscan: 'off',
  enable_bitmapscan: 'off',
  enable_hashjoin: 'off',
  enable_mergejoin: 'off',
  jit: 'off',
}

/** What a role or a database may say of sessions, and must not of ours. */
const meaning: Readonly<Record<string, string>> = {
  // What others have committed counts as soon as their lock is there.
  default_transaction_isolation: 'read committed',
  standard_conforming_strings: 'on',
  array_nulls: 'on',
}

/** What a session is told when it begins; behind a pooler, each transaction. */
const bounds: Readonly<Record<string, string>> = {
  statement_timeout: String(statementMs),
  idle_in_transaction_session_timeout: String(idleMs),
}

/** All of it for the transaction that asks, as columns of its first statement. */
export const settingsHere: string = Object.entries({ ...planning, ...bounds, ...meaning })
  .map(([name, value]) => `set_config('${name}', '${value}', true)`)
  .join(', ')

const int8 = 20

/** What a connection is asked for at its start; a pooler knows nothing of sessions, and refuses what is meant for one. */
const session: object = {
  ...bounds,
  options: Object.entries({ ...planning, ...meaning })
    .map(([name, value]) => `-c ${name}=${value.replaceAll(' ', String.raw`\ `)}`)
    .join(' '),
}

const parserOf =
  (types: Driver['types']) =>
  (oid: number, format?: string): ((text: string) => unknown) =>
    oid === int8 ? Number : types.getTypeParser(oid, format)

const config = ({ types }: Driver, url: string, isPooled: boolean): object => ({
  connectionString: url,
  connectionTimeoutMillis: connectMs,
  application_name: 'forgeq',
  ...(!isPooled && session),
  keepAlive: true,
  // All numbers of ours are far below 2^53: instants, and sequences that take centuries to get there.
  types: { getTypeParser: parserOf(types) },
})

/** `isPooled`: through a pooler, so nothing is asked of the session. */
export const makePool = (url: string, isPooled: boolean): Pool => {
  const driver = findDriver()
  const pool = new driver.Pool({ ...config(driver, url, isPooled), max: poolSize })
  // An idle connection that breaks is replaced by the next call, which tells when it cannot.
  pool.on('error', () => undefined)
  const open = new Map<PooledClient, Pooled>()
  const idle = new Set<PooledClient>()
  pool.on('connect', (client) => {
    open.set(client, asPooled(client, new Pipe(client, parserOf(driver.types))))
    // One that breaks in use fails its query, which tells. Where it did not answer, those that are as old will not either.
    client.on('error', ({ code }) => {
      if (code === 'ETIMEDOUT') [...idle].forEach(breakOff)
    })
  })
  pool.on('acquire', (client) => idle.delete(client))
  pool.on('release', (_, client) => idle.add(client))
  pool.on('remove', (client) => {
    open.delete(client)
    idle.delete(client)
  })
  const end = async (): Promise<void> => {
    const timer = setTimeout(() => [...open.keys()].forEach(breakOff), endMs)
    await pool.end().finally(() => clearTimeout(timer))
  }
  // There may be room for fewer connections than the pool is for: then those that it has are waited for.
  const connect = async (): Promise<Pooled> => {
    for (const endsAt = performance.now() + roomMs; ;) {
      try {
        return open.get(await pool.connect())!
      } catch (error) {
        if (!hasNoRoom(error) || open.size === 0 || performance.now() > endsAt) throw explainRefusal(error)
        await sleep(10 + Math.random() * 10)
      }
    }
  }
  const query = async (text: Query | string): Promise<Result> => {
    const client = await connect()
    try {
      const result = await client.query(text)
      client.release()
      return result
    } catch (error) {
      client.release(error as Error)
      throw error
    }
  }
  return { connect, query, end }
}

const asPooled = (client: PooledClient, pipe: Pipe): Pooled => ({
  processID: client.processID,
  connection: client.connection,
  query: (query) => pipe.query(query, (typeof query === 'string' ? undefined : query.timeoutMs) ?? answerMs),
  release: (error) => client.release(error),
})

export const makeListener = (url: string): Listener => {
  const driver = findDriver()
  return new driver.Client({ ...config(driver, url, false), query_timeout: answerMs })
}
