import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defineJob, ForgeError, ForgeQ, typed, type Job, type LoopGuard } from 'forgeq'
import { sqlite } from 'forgeq/sqlite'
import { ManualClock, ManualTimers } from 'forgeq/testing'
import { z } from 'zod'
import { bench, Gate } from './bench.ts'

const once = { input: typed<void>(), retries: 0 } as const
const stubborn = (): Promise<never> => new Promise(() => {})

test('timeout: the signal aborts with TIMEOUT, and the try has failed even when the handler then returns', async (t) => {
  const { forge, advance, next, close } = bench()
  t.after(close)
  let reason: unknown
  const slow = defineJob('slow', { ...once, timeout: '2s' }, ({ signal }) => {
    const aborted = new Promise((resolve) => signal.addEventListener('abort', resolve))
    return aborted.then(() => (reason = signal.reason))
  })
  const worker = forge.worker({ handlers: [slow], signals: false })
  const running = worker.run()
  const started = next('job:started')
  const { id } = await forge.enqueue(slow)
  await started
  await advance(1_999)
  assert.equal(reason, undefined)
  const dead = next('job:dead')
  await advance(1)
  assert.equal((await dead).error.code, 'TIMEOUT')
  assert.ok(ForgeError.is(reason, 'TIMEOUT'))
  assert.equal((await forge.admin.job(id))?.error?.code, 'TIMEOUT')
  await worker.stop()
  await running
})

test('timeout: a handler that does not react is settled without it after the grace, and its slot is free', async (t) => {
  const { forge, tapped, advance, next, close } = bench()
  t.after(close)
  const late = new Gate()
  let calls = 0
  const stuck = defineJob('stuck', { ...once, timeout: '2s' }, async () => {
    calls += 1
    if (calls === 1) await late.opened
    return calls
  })
  const worker = forge.worker({ handlers: [stuck], concurrency: 1, signals: false })
  const running = worker.run()
  const started = next('job:started')
  const first = await forge.enqueue(stuck)
  await started
  const second = await forge.enqueue(stuck)
  const completed = next('job:completed')
  const left = next('job:stuck')
  await advance(2_000)
  assert.equal((await forge.admin.job(first.id))?.state, 'running')
  await advance(5_000)
  assert.equal((await completed).id, second.id)
  assert.equal((await forge.admin.job(first.id))?.error?.code, 'TIMEOUT')
  assert.equal((await left).id, first.id)
  assert.equal((await forge.admin.workers())[0]?.facts?.stuck, 1)
  const settled = tapped.calls.flatMap(
    ({ args }) => (args[0] as { settlements?: { job: string }[] })?.settlements ?? [],
  )
  late.open()
  await advance(5_000)
  assert.equal((await forge.admin.workers())[0]?.facts?.stuck, 0)
  await worker.stop()
  await running
  assert.equal(settled.filter(({ job }) => job === first.id).length, 1)
})

test('timeout 0: no limit', async (t) => {
  const { forge, advance, next, close } = bench()
  t.after(close)
  const end = new Gate()
  const long = defineJob('long', { ...once, timeout: 0 }, () => end.opened)
  const worker = forge.worker({ handlers: [long], signals: false })
  const running = worker.run()
  const started = next('job:started')
  await forge.enqueue(long)
  await started
  await advance(3_600_000)
  const completed = next('job:completed')
  end.open()
  await completed
  await worker.stop()
  await running
})

test('cancel: a running handler hears it at once and its job ends cancelled', async (t) => {
  const { forge, next, close } = bench()
  t.after(close)
  let reason: unknown
  const slow = defineJob('slow', once, async ({ signal }) => {
    await new Promise((resolve) => signal.addEventListener('abort', resolve))
    reason = signal.reason
    throw reason as Error
  })
  const worker = forge.worker({ handlers: [slow], signals: false })
  const running = worker.run()
  const started = next('job:started')
  const handle = await forge.enqueue(slow)
  await started
  const cancelled = next('job:cancelled')
  assert.equal(await handle.cancel(), true)
  await cancelled
  assert.ok(ForgeError.is(reason, 'CANCELLED'))
  await assert.rejects(handle.result(), { code: 'CANCELLED', id: handle.id })
  assert.equal(await handle.cancel(), true, 'again')
  await worker.stop()
  await running
})

test('cancel: a handler that completes all the same has not completed its job', async (t) => {
  const { forge, next, close } = bench()
  t.after(close)
  const end = new Gate()
  const slow = defineJob('slow', once, () => end.opened)
  const worker = forge.worker({ handlers: [slow], signals: false })
  const running = worker.run()
  const started = next('job:started')
  const handle = await forge.enqueue(slow)
  await started
  await handle.cancel()
  const cancelled = next('job:cancelled')
  end.open()
  await cancelled
  await assert.rejects(handle.result(), { code: 'CANCELLED' })
  await worker.stop()
  await running
})

test('cancel: a handler that does not react is cancelled without it after the grace', async (t) => {
  const { forge, advance, next, close } = bench()
  t.after(close)
  const stuck = defineJob('stuck', once, stubborn)
  const worker = forge.worker({ handlers: [stuck], signals: false })
  const running = worker.run()
  const started = next('job:started')
  const handle = await forge.enqueue(stuck)
  await started
  const cancelled = next('job:cancelled')
  await handle.cancel()
  await advance(6_000)
  await cancelled
  await worker.stop()
  await running
})

test('a signal that is first asked for after the abort is aborted', async (t) => {
  const { forge, advance, next, close } = bench()
  t.after(close)
  const go = new Gate()
  let reason: unknown
  const lazy = defineJob('lazy', { ...once, timeout: '1s' }, async (context) => {
    await go.opened
    reason = context.signal.reason
  })
  const worker = forge.worker({ handlers: [lazy], signals: false })
  const running = worker.run()
  const started = next('job:started')
  await forge.enqueue(lazy)
  await started
  await advance(1_000)
  const dead = next('job:dead')
  go.open()
  await dead
  assert.ok(ForgeError.is(reason, 'TIMEOUT'))
  await worker.stop()
  await running
})

test('progress of a job that holds the only slot is stored while it runs', async (t) => {
  const { forge, tapped, advance, next, close } = bench()
  t.after(close)
  const end = new Gate()
  const slow = defineJob('slow', once, async ({ progress, log }) => {
    progress(1, 2)
    log.info('half way')
    await end.opened
  })
  const worker = forge.worker({ handlers: [slow], concurrency: 1, signals: false })
  let failures = 0
  // The first turn that carries the notes is lost and sent again.
  tapped.tap('exchange', (go, [request]) => {
    const { notes } = request as { notes: readonly unknown[] }
    if (notes.length === 0 || (failures += 1) > 1) return go()
    return Promise.reject(new ForgeError('STORE_UNAVAILABLE', 'away'))
  })
  const running = worker.run()
  const started = next('job:started')
  const { id } = await forge.enqueue(slow)
  await started
  await advance(500)
  const job = await forge.admin.job(id, ['logs'])
  assert.deepEqual([job?.state, job?.progress, job?.logs?.[0]?.message], ['running', { done: 1, total: 2 }, 'half way'])
  assert.equal(failures, 2)
  end.open()
  await worker.stop()
  await running
})

test('a handler that blocks the event loop past its limit has timed out, whatever it returns', async (t) => {
  const clock = new ManualClock()
  const timers = new ManualTimers(clock)
  const forge = new ForgeQ({ store: sqlite(':memory:', { inline: true, clock }), timers })
  t.after(() => forge.close())
  const blocking = defineJob('blocking', { ...once, timeout: '2s' }, () => clock.advance(2_001))
  const handle = await forge.enqueue(blocking)
  await forge.worker({ handlers: [blocking], drain: true, signals: false }).run()
  await assert.rejects(handle.result(), { code: 'JOB_DEAD' })
  assert.equal((await forge.admin.job(handle.id))?.error?.code, 'TIMEOUT')
})

test('a result that is still being checked is held to the limit and to cancel like its handler', async (t) => {
  const { forge, advance, next, close } = bench()
  t.after(close)
  const output = z.unknown().refine(stubborn)
  const job = defineJob('checked', { ...once, timeout: '2s', output })
  const worker = forge.worker({ handlers: [job.handler(() => 1)], signals: false })
  const running = worker.run()
  const checking = next('job:started')
  const late = await forge.enqueue(job)
  await checking
  const dead = next('job:dead')
  await advance(7_000)
  assert.deepEqual([(await dead).id, (await dead).error.code], [late.id, 'TIMEOUT'])
  const checkingAgain = next('job:started')
  const handle = await forge.enqueue(job)
  await checkingAgain
  const cancelled = next('job:cancelled')
  await handle.cancel()
  await advance(1_000)
  await advance(5_000)
  await cancelled
  await worker.stop()
  await running
})

test('a watchdog hears by when the event loop is needed next, and of every handler with what is left of its limits', async (t) => {
  const { forge, advance, next, close } = bench()
  t.after(close)
  const expected: number[] = []
  const left: number[] = []
  const guard: LoopGuard = {
    expectWithin: (ms) => expected.push(ms),
    call(guarded, handler) {
      left.push(guarded.leftMs())
      return handler()
    },
  }
  const end = new Gate()
  const long = defineJob('long', { ...once, timeout: '1m' }, () => end.opened)
  const short = defineJob('short', { ...once, timeout: '2s' }, stubborn)
  const sync = defineJob('sync', { ...once, timeout: 500 }, () => {
    assert.equal(expected.at(-1), 500)
  })
  const endless = defineJob('endless', { ...once, timeout: 0 }, () => end.opened)
  const worker = forge.worker({
    handlers: [long, short, sync, endless],
    signals: false,
    guard,
  })
  const running = worker.run()
  const run = async (job: Job): Promise<void> => {
    const started = next('job:started')
    await forge.enqueueMany([{ job, input: undefined, options: {} }])
    await started
  }
  await run(long)
  assert.deepEqual(expected, [60_000])
  await run(endless)
  await run(short)
  assert.deepEqual(expected, [60_000, 2_000])
  await advance(1_000)
  const completed = next('job:completed')
  await run(sync)
  await completed
  assert.deepEqual(expected, [60_000, 2_000, 500, 1_000])
  assert.deepEqual(left, [65_000, Infinity, 7_000, 5_500])
  await advance(1_000)
  // Aborted: from now on only its grace counts.
  assert.equal(expected.at(-1), 5_000)
  const dead = next('job:dead')
  await advance(5_000)
  await dead
  assert.equal(expected.at(-1), 53_000)
  end.open()
  await worker.stop()
  await running
  assert.equal(expected.at(-1), Infinity)
})
