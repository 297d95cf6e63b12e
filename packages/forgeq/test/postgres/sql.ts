// A store and its SQL functions, as an application calls them: over a connection of its own, in its own transactions.
import assert from 'node:assert/strict'
import { after, type TestContext } from 'node:test'
import pg from 'pg'
import { policy } from '#src/conformance/scene.js'
import { idSource } from '#src/core/id.js'
import type { JobRecord, NewJob } from '#src/store/records.js'
import type { Store } from '#src/store/store.js'
import type { OpenStore } from '../conformance/run-conformance.ts'
import { openStopped, testDatabase, type TestDatabase } from './database.ts'

export interface Scene extends OpenStore {
  readonly schema: string
  readonly store: Store
  /** The ids that one call gives; `args` as they are written in SQL. */
  readonly sql: (args: string, client?: pg.Client) => Promise<string>
  /** One as the library makes it. */
  readonly job: (facts?: Partial<NewJob>) => NewJob
  /** All jobs, in the order in which they came. */
  readonly jobs: () => Promise<readonly JobRecord[]>
}

export interface Scenes {
  readonly database: TestDatabase
  readonly open: (t: TestContext) => Promise<Scene>
  /** Another connection. */
  readonly connect: () => Promise<pg.Client>
}

export async function scenes(): Promise<Scenes> {
  const clients: pg.Client[] = []
  after(async () => {
    for (const client of clients) await client.end()
  })
  const database = await testDatabase()
  return {
    database,
    connect: async () => {
      const client = new pg.Client(database.url)
      await client.connect()
      clients.push(client)
      return client
    },
    open: async (t) => {
      const opened = await openStopped(database)
      t.after(() => opened.close())
      const { schema, store, now } = opened
      const newId = idSource(now, (bytes) => void crypto.getRandomValues(bytes))
      return {
        ...opened,
        // Without parameters: as text, without types, as psql sends it.
        sql: async (args, client = database.client) => {
          const { rows } = await client.query<{ id: string }>(`SELECT ${schema}.enqueue(${args}) AS id`)
          return rows[0]!.id
        },
        job: (facts) => ({ id: newId(), type: 'mail', payload: '{}', policy, ...facts }),
        jobs: async () => (await store.find({}, null, 1000)).jobs.toReversed(),
      }
    },
  }
}

export interface Refused {
  readonly code: string
  readonly message: string
  readonly detail: string
  readonly hint: string
}

/** How PostgreSQL refuses: SQLSTATE, ForgeQ's code, words that name the member, and what to do. */
export async function refused(call: Promise<unknown>, state: string, code: string, words: RegExp): Promise<void> {
  await assert.rejects(call, (error: Refused) => {
    assert.equal(error.code, state, error.message)
    assert.equal(error.detail, code)
    assert.match(error.message, /^forgeq: /)
    assert.match(error.message, words)
    assert.ok(error.hint.length > 0)
    return true
  })
}
