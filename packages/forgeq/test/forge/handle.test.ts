import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defineJob, Discard, ForgeError, typed, type Death } from 'forgeq'
import { bench, Gate } from '../worker/bench.ts'

const plain = { input: typed<unknown>() } as const
const unknownId = '019b76da-a800-7022-8d3c-c67c76232090'

test('result: what the handler returned, as JSON gives it back, for as many as ask', async (t) => {
  const { forge, close } = bench()
  t.after(close)
  const job = defineJob('job', plain, () => ({ at: new Date(0), gone: undefined }))
  const handle = await forge.enqueue(job, 1)
  const early = Promise.all([handle.result(), handle.result(), forge.handle(job, handle.id).result()])
  await forge.worker({ handlers: [job], drain: true, signals: false }).run()
  const value = { at: '1970-01-01T00:00:00.000Z' }
  assert.deepEqual(await early, [value, value, value])
  assert.deepEqual(await handle.result(), value)
})

test('result: a job that died tells how, one that was cancelled why', async (t) => {
  const { forge, close } = bench()
  t.after(close)
  const job = defineJob('job', plain, () => {
    throw new Discard('bounces')
  })
  const dead = await forge.enqueue(job, 1)
  const cancelled = await forge.enqueue(job, 2)
  await cancelled.cancel()
  await forge.worker({ handlers: [job], drain: true, signals: false }).run()
  await assert.rejects(dead.result(), (error: ForgeError) => {
    const death = error.cause as Death
    assert.deepEqual([error.code, death.code, death.message, death.attempts], ['JOB_DEAD', 'DISCARDED', 'bounces', 1])
    assert.match(error.message, /bounces/)
    return true
  })
  await assert.rejects(cancelled.result(), { code: 'CANCELLED', id: cancelled.id })
})

test('result: NOT_FOUND for an id nobody had, RESULT_EXPIRED for a job whose time is over', async (t) => {
  const { forge, advance, close } = bench()
  t.after(close)
  const job = defineJob('job', { ...plain, keepResult: '1s' }, () => 1)
  await assert.rejects(forge.handle(job, unknownId).result(), { code: 'NOT_FOUND' })
  await assert.rejects(forge.handle(job, unknownId).cancel(), { code: 'NOT_FOUND' })
  assert.throws(() => forge.handle(job, 'mine'), { code: 'INVALID_ID' })
  const handle = await forge.enqueue(job, 1)
  await forge.worker({ handlers: [job], drain: true, signals: false }).run()
  await advance(2_000)
  await assert.rejects(handle.result(), { code: 'RESULT_EXPIRED' })
  await advance(3_600_000)
  while ((await forge.store.prune(100)).more);
  await assert.rejects(handle.result(), { code: 'RESULT_EXPIRED' })
})

test('result: TIMEOUT, and the job goes on', async (t) => {
  const { forge, tapped, advance, close } = bench()
  t.after(close)
  const job = defineJob('job', plain, () => 'late')
  const handle = await forge.enqueue(job, 1)
  const timedOut = assert.rejects(handle.result({ timeout: '5s' }), { code: 'TIMEOUT', id: handle.id })
  await advance(5_000)
  await timedOut
  assert.equal(tapped.listening, 0)
  await forge.worker({ handlers: [job], drain: true, signals: false }).run()
  assert.equal(await handle.result({ timeout: 1 }), 'late')
})

test('result: found by the poll when every hint is lost', async (t) => {
  const { forge, tapped, advance, close } = bench()
  t.after(close)
  const deaf = new Proxy(forge.store, {
    get: (store, name) => (name === 'listen' ? () => () => {} : Reflect.get(store, name)),
  })
  const { EndedJobs } = await import('#src/await-results.js')
  const { ManualClock, ManualTimers } = await import('forgeq/testing')
  const timers = new ManualTimers(new ManualClock())
  const ended = new EndedJobs(deaf, timers)
  const job = defineJob('job', plain, () => 1)
  const { id } = await forge.enqueue(job, 1)
  const waiting = ended.wait(id, undefined)
  await timers.advance(60_000)
  const looks = tapped.count('jobs')
  assert.ok(looks > 50 && looks < 80, `${looks} looks in a minute`)
  await forge.worker({ handlers: [job], drain: true, signals: false }).run()
  await timers.advance(1_000)
  assert.equal((await waiting)?.state, 'completed')
  await ended.close()
  await advance(0)
})

test('result: an end between listening and looking is not missed', async (t) => {
  const { forge, tapped, close } = bench()
  t.after(close)
  const job = defineJob('job', plain, () => 'x')
  const handle = await forge.enqueue(job, 1)
  tapped.tap('jobs', async (next) => {
    const before = await next()
    tapped.tap('jobs')
    await forge.worker({ handlers: [job], drain: true, signals: false }).run()
    return before
  })
  assert.equal(await handle.result(), 'x')
})

test('result: a store that is away for a moment does not end the wait, an error that stays does', async (t) => {
  const { forge, tapped, advance, close } = bench()
  t.after(close)
  const job = defineJob('job', plain, () => 'x')
  const handle = await forge.enqueue(job, 1)
  tapped.tap('jobs', () => Promise.reject(new ForgeError('STORE_UNAVAILABLE', 'away')))
  const waiting = handle.result()
  await advance(1_000)
  tapped.tap('jobs')
  await forge.worker({ handlers: [job], drain: true, signals: false }).run()
  assert.equal(await waiting, 'x')
  tapped.tap('jobs', () => Promise.reject(new ForgeError('STORE_UNSAFE', 'broken')))
  await assert.rejects(handle.result(), { code: 'STORE_UNSAFE' })
  tapped.tap('jobs')
  assert.equal(await handle.result(), 'x')
})

test('many results are looked up together', async (t) => {
  const { forge, tapped, close } = bench()
  t.after(close)
  const job = defineJob('job', plain, () => 1)
  const handles = await forge.enqueueMany(
    job,
    Array.from({ length: 500 }, () => 1),
  )
  await forge.worker({ handlers: [job], concurrency: 100, drain: true, signals: false }).run()
  tapped.calls.length = 0
  await Promise.all(handles.map((handle) => handle.result()))
  assert.equal(tapped.count('jobs'), 1)
  assert.equal(tapped.listening, 0)
})

test('close: whoever still waits is told', async () => {
  const { forge } = bench()
  const handle = await forge.enqueue(defineJob('job', plain), 1)
  const waiting = assert.rejects(handle.result(), { code: 'STORE_CLOSED' })
  await forge.close()
  await waiting
  await assert.rejects(handle.result(), { code: 'STORE_CLOSED' })
})

test('cancel: a pending job ends at once', async (t) => {
  const { forge, close } = bench()
  t.after(close)
  const job = defineJob('job', plain, () => 1)
  const handle = await forge.enqueue(job, 1, { delay: '1h' })
  assert.equal(await handle.cancel(), true)
  assert.equal((await forge.admin.job(handle.id))?.state, 'cancelled')
  const done = await forge.enqueue(job, 1)
  await forge.worker({ handlers: [job], drain: true, signals: false }).run()
  assert.equal(await done.cancel(), false)
})

test('an enqueue and its result, 10,000 times in a row, leave nothing behind', async (t) => {
  const { forge, tapped, close } = bench()
  t.after(close)
  const job = defineJob('job', { input: typed<number>() }, ({ input }) => input + 1)
  const worker = forge.worker({ handlers: [job], signals: false })
  const running = worker.run()
  const ready = new Gate()
  forge.on('worker:started', ready.open)
  await ready.opened
  const before = tapped.listening
  for (let i = 0; i < 10_000; i += 1) {
    const handle = await forge.enqueue(job, i)
    if ((await handle.result()) !== i + 1) assert.fail(`round ${i}`)
    if (tapped.calls.length > 1_000) tapped.calls.length = 0
  }
  assert.equal(tapped.listening, before)
  await worker.stop()
  await running
  assert.equal(tapped.listening, 0)
})
