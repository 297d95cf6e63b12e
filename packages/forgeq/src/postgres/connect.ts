// Finds the driver and makes the connections: a pool for transactions, single ones to listen.
import { createRequire } from 'node:module'
import { ForgeError } from '../core/errors.ts'

export type Value = string | number | boolean | null | readonly Value[]

export interface Query {
  readonly text: string
  readonly values?: readonly Value[]
  /** Under this name a connection prepares the statement once. */
  readonly name?: string
}

export interface Result {
  readonly rows: readonly unknown[]
  readonly rowCount: number | null
}

/** What ForgeQ uses of a connection of `pg`. What is asked before the last answer came is answered in order all the same. */
export interface Client {
  query(query: Query | string): Promise<Result>
}

export interface Pooled extends Client {
  /** With an error: the connection is not used again. */
  release(error?: Error): void
}

export interface Pool extends Client {
  connect(): Promise<Pooled>
  end(): Promise<void>
  on(event: 'error', fn: (error: Error) => void): void
  on(event: 'connect', fn: (client: { on(event: 'error', fn: (error: Error) => void): void }) => void): void
}

export interface Listener extends Client {
  connect(): Promise<void>
  end(): Promise<void>
  on(event: 'notification', fn: (message: { readonly payload?: string }) => void): void
  on(event: 'error' | 'end', fn: (error?: Error) => void): void
}

interface Driver {
  readonly Pool: new (config: object) => Pool
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
/** A process that stands still inside a transaction must not keep a queue to itself. */
const idleMs = 10_000
/** Each statement is bounded: one that takes longer waits for something that hangs. */
const statementMs = 30_000

/**
 * Plans must not depend on what the server believes about tables that fill and empty by the minute: a plan that was made when
 * a table was empty would walk it when it is full. So each statement is planned once, as nested loops over indexes, which is
 * what all of them are written for. Compiling one would take longer than it runs.
 */
export const planning: readonly string[] = [
  'plan_cache_mode=force_generic_plan',
  'enable_seqscan=off',
  'enable_bitmapscan=off',
  'enable_hashjoin=off',
  'enable_mergejoin=off',
  'jit=off',
]

const int8 = 20

const config = ({ types }: Driver, url: string): object => ({
  connectionString: url,
  connectionTimeoutMillis: connectMs,
  idle_in_transaction_session_timeout: idleMs,
  statement_timeout: statementMs,
  application_name: 'forgeq',
  options: planning.map((setting) => `-c ${setting}`).join(' '),
  keepAlive: true,
  // Statements that do not wait for each other go out together. Drivers from before 8.22 send them one by one.
  pipeline: true,
  // All numbers of ours are far below 2^53: instants, and sequences that take centuries to get there.
  types: {
    getTypeParser: (oid: number, format?: string) => (oid === int8 ? Number : types.getTypeParser(oid, format)),
  },
})

export const makePool = (url: string): Pool => {
  const driver = findDriver()
  const pool = new driver.Pool({ ...config(driver, url), max: poolSize })
  // An idle connection that breaks is replaced by the next call, which tells when it cannot.
  pool.on('error', () => undefined)
  // One that breaks in use fails its query, which tells; the event says it once more.
  pool.on('connect', (client) => client.on('error', () => undefined))
  return pool
}

export const makeListener = (url: string): Listener => {
  const driver = findDriver()
  return new driver.Client(config(driver, url))
}
