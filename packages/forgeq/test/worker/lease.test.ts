import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defineJob, ForgeError, typed } from 'forgeq'
import type { ExchangeRequest } from '#src/store/records.js'
import { bench, Gate } from './bench.ts'

const once = { input: typed<void>(), retries: 0 } as const
const down = (): Promise<never> => Promise.reject(new ForgeError('STORE_UNAVAILABLE', 'gone for a moment'))

test('a closed record: handlers are aborted with LEASE_LOST, nothing they do counts, the worker registers anew', async (t) => {
  const { forge, tapped, advance, next, close } = bench()
  t.after(close)
  const end = new Gate()
  const reasons: unknown[] = []
  let calls = 0
  const job = defineJob('job', once, async ({ signal }) => {
    calls += 1
    if (calls > 1) return 'second'
    signal.addEventListener('abort', () => reasons.push(signal.reason))
    await end.opened
    return 'first'
  })
  const worker = forge.worker({ handlers: [job], signals: false })
  const running = worker.run()
  const started = next('job:started')
  const handle = await forge.enqueue(job)
  const first = (await started).worker
  const lost = next('worker:closed')
  const again = next('worker:started')
  await forge.store.leave(first)
  await advance(5_000)
  assert.deepEqual(await lost, { worker: first, reason: 'lost' })
  assert.notEqual((await again).worker, first)
  assert.ok(ForgeError.is(reasons[0], 'LEASE_LOST'))
  end.open()
  await advance(10_000)
  assert.equal(await handle.result(), 'second')
  const outcomes = (await forge.admin.job(handle.id, ['attempts']))?.attempts?.map(({ outcome }) => outcome)
  assert.deepEqual(outcomes, ['crash', 'complete'])
  assert.equal(tapped.calls.filter(({ method }) => method === 'register').length, 2)
  await worker.stop()
  await running
})

test('an exchange whose answer got lost is sent again as the same turn: nothing is lost, nothing runs twice', async (t) => {
  const { forge, tapped, advance, close } = bench()
  t.after(close)
  let calls = 0
  const job = defineJob('job', once, () => (calls += 1))
  const handles = await forge.enqueueMany(job, [undefined, undefined, undefined])
  let lose = 0
  tapped.tap('exchange', async (next) => {
    const reply = await next()
    lose += 1
    // Each turn is lost once: the claims of the first one, the settlements of the second.
    if (lose % 2 === 1) throw new ForgeError('OUTCOME_UNKNOWN', 'the connection broke')
    return reply
  })
  const ups: number[] = []
  forge.on('store:up', ({ downMs }) => ups.push(downMs))
  const worker = forge.worker({ handlers: [job], signals: false })
  const running = worker.run()
  let results: number[] | undefined
  const awaited = Promise.all(handles.map((handle) => handle.result())).then((all) => (results = all))
  while (results === undefined) await advance(100)
  assert.deepEqual(new Set(await awaited), new Set([1, 2, 3]))
  assert.equal(calls, 3)
  assert.ok(ups.length > 0)
  const turns = tapped.calls.filter(({ method }) => method === 'exchange').map(({ args }) => args[0] as ExchangeRequest)
  turns.forEach((request, i) => {
    const before = turns[i - 1]
    if (before === undefined || request.turn !== before.turn) assert.equal(request.turn, (before?.turn ?? 0) + 1)
    else assert.deepEqual(request, before)
  })
  tapped.tap('exchange')
  // The last turn may still wait to be sent again.
  await advance(1_000)
  await worker.stop()
  await running
})

test('a store that is away when the worker starts: it waits, says so once, and goes on', async (t) => {
  const { forge, tapped, advance, next, close } = bench()
  t.after(close)
  const job = defineJob('job', once, () => 'ran')
  const handle = await forge.enqueue(job)
  tapped.tap('register', down)
  const downs: string[] = []
  forge.on('store:down', ({ error }) => downs.push(error.code))
  const worker = forge.worker({ handlers: [job], signals: false })
  const running = worker.run()
  await advance(30_000)
  assert.deepEqual(downs, ['STORE_UNAVAILABLE'])
  assert.ok(tapped.count('register') < 20, 'tries less often the longer it lasts')
  tapped.tap('register')
  const up = next('store:up')
  await advance(5_000)
  await up
  assert.equal(await handle.result(), 'ran')
  await worker.stop()
  await running
})

test('an error that will not pass ends run with it', async (t) => {
  const { forge, tapped, advance, close } = bench()
  t.after(close)
  tapped.tap('exchange', () => Promise.reject(new ForgeError('STORE_CLOSED', 'closed under us')))
  const worker = forge.worker({ handlers: [defineJob('job', once, () => 1)], signals: false })
  const running = assert.rejects(worker.run(), { code: 'STORE_CLOSED' })
  await advance(10_000)
  await running
})

test('beats tell the store how the worker is; with a short lease they come more often', async (t) => {
  const { forge, tapped, advance, next, close } = bench()
  t.after(close)
  const worker = forge.worker({ handlers: [defineJob('job', once, () => 1)], lease: '6s', signals: false })
  const registered = next('worker:started')
  const running = worker.run()
  await registered
  await advance(6_000)
  assert.equal(tapped.count('beat'), 3)
  const [record] = await forge.admin.workers()
  assert.equal(record?.facts?.busy, 0)
  assert.ok((record?.facts?.rssBytes ?? 0) > 0)
  await worker.stop()
  await running
})

test('jobs of a worker that vanished come back, and the third crash buries them as poison', async (t) => {
  const { forge, advance, next, close } = bench()
  t.after(close)
  const job = defineJob('job', once, () => new Promise(() => {}))
  const handle = await forge.enqueue(job)
  for (let crash = 1; crash <= 3; crash += 1) {
    const worker = forge.worker({ handlers: [job], signals: false })
    const started = next('job:started')
    const running = worker.run()
    const { worker: id } = await started
    const crashed = next('job:crashed')
    const stopped = worker.stop()
    await forge.store.leave(id)
    await advance(26_000)
    await stopped
    await running
    // Whoever is there next brings it back.
    const rescuer = forge.worker({ handlers: [defineJob('other', once, () => 1)], signals: false })
    const rescuing = rescuer.run()
    assert.equal((await crashed).dead, crash === 3 ? 'poison' : null)
    await rescuer.stop()
    await rescuing
  }
  await assert.rejects(handle.result(), { code: 'JOB_DEAD' })
})
