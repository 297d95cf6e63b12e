import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defineJob, ForgeError, ForgeQ, typed } from 'forgeq'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sqlite } from 'forgeq/sqlite'
import { ManualClock, ManualTimers } from 'forgeq/testing'
import { z } from 'zod'
import { bench, Gate } from './bench.ts'
import type { ExchangeRequest } from '#src/store/records.js'
import { TappedStore } from './tap.ts'

const once = { input: typed<void>(), retries: 0 } as const

test('stop: running handlers finish, nothing more is claimed, the record is closed', async (t) => {
  const { forge, tapped, next, close } = bench()
  t.after(close)
  const end = new Gate()
  const slow = defineJob('slow', once, () => end.opened)
  const worker = forge.worker({ handlers: [slow], concurrency: 1, signals: false })
  const running = worker.run()
  const started = next('job:started')
  const first = await forge.enqueue(slow)
  await started
  const second = await forge.enqueue(slow)
  const closed = next('worker:closed')
  const stopped = worker.stop()
  end.open()
  await stopped
  await running
  assert.equal((await closed).reason, 'stopped')
  assert.equal((await forge.admin.job(first.id))?.state, 'completed')
  assert.equal((await forge.admin.job(second.id))?.state, 'ready')
  assert.ok((await forge.admin.workers()).every((record) => record.closed))
  assert.equal(tapped.listening, 0)
})

test('stop: what the turn brings that settles the last running job is handed back, too', async (t) => {
  const { forge, tapped, next, close } = bench()
  t.after(close)
  const [ended, sent, answered] = [new Gate(), new Gate(), new Gate()]
  const job = defineJob('job', once, () => ended.opened)
  const worker = forge.worker({ handlers: [job], concurrency: 1, signals: false })
  const running = worker.run()
  const started = next('job:started')
  await forge.enqueue(job)
  await started
  const second = await forge.enqueue(job)
  tapped.tap('exchange', async (call, [request]) => {
    const reply = await call()
    if ((request as ExchangeRequest).settlements.some(({ outcome }) => outcome === 'complete')) {
      sent.open()
      await answered.opened
    }
    return reply
  })
  ended.open()
  await sent.opened
  const stopped = worker.stop()
  answered.open()
  await stopped
  await running
  const [rescuable, record] = [await forge.store.lost(10), await forge.admin.job(second.id)]
  assert.deepEqual([rescuable.jobs, record?.state, record?.attempt, record?.crashes], [[], 'ready', 1, 0])
})

test('stop: what outlives the grace is aborted and handed back, uncounted and in front', async (t) => {
  const { forge, advance, next, close } = bench()
  t.after(close)
  const reasons: unknown[] = []
  const stuck = defineJob('stuck', once, ({ signal }) => {
    signal.addEventListener('abort', () => reasons.push(signal.reason))
    return new Promise(() => {})
  })
  const polite = defineJob('polite', once, async ({ signal }) => {
    await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)))
  })
  const worker = forge.worker({ handlers: [stuck, polite], signals: false })
  const running = worker.run()
  const both = new Promise<void>((resolve) => {
    let count = 0
    forge.on('job:started', () => (count += 1) === 2 && resolve())
  })
  const handles = await forge.enqueueMany([stuck.with(), polite.with()])
  await both
  const released = next('job:released')
  const stopped = worker.stop({ grace: '10s' })
  await advance(9_999)
  assert.deepEqual(reasons, [])
  await advance(1_001)
  await released
  await stopped
  await running
  assert.ok(ForgeError.is(reasons[0], 'SHUTDOWN'))
  for (const { id } of handles) {
    const job = await forge.admin.job(id, ['attempts'])
    assert.deepEqual([job?.state, job?.attempt, job?.attempts?.[0]?.outcome], ['ready', 1, 'release'])
  }
})

test('stop: an exchange that waits in the store for work is ended, and starts nothing that comes later', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'forgeq-'))
  const tapped = new TappedStore(sqlite(join(folder, 'jobs.db')))
  // Its timers stand still: no beat of the worker, no end of patience.
  const forge = new ForgeQ({ store: tapped.store, timers: new ManualTimers(new ManualClock()) })
  t.after(async () => {
    await forge.close()
    await rm(folder, { recursive: true })
  })
  const job = defineJob('job', once, () => assert.fail('started after stop'))
  const worker = forge.worker({ handlers: [job], signals: false })
  const waiting = new Promise<void>((resolve) => {
    tapped.tap('exchange', (next) => {
      resolve()
      return next()
    })
  })
  const running = worker.run()
  await waiting
  const enqueued = forge.enqueue(job)
  await worker.stop()
  await running
  const { id } = await enqueued
  assert.deepEqual([(await forge.admin.job(id))?.state, (await forge.admin.job(id))?.crashes], ['ready', 0])
})

test('stop twice: the second one shortens the grace, both end together', async (t) => {
  const { forge, advance, next, close } = bench()
  t.after(close)
  const stuck = defineJob('stuck', once, () => new Promise(() => {}))
  const worker = forge.worker({ handlers: [stuck], signals: false })
  const running = worker.run()
  const started = next('job:started')
  await forge.enqueue(stuck)
  await started
  const slow = worker.stop()
  const quick = worker.stop({ grace: 0 })
  await advance(1_000)
  await Promise.all([slow, quick, running])
  await worker.stop()
})

test('stop before run: nothing happens', async (t) => {
  const { forge, tapped, close } = bench()
  t.after(close)
  const worker = forge.worker({ handlers: [defineJob('x', once, () => 1)], signals: false })
  await worker.stop()
  await worker.run()
  assert.equal(tapped.count('register'), 0)
})

test('jobs that an exchange brings after stop was called are handed back unstarted', async (t) => {
  const { forge, tapped, close } = bench()
  t.after(close)
  let starts = 0
  const job = defineJob('job', once, () => (starts += 1))
  const handle = await forge.enqueue(job)
  const worker = forge.worker({ handlers: [job], signals: false })
  let stopped: Promise<void> | undefined
  tapped.tap('exchange', async (next) => {
    const reply = await next()
    stopped ??= worker.stop()
    return reply
  })
  await worker.run()
  await stopped
  assert.equal(starts, 0)
  const shown = await forge.admin.job(handle.id, ['attempts'])
  assert.deepEqual([shown?.state, shown?.attempts?.[0]?.outcome], ['ready', 'release'])
})

test('stop ends although the store does not answer any more', async (t) => {
  const { forge, tapped, advance, next, close } = bench()
  t.after(close)
  const end = new Gate()
  const job = defineJob('job', once, () => end.opened)
  const worker = forge.worker({ handlers: [job], signals: false })
  const running = worker.run()
  const started = next('job:started')
  await forge.enqueue(job)
  await started
  for (const method of ['exchange', 'beat', 'leave'] as const) tapped.tap(method, () => new Promise(() => {}))
  end.open()
  let isClosed = false
  forge.on('worker:closed', () => (isClosed = true))
  const stopped = worker.stop()
  await advance(2_000)
  await stopped
  await running
  assert.equal(isClosed, false, 'its record is open: whoever watches over it closes that')
  for (const method of ['exchange', 'beat', 'leave'] as const) tapped.tap(method)
})

test('drain: ends by itself once nothing is left, retries without delay included', async (t) => {
  const { forge, close } = bench()
  t.after(close)
  const flaky = defineJob(
    'flaky',
    { input: typed<void>(), backoff: { type: 'fixed', delay: 0, jitter: false } },
    ({ job }) => {
      if (job.attempt < 3) throw new Error('again')
      return 'done'
    },
  )
  const handle = await forge.enqueue(flaky)
  await forge.worker({ handlers: [flaky], drain: true, signals: false }).run()
  assert.equal(await handle.result(), 'done')
})

test('SIGTERM stops a running worker, and its listeners are gone afterwards', async (t) => {
  const { forge, next, close } = bench()
  t.after(close)
  const before = process.listenerCount('SIGTERM')
  const worker = forge.worker({ handlers: [defineJob('job', once, () => 1)] })
  const registered = next('worker:started')
  const running = worker.run()
  await registered
  process.kill(process.pid, 'SIGTERM')
  await running
  assert.equal(process.listenerCount('SIGTERM'), before)
})

test('close: stops the workers of the forge', async () => {
  const { forge, next } = bench()
  const worker = forge.worker({ handlers: [defineJob('job', once, () => 1)], signals: false })
  const registered = next('worker:started')
  const running = worker.run()
  await registered
  await forge.close()
  await running
  await forge.close()
})

test('stop while the worker registers: its record does not stay open', async (t) => {
  const { forge, tapped, close } = bench()
  t.after(close)
  const registering = new Gate()
  const answer = new Gate()
  tapped.tap('register', async (next) => {
    const reply = await next()
    registering.open()
    await answer.opened
    return reply
  })
  const worker = forge.worker({ handlers: [defineJob('job', once, () => 1)], signals: false })
  const running = worker.run()
  await registering.opened
  const stopped = worker.stop()
  answer.open()
  await stopped
  await running
  assert.ok((await forge.admin.workers()).every((record) => record.closed))
  assert.equal(tapped.listening, 0)
})

test('stop waits for a result that is still being checked', async (t) => {
  const { forge, next, close } = bench()
  t.after(close)
  const checking = new Gate()
  const checked = new Gate()
  const output = z.unknown().refine(async () => {
    checking.open()
    await checked.opened
    return true
  })
  const job = defineJob('checked', { ...once, output })
  const worker = forge.worker({ handlers: [job.handler(() => 1)], signals: false })
  const running = worker.run()
  const { id } = await forge.enqueue(job)
  await checking.opened
  const completed = next('job:completed')
  const stopped = worker.stop()
  checked.open()
  await stopped
  await running
  assert.equal((await completed).id, id)
})
