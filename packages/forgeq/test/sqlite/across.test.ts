// Two connections on one file, as two processes have them: hints cross, locks are waited for, nothing is lost.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { ManualClock } from '#src/store/clock.js'
import { idSource } from '#src/core/id.js'
import { randomFillSync } from 'node:crypto'
import { foreignConnection, hinted, openStore, someJob, someWorker, temporaryFile } from './files.ts'

const idAt = (clock: ManualClock): string =>
  idSource(
    () => clock.now(),
    (bytes) => randomFillSync(bytes),
  )()

test('a job of another connection is hinted', async (t) => {
  const path = temporaryFile(t)
  const here = openStore(t, path)
  await here.open()
  const heard = hinted(here, 'ready:default')
  await openStore(t, path).enqueue([someJob()], { atomic: true })
  assert.equal(await heard, 'ready:default')
})

test('an exchange that waits is answered with a job of another connection', async (t) => {
  const path = temporaryFile(t)
  const [here, there] = [openStore(t, path), openStore(t, path)]
  const [job, worker] = [someJob(), someWorker()]
  await here.register(worker)
  here.listen(['ready:default'], () => undefined)
  const wants = [{ queue: 'default', slots: 1 }]
  const request = { worker: worker.id, turn: 1, settlements: [], wants, slots: 1, notes: [], waits: true }
  const waiting = here.exchange(request)
  await there.enqueue([job], { atomic: true })
  const reply = await waiting
  assert.equal(!reply.closed && reply.claimed[0]?.job, job.id)
})

test('an exchange that waits is refused when its store is closed', async (t) => {
  const store = openStore(t, temporaryFile(t))
  const worker = someWorker()
  await store.register(worker)
  const wants = [{ queue: 'default', slots: 1 }]
  const request = { worker: worker.id, turn: 1, settlements: [], wants, slots: 1, notes: [], waits: true }
  const waiting = assert.rejects(store.exchange(request), { code: 'STORE_CLOSED' })
  // A read follows the exchange to the other thread.
  await store.queues()
  await store.close()
  await waiting
})

test('the end of a job on another connection is hinted', async (t) => {
  const path = temporaryFile(t)
  const [here, there] = [openStore(t, path), openStore(t, path)]
  const job = someJob()
  await here.enqueue([job], { atomic: true })
  const heard = hinted(here, `ended:${job.id}`)
  await there.act({ action: 'cancel', ids: [job.id] })
  await heard
})

test('a cancel from another connection is hinted to the holder', async (t) => {
  const path = temporaryFile(t)
  const [here, there] = [openStore(t, path), openStore(t, path)]
  const [job, worker] = [someJob(), someWorker()]
  await here.enqueue([job], { atomic: true })
  await here.register(worker)
  await here.exchange({
    worker: worker.id,
    turn: 1,
    settlements: [],
    wants: [{ queue: 'default', slots: 1 }],
    slots: 1,
    notes: [],
  })
  const heard = hinted(here, `orders:${worker.id}`)
  await there.act({ action: 'cancel', ids: [job.id] })
  await heard
  const reply = await here.beat(worker.id, null, [])
  assert.deepEqual(!reply.closed && reply.orders, [{ job: job.id, claim: 1, order: 'cancel' }])
})

test('an earlier due time on another connection is hinted', async (t) => {
  const path = temporaryFile(t)
  const [here, there] = [openStore(t, path), openStore(t, path)]
  await here.open()
  const heard = hinted(here, 'due')
  await there.enqueue([someJob({ delayMs: 60_000 })], { atomic: true })
  await heard
})

test('a due time is news again once the ones before it were promoted', async (t) => {
  const path = temporaryFile(t)
  const clock = new ManualClock()
  const store = openStore(t, path, { clock })
  const heard: string[] = []
  await store.open()
  store.listen(['due'], (topic) => heard.push(topic))
  for (const expected of [1, 2]) {
    await store.enqueue([someJob({ id: idAt(clock), delayMs: 1_000 })], { atomic: true })
    // A read follows the hint of the write before it.
    await store.queues()
    assert.equal(heard.length, expected)
    clock.advance(1_000)
    await store.promote(10)
  }
})

test('a lock held by an application is waited for', async (t) => {
  const path = temporaryFile(t)
  const store = openStore(t, path)
  await store.open()
  const app = foreignConnection(t, path)
  app.exec('BEGIN IMMEDIATE')
  const stored = store.enqueue([someJob()], { atomic: true })
  // The call has reached the other thread when this read, which follows it there, would be next.
  setImmediate(() => app.exec('COMMIT'))
  assert.equal((await stored).length, 1)
})

test('a lock that is never given back is a definite failure', async (t) => {
  const path = temporaryFile(t)
  const store = openStore(t, path)
  await store.open()
  const app = foreignConnection(t, path)
  app.exec('BEGIN IMMEDIATE')
  const job = someJob()
  await assert.rejects(store.enqueue([job], { atomic: true }), { code: 'STORE_UNAVAILABLE', message: /write lock/ })
  app.exec('COMMIT')
  assert.deepEqual(await store.jobs([job.id]), [])
})

test('each call waits for the lock from when it came, not from when those before it gave up', async (t) => {
  const path = temporaryFile(t)
  const store = openStore(t, path)
  await store.open()
  const app = foreignConnection(t, path)
  app.exec('BEGIN IMMEDIATE')
  const waits = async (): Promise<number> => {
    const since = performance.now()
    await assert.rejects(store.enqueue([someJob()], { atomic: true }), { code: 'STORE_UNAVAILABLE' })
    return performance.now() - since
  }
  const first = waits()
  await setTimeout(200)
  const others = [waits(), waits()]
  for (const ms of await Promise.all([first, ...others])) assert.ok(ms > 1_990 && ms < 3_500, `it took ${ms} ms of 2 s`)
  app.exec('ROLLBACK')
  await store.enqueue([someJob()], { atomic: true })
})

test('sixteen connections that write at once all get through', async (t) => {
  const path = temporaryFile(t)
  const stores = Array.from({ length: 16 }, () => openStore(t, path, { durability: 'relaxed' }))
  await Promise.all(
    stores.map(async (store) => {
      for (let i = 0; i < 20; i++) await store.enqueue([someJob(), someJob()], { atomic: true })
    }),
  )
  const [queue] = await stores[0]!.queues()
  assert.equal(queue?.counts.ready, 16 * 20 * 2)
})
