// How statements go over a connection: together where nobody waits in between, and what a failure leaves.
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import type { Pooled, Query, Value } from '#src/postgres/client.js'
import { makePool } from '#src/postgres/connect.js'
import { textOf } from '#src/postgres/text.js'
import { ByHand } from './by-hand.ts'
import { testDatabase } from './database.ts'
import { newJob } from './jobs.ts'
import { gatherStatements } from './plans.ts'
import { Proxy } from './proxy.ts'

const database = await testDatabase()
const proxy = await Proxy.to(database.url)
const pool = makePool(proxy.urlOf(database.url), false)
after(async () => {
  await pool.end()
  await proxy.close()
})

const named = (name: string, text: string, ...values: Value[]): Query => ({ name, text, values })

const using = async (work: (client: Pooled) => Promise<void>): Promise<void> => {
  const client = await pool.connect()
  try {
    await work(client)
  } finally {
    client.release()
  }
}

const settled = async (client: Pooled, ...queries: readonly Query[]): Promise<unknown[]> =>
  (await Promise.allSettled(queries.map((query) => client.query(query)))).map((result) =>
    result.status === 'fulfilled' ? result.value.rows : (result.reason as { code?: string }).code,
  )

/** How often the server is asked to answer, and the kinds of all messages. */
const sentBy = async (work: () => Promise<unknown>): Promise<{ readonly trips: number; readonly kinds: string }> => {
  proxy.sent.length = 0
  await work()
  return { trips: proxy.sent.filter((kind) => kind === 'S' || kind === 'Q').length, kinds: proxy.sent.join('') }
}

test('what is asked without waiting goes out as one message, and is prepared and described once', () =>
  using(async (client) => {
    const ask = (): Promise<unknown[]> =>
      settled(client, named('one', 'SELECT $1::int AS n', 1), named('one', 'SELECT $1::int AS n', 2))
    const rows = [[{ n: 1 }], [{ n: 2 }]]
    assert.equal((await sentBy(async () => assert.deepEqual(await ask(), rows))).kinds, 'PBDEBDES')
    assert.equal((await sentBy(async () => assert.deepEqual(await ask(), rows))).kinds, 'BEBES')
  }))

test('what stands before a statement that failed is answered, and what stands behind it fails with it', () =>
  using(async (client) => {
    const asked = [
      named('begin', 'BEGIN'),
      named('first', 'SELECT 1 AS n'),
      named('second', 'SELECT 1 / $1::int AS n', 0),
      named('third', 'SELECT 3 AS n'),
      named('commit', 'COMMIT'),
    ]
    assert.deepEqual(await settled(client, ...asked), [[], [{ n: 1 }], '22012', '22012', '22012'])
    assert.deepEqual(await settled(client, asked[1]!), ['25P02'], 'its transaction is still there')
    await client.query('ROLLBACK')
    // The second was prepared and the third was not.
    const again = [asked[0]!, named('second', 'SELECT 1 / $1::int AS n', 1), asked[3]!, asked[4]!]
    assert.deepEqual(await settled(client, ...again), [[], [{ n: 1 }], [{ n: 3 }], []])
  }))

test('a statement that could not be prepared can be asked again', () =>
  using(async (client) => {
    const later = named('later', 'SELECT count(*)::int AS n FROM pipe_later')
    assert.deepEqual(await settled(client, later), ['42P01'])
    await client.query('CREATE TEMP TABLE pipe_later (n int); INSERT INTO pipe_later VALUES (1), (2)')
    assert.deepEqual(await settled(client, later), [[{ n: 2 }]])
  }))

test('a statement whose table has changed since, or that is forgotten, fails once', () =>
  using(async (client) => {
    const all = named('all', 'SELECT * FROM pipe_changing')
    await client.query('CREATE TEMP TABLE pipe_changing (a int); INSERT INTO pipe_changing VALUES (1)')
    assert.deepEqual(await settled(client, all), [[{ a: 1 }]])
    await client.query('ALTER TABLE pipe_changing ADD COLUMN b int')
    assert.deepEqual(await settled(client, all), ['0A000'])
    assert.deepEqual(await settled(client, all), [[{ a: 1, b: null }]])
    await client.query('DEALLOCATE ALL')
    assert.deepEqual(await settled(client, all), ['26000'])
    assert.deepEqual(await settled(client, all), [[{ a: 1, b: null }]])
  }))

test('a statement without a begin fails where its commit does', () =>
  using(async (client) => {
    await client.query('CREATE TEMP TABLE pipe_one (n int UNIQUE DEFERRABLE INITIALLY DEFERRED)')
    const twice = named('twice', 'INSERT INTO pipe_one VALUES (1), (1)')
    assert.deepEqual(await settled(client, twice), ['23505'])
    assert.deepEqual(await settled(client, named('', 'SELECT * FROM pipe_one')), [[]])
  }))

test('values arrive as they are', () =>
  using(async (client) => {
    // The server takes no NUL in a text.
    const text = fc.string({ unit: 'binary' }).filter((one) => !one.includes('\0'))
    const special = fc.constantFrom('', 'NULL', 'null', '"', '\\', '\\"', '{}', '{a,b}', ' ', ',', '\n', 'é😀')
    const texts = fc.array(fc.option(fc.oneof(text, special)))
    await fc.assert(
      fc.asyncProperty(
        texts,
        fc.array(fc.maxSafeInteger()),
        fc.array(fc.boolean()),
        async (strings, numbers, booleans) => {
          const query = named(
            'values',
            'SELECT $1::text[] AS a, $2::bigint[]::text[] AS b, $3::boolean[] AS c',
            strings,
            numbers,
            booleans,
          )
          const [row] = (await client.query(query)).rows
          assert.deepEqual(row, { a: strings, b: numbers.map(String), c: booleans })
        },
      ),
      { numRuns: 300 },
    )
    assert.equal(textOf([[1, null], ['a']]), '{{1,NULL},{"a"}}')
  }))

test('a connection that does not answer in time is given up, for a text as for statements', async () => {
  for (const query of [named('', 'SELECT pg_sleep(5)'), { text: 'SELECT pg_sleep(5)' }]) {
    const client = await pool.connect()
    const asked = [client.query({ ...query, timeoutMs: 100 }), client.query({ ...query, timeoutMs: 100 })]
    for (const result of await Promise.allSettled(asked)) assert.equal(result.status, 'rejected')
    await assert.rejects(client.query('SELECT 1'), 'it is broken')
    client.release(new Error('broken'))
  }
  assert.deepEqual((await pool.query(named('', 'SELECT 1 AS n'))).rows, [{ n: 1 }])
})

test('a store goes on when a migration changes what a statement gives', async (t) => {
  const scene = await ByHand.open(t, database)
  const { store, schema } = scene
  const enqueue = (): Promise<unknown> => store.enqueue([newJob()], { atomic: true })
  await enqueue()
  await database.client.query(`ALTER TABLE ${schema}.job ALTER COLUMN payload TYPE varchar`)
  for (let i = 0; i < 3; i++) await enqueue()
  assert.equal((await scene.claim()).length, 4)
})

test('nobody reads the head of a queue that is closed', async (t) => {
  const scene = await ByHand.open(t, database, { slots: 1 })
  const { store } = scene
  for (let i = 0; i < 5; i++) await store.enqueue([newJob()], { atomic: true })
  const statements = gatherStatements()
  const heads = (): number => [...statements].filter((sql) => sql.includes('WITH head')).length
  assert.equal((await scene.claim()).length, 1)
  await store.setQueue('default', { paused: true })
  // It settles, and learns that the queue is closed.
  await scene.claim()
  ;(statements as Set<string>).clear()
  for (let i = 0; i < 3; i++) assert.deepEqual(await scene.claim(), [])
  assert.equal(heads(), 0)
  await store.setQueue('default', { paused: false })
  assert.equal((await scene.claim()).length, 1)
  assert.equal(heads(), 1)
})

test('an enqueue, an exchange and an enqueue for a worker that waits take one trip each', async (t) => {
  const scene = await ByHand.open(t, { ...database, url: proxy.urlOf(database.url) })
  const enqueue = (): Promise<unknown> => scene.store.enqueue([newJob()], { atomic: true })
  // What a process asks once, and each connection prepares.
  for (let i = 0; i < 20; i++) {
    await enqueue()
    await scene.exchange()
  }
  const trips = async (work: () => Promise<unknown>): Promise<number> => (await sentBy(work)).trips
  // Now and then a look at the heads of lanes comes in between.
  const counted: number[][] = []
  for (let i = 0; i < 10; i++) counted.push([await trips(enqueue), await trips(() => scene.exchange())])
  assert.deepEqual(
    [0, 1].map((what) => Math.min(...counted.map((counts) => counts[what]!))),
    [1, 1],
  )
  await scene.exchange()
  // Who had something to do a moment ago waits only for a moment.
  await sleep(1_500)
  const reply = scene.exchange(true)
  await sleep(100)
  assert.equal(await trips(enqueue), 1)
  assert.equal((await reply).claimed.length, 1)
})
