// Connections that break, answers that get lost, a server that stops: what is told is true, and the next call works.
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { ForgeError } from '#src/core/errors.js'
import { postgres } from '#src/postgres/index.js'
import type { ExchangeRequest } from '#src/store/records.js'
import type { Store } from '#src/store/store.js'
import { complete, crash } from '#src/conformance/endings.js'
import { openStopped, testDatabase } from './database.ts'
import { newJob, registration } from './jobs.ts'
import { Proxy } from './proxy.ts'
import { Server } from './server.ts'

const database = await testDatabase()
const { url, client } = database
const proxy = await Proxy.to(url)
after(() => proxy.close())

const cutAll = /* sql */ `
  SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'forgeq' AND pid <> pg_backend_pid()`
const waiting = /* sql */ `
  SELECT pid FROM pg_stat_activity WHERE application_name = 'forgeq' AND wait_event_type = 'Lock' AND wait_event = 'advisory'`

const untilOneWaits = async (): Promise<void> => {
  // Within a transaction the server would show the same state of its connections again and again.
  while ((await client.query(waiting)).rows.length === 0) await client.query('SELECT pg_stat_clear_snapshot()')
}

test('connections that broke while nobody used them are replaced unnoticed', async () => {
  const opened = await openStopped(database)
  const { store } = opened
  await store.register(registration('w'))
  assert.ok((await client.query(cutAll)).rows.length > 0, 'there were connections to break')
  assert.equal((await store.beat('w', null, [])).closed, false)
  await opened.close()
})

test('a call whose connection breaks on the way has done nothing, and says so', async () => {
  const schema = database.schema()
  const store = postgres(url, { schema, allowUnsafe: true })
  await store.enqueue([newJob()], { atomic: true })
  await client.query('BEGIN')
  await client.query(`SELECT ${schema}.enter(id, true) FROM ${schema}.queue`)
  // In a transaction, for it is not due.
  const job = { ...newJob(), delayMs: 60_000 }
  const call = assert.rejects(store.enqueue([job], { atomic: true }), (error) =>
    ForgeError.is(error, 'STORE_UNAVAILABLE'),
  )
  await untilOneWaits()
  await client.query(cutAll)
  await call
  await client.query('COMMIT')
  assert.deepEqual(await store.enqueue([job], { atomic: true }), [{ id: job.id, duplicate: false }])
  await store.close()
})

test('an enqueue in one statement whose connection breaks before it is done is made again', async () => {
  const schema = database.schema()
  const store = postgres(url, { schema, allowUnsafe: true })
  await store.enqueue([newJob()], { atomic: true })
  await client.query('BEGIN')
  await client.query(`SELECT ${schema}.enter(id, true) FROM ${schema}.queue`)
  const job = newJob()
  const call = store.enqueue([job], { atomic: true })
  await untilOneWaits()
  await client.query(cutAll)
  await untilOneWaits()
  await client.query('COMMIT')
  assert.deepEqual(await call, [{ id: job.id, duplicate: false }])
  await store.close()
})

test('an enqueue that a pooler gives up may still be done: that is not known', async () => {
  const store = postgres(proxy.urlOf(url), { schema: database.schema(), allowUnsafe: true })
  await store.enqueue([newJob()], { atomic: true })
  const job = newJob()
  proxy.giveUpAt('_put')
  await assert.rejects(store.enqueue([job], { atomic: true }), (error) => ForgeError.is(error, 'OUTCOME_UNKNOWN'))
  while ((await store.jobs([job.id])).length === 0);
  assert.deepEqual(await store.enqueue([job], { atomic: true }), [{ id: job.id, duplicate: true }])
  await store.close()
})

for (const [name, lose] of [
  ['is lost', () => proxy.loseAnswerTo('_put', 'SELECT 1')],
  // The server says that a statement is done, and then commits it.
  ['comes, but not to its end,', () => proxy.endAfter('_put', 'SELECT 1')],
] as const) {
  test(`an enqueue in one statement whose answer ${name} is not known, and a duplicate when it was done`, async () => {
    const store = postgres(proxy.urlOf(url), { schema: database.schema(), allowUnsafe: true })
    await store.enqueue([newJob()], { atomic: true })
    const job = newJob()
    lose()
    await assert.rejects(store.enqueue([job], { atomic: true }), (error) => ForgeError.is(error, 'OUTCOME_UNKNOWN'))
    assert.deepEqual(await store.enqueue([job], { atomic: true }), [{ id: job.id, duplicate: true }])
    await store.close()
  })
}

test('an enqueue whose answer is lost at the commit may have been done, and is a duplicate when it was', async () => {
  const store = postgres(proxy.urlOf(url), { schema: database.schema(), allowUnsafe: true })
  await store.open()
  const job = newJob()
  proxy.loseAnswerTo('COMMIT')
  await assert.rejects(store.enqueue([job], { atomic: true }), (error) => ForgeError.is(error, 'OUTCOME_UNKNOWN'))
  assert.deepEqual(await store.enqueue([job], { atomic: true }), [{ id: job.id, duplicate: true }])
  await store.close()
})

test('a server that goes away as soon as it has committed has answered', async () => {
  const store = postgres(proxy.urlOf(url), { schema: database.schema(), allowUnsafe: true })
  await store.open()
  const job = newJob()
  proxy.endAfter('COMMIT')
  assert.deepEqual(await store.enqueue([job], { atomic: true }), [{ id: job.id, duplicate: false }])
  assert.deepEqual(await store.enqueue([job], { atomic: true }), [{ id: job.id, duplicate: true }])
  await store.close()
})

test('an exchange whose answer is lost at the commit is sent again and loses nothing', async () => {
  const store = postgres(proxy.urlOf(url), { schema: database.schema(), allowUnsafe: true })
  const job = newJob()
  // Who was told that there is something claims without a look.
  store.listen(['ready:default'], () => undefined)
  await store.enqueue([job], { atomic: true })
  await store.register(registration('w'))
  const wants = [{ queue: 'default', slots: 5 }]
  const request = { worker: 'w', turn: 1, settlements: [], wants, slots: 5, notes: [] }
  proxy.loseNextCommit()
  await assert.rejects(store.exchange(request), (error) => ForgeError.is(error, 'OUTCOME_UNKNOWN'))
  const again = await store.exchange(request)
  assert.ok(!again.closed)
  assert.deepEqual(
    again.claimed.map((claimed) => [claimed.job, claimed.claim]),
    [[job.id, 1]],
  )
  await store.close()
})

// Whatever it is that was committed: made again it has the same answer and no second effect. What is left out (beat, promote,
// prune, lost) carries nothing that could be done twice, and is simply done again.
const lostCommits: Readonly<Record<string, (store: Store, lose: () => void) => Promise<void>>> = {
  register: async (store, lose) => {
    lose()
    await unknown(store.register(registration('w')))
    await store.register(registration('w'))
    assert.equal((await store.workers()).length, 1)
  },
  'exchange that settles': async (store, lose) => {
    const request = await claimed(store)
    lose()
    await unknown(store.exchange(request))
    const again = await store.exchange(request)
    assert.deepEqual(!again.closed && again.verdicts, ['applied'])
    assert.equal((await store.queues())[0]!.counts.completed, 1)
  },
  'settle for a closed worker': async (store, lose) => {
    await claimed(store)
    await store.leave('w')
    const { jobs } = await store.lost(10)
    const settlements = jobs.map((job) => ({ ...crash(job), worker: job.worker }))
    lose()
    await unknown(store.settle(settlements))
    // The rescuer cannot tell its own settlement from that of another one; either way it is done once.
    assert.deepEqual(await store.settle(settlements), ['lost'])
    const { counts } = (await store.queues())[0]!
    assert.deepEqual([counts.ready, counts.running], [1, 0])
    assert.deepEqual((await store.lost(10)).jobs, [])
  },
  leave: async (store, lose) => {
    await store.register(registration('w'))
    lose()
    await unknown(store.leave('w'))
    await store.leave('w')
    assert.deepEqual(await store.workers(), [])
  },
  setQueue: async (store, lose) => {
    await store.enqueue([newJob()], { atomic: true })
    lose()
    await unknown(store.setQueue('default', { paused: true, accepting: false }))
    await store.setQueue('default', { paused: true, accepting: false })
    assert.equal((await store.queues())[0]!.paused, true)
  },
  setWorker: async (store, lose) => {
    await store.register(registration('w'))
    lose()
    await unknown(store.setWorker('w', { slots: 3 }))
    assert.equal(await store.setWorker('w', { slots: 3 }), true)
  },
  act: async (store, lose) => {
    const job = newJob()
    await store.enqueue([job], { atomic: true })
    lose()
    await unknown(store.act({ action: 'cancel', ids: [job.id] }))
    await store.act({ action: 'cancel', ids: [job.id] })
    const { counts } = (await store.queues())[0]!
    assert.deepEqual([counts.ready, counts.cancelled], [0, 1])
  },
}

const unknown = (call: Promise<unknown>): Promise<void> =>
  assert.rejects(call, (error) => ForgeError.is(error, 'OUTCOME_UNKNOWN'))

/** A worker that has claimed a job, and the exchange that completes it. */
const claimed = async (store: Store): Promise<ExchangeRequest> => {
  await store.enqueue([newJob()], { atomic: true })
  await store.register(registration('w'))
  const request = {
    worker: 'w',
    turn: 1,
    settlements: [],
    wants: [{ queue: 'default', slots: 1 }],
    slots: 1,
    notes: [],
  }
  const reply = await store.exchange(request)
  assert.ok(!reply.closed)
  return { ...request, turn: 2, settlements: reply.claimed.map((hold) => complete(hold)), wants: [], slots: 0 }
}

for (const [name, play] of Object.entries(lostCommits)) {
  test(`lost commit: ${name}: once, whether its answer came or not`, async () => {
    const store = postgres(proxy.urlOf(url), { schema: database.schema(), allowUnsafe: true })
    await store.open()
    await play(store, () => proxy.loseNextCommit())
    await store.close()
  })
}

test('a server that stops is unavailable, and goes on where it was when it is back', async () => {
  const server = await Server.make()
  after(() => server.remove())
  process.on('exit', () => server.kill())
  await server.start(['fsync=off'])
  const store = postgres(server.url, { allowUnsafe: true })
  const job = newJob()
  await store.enqueue([job], { atomic: true })
  await store.register(registration('w'))
  await server.stop()
  await assert.rejects(store.queues(), (error) => ForgeError.is(error, 'STORE_UNAVAILABLE'))
  await server.start(['fsync=off'])
  assert.equal((await store.beat('w', null, [])).closed, false)
  assert.deepEqual(await store.enqueue([job], { atomic: true }), [{ id: job.id, duplicate: true }])
  await store.close()
})
