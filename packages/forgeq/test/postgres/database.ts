// The database that the tests of one file use, and schemas in it: one for each store under test, whose time tests move.
import { after } from 'node:test'
import pg from 'pg'
import { postgres } from '#src/postgres/index.js'
import { ManualClock } from '#src/store/clock.js'
import type { Store } from '#src/store/store.js'
import type { OpenStore } from '../conformance/run-conformance.ts'
import { fast, Server } from './server.ts'

export interface TestDatabase {
  readonly url: string
  /** A connection for the tests themselves. */
  readonly client: pg.Client
  /** The name of a schema that is not there yet; dropped at the end. */
  schema(): string
}

/** To be called once in a test file, outside of its tests. */
export async function testDatabase(): Promise<TestDatabase> {
  const given = process.env['FORGEQ_TEST_POSTGRES_URL']
  const server = given === undefined ? await Server.make() : undefined
  process.on('exit', () => server?.kill())
  await server?.start(fast)
  const client = new pg.Client(given ?? server!.url)
  await client.connect()
  const prefix = `forgeq_test_${process.pid}`
  let count = 0
  after(async () => {
    // A schema has many tables: dropping many at once takes more locks than a server has.
    for (let i = 1; i <= count && given !== undefined; i++)
      await client.query(`DROP SCHEMA IF EXISTS ${prefix}_${i} CASCADE`)
    await client.end()
    await server?.remove()
  })
  return { url: given ?? server!.url, client, schema: () => `${prefix}_${++count}` }
}

/** Stops the time of a schema, and moves it: SQL and the store read the same instant. */
const stopClock = async ({ client }: TestDatabase, schema: string, clock: ManualClock): Promise<void> => {
  await client.query(`UPDATE ${schema}.clock SET frozen_at = $1`, [clock.now()])
}

/** A store in a schema of its own, whose clock stands still. `url`: another way to the database. */
export async function openStopped(
  database: TestDatabase,
  { clock = new ManualClock(), url = database.url }: { readonly clock?: ManualClock; readonly url?: string } = {},
): Promise<OpenStore & { readonly schema: string }> {
  const schema = database.schema()
  const store: Store = postgres(url, { schema, allowUnsafe: true })
  await store.migrate('apply')
  await stopClock(database, schema, clock)
  return {
    store,
    schema,
    now: () => clock.now(),
    advance: async (ms) => {
      clock.advance(ms)
      await stopClock(database, schema, clock)
    },
    close: () => store.close(),
  }
}
