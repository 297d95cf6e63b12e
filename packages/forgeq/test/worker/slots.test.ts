import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defineJob, typed, type Handler, type WorkerOptions } from 'forgeq'
import type { ExchangeRequest } from '#src/store/records.js'
import type { WorkerFacts } from '#src/store/worker-record.js'
import { Slots } from '#src/worker/slots.js'
import { bench, Gate } from './bench.ts'

test('a queue gets no more than its slots, all together no more than there are', () => {
  const slots = new Slots({ mail: 2, other: 10 }, 3)
  assert.deepEqual(slots.wants(), [
    { queue: 'mail', slots: 2 },
    { queue: 'other', slots: 3 },
  ])
  slots.take('mail')
  slots.take('mail')
  assert.deepEqual(slots.wants(), [{ queue: 'other', slots: 1 }])
  slots.take('other')
  assert.deepEqual(slots.wants(), [])
  slots.give('mail')
  assert.equal(slots.free, 1)
  assert.deepEqual(
    slots
      .wants()
      .map(({ queue }) => queue)
      .toSorted(),
    ['mail', 'other'],
  )
})

test('when slots are short every queue comes first in its turn', () => {
  const slots = new Slots({ a: 1, b: 1, c: 1 }, 1)
  const first = Array.from({ length: 6 }, () => slots.wants()[0]?.queue)
  for (const queue of ['a', 'b', 'c']) assert.equal(first.filter((one) => one === queue).length, 2)
})

test('more slots, fewer slots: queues that had all of them follow, what is taken beyond them is waited for', () => {
  const slots = new Slots({ mail: 2, other: 4 }, 4)
  slots.resize(6)
  assert.deepEqual(slots.wants(), [
    { queue: 'mail', slots: 2 },
    { queue: 'other', slots: 6 },
  ])
  for (let i = 0; i < 5; i += 1) slots.take('other')
  slots.resize(3)
  assert.equal(slots.free, -2)
  assert.deepEqual(slots.wants(), [])
  for (let i = 0; i < 3; i += 1) slots.give('other')
  assert.deepEqual(
    slots.wants().find(({ queue }) => queue === 'other'),
    { queue: 'other', slots: 1 },
  )
})

test('a worker that is resized runs as many at once, more and fewer, and says so', async (t) => {
  const { forge, tapped, next, close } = bench()
  t.after(close)
  const ends: (() => void)[] = []
  let wanted = 0
  let reached = (): void => {}
  const running = (count: number): Promise<void> =>
    new Promise((resolve) => {
      wanted = count
      reached = resolve
      if (ends.length === wanted) resolve()
    })
  const job = defineJob('job', { input: typed<void>() }, async () => {
    await new Promise<void>((resolve) => {
      ends.push(resolve)
      if (ends.length === wanted) reached()
    })
  })
  await forge.enqueueMany(
    job,
    Array.from({ length: 9 }, () => undefined),
  )
  const worker = forge.worker({ handlers: [job], concurrency: 2, signals: false })
  const registered = next('worker:started')
  const over = worker.run()
  const { worker: id } = await registered
  const told = (slots: number): Promise<void> =>
    new Promise((resolve) => {
      tapped.tap('beat', async (call, [, facts]) => {
        const reply = await call()
        if ((facts as WorkerFacts | null)?.slots === slots) resolve()
        return reply
      })
    })
  await running(2)
  const grown = told(5)
  await forge.admin.resizeWorker(id, 5)
  await Promise.all([grown, running(5)])
  const [record] = await forge.admin.workers()
  assert.deepEqual([record?.slots, record?.facts?.slots, record?.held], [5, 5, 5])

  const shrunk = told(1)
  await forge.admin.resizeWorker(id, 1)
  await shrunk
  for (const end of ends.splice(0)) end()
  await running(1)
  assert.deepEqual(
    (await forge.admin.workers()).map(({ held, slots }) => [held, slots]),
    [[1, 1]],
  )
  const stopped = worker.stop()
  for (const end of ends.splice(0)) end()
  await stopped
  await over
})

test('slots out of range, a worker that is not there and a supervisor are refused', async (t) => {
  const { forge, close } = bench()
  t.after(close)
  for (const slots of [0, -1, 1.5, 10_001, Number.NaN]) {
    await assert.rejects(forge.admin.resizeWorker('any', slots), { code: 'INVALID_OPTION' })
  }
  await assert.rejects(forge.admin.resizeWorker('nobody', 1), { code: 'NOT_FOUND' })
  await forge.store.register({
    id: 'crew',
    host: 'h',
    pid: 1,
    pidSpace: null,
    version: '1',
    queues: [],
    types: [],
    slots: 0,
    leaseMs: 15_000,
    keepAlive: false,
  })
  await assert.rejects(forge.admin.resizeWorker('crew', 1), { code: 'STATE_CONFLICT' })
})

test('where a single job will come every queue comes first in its turn, whatever is claimed in between', () => {
  const slots = new Slots({ a: 2, b: 2 }, 2)
  const first = (isForOne: boolean): string | undefined => slots.wants(isForOne)[0]?.queue
  const seen = Array.from({ length: 4 }, () => [first(true), first(false)])
  assert.deepEqual(
    seen.map(([one]) => one),
    ['a', 'b', 'a', 'b'],
  )
  assert.deepEqual(
    seen.map(([, many]) => many),
    ['a', 'b', 'a', 'b'],
  )
})

test('a worker claims what it has slots for and no more, and the next as soon as one is free', async (t) => {
  const { forge, tapped, next, close } = bench()
  t.after(close)
  const ends: (() => void)[] = []
  let most = 0
  let busy = 0
  const job = defineJob('job', { input: typed<void>() }, async () => {
    busy += 1
    most = Math.max(most, busy)
    await new Promise<void>((resolve) => ends.push(resolve))
    busy -= 1
  })
  await forge.enqueueMany(
    job,
    Array.from({ length: 7 }, () => undefined),
  )
  const worker = forge.worker({ handlers: [job], concurrency: 3, signals: false })
  let started = next('job:started')
  const running = worker.run()
  for (let done = 0; done < 7; done += 1) {
    while (ends.length === 0) {
      await started
      started = next('job:started')
    }
    const completed = next('job:completed')
    ends.shift()?.()
    await completed
  }
  assert.equal(most, 3)
  const claims = tapped.calls
    .filter(({ method }) => method === 'exchange')
    .map(({ args }) => (args[0] as ExchangeRequest).slots)
  assert.ok(Math.max(...claims) <= 3)
  await worker.stop()
  await running
})

test('settlements that end in the same turn of the event loop go in one exchange', async (t) => {
  const { forge, tapped, close } = bench()
  t.after(close)
  const all = new Gate()
  let calls = 0
  const job = defineJob('job', { input: typed<void>() }, async () => {
    calls += 1
    if (calls === 50) all.open()
    await all.opened
  })
  await forge.enqueueMany(
    job,
    Array.from({ length: 50 }, () => undefined),
  )
  await forge.worker({ handlers: [job], concurrency: 50, drain: true, signals: false }).run()
  const sizes = tapped.calls
    .filter(({ method }) => method === 'exchange')
    .map(({ args }) => (args[0] as ExchangeRequest).settlements.length)
  assert.deepEqual(
    sizes.filter((size) => size > 0),
    [50],
  )
})

test('large results go in several exchanges', async (t) => {
  const { forge, tapped, close } = bench()
  t.after(close)
  const job = defineJob('job', { input: typed<void>() }, () => 'x'.repeat(1_000_000))
  const handles = await forge.enqueueMany(
    job,
    Array.from({ length: 12 }, () => undefined),
  )
  await forge.worker({ handlers: [job], concurrency: 12, drain: true, signals: false }).run()
  const sizes = tapped.calls
    .filter(({ method }) => method === 'exchange')
    .map(({ args }) => JSON.stringify(args[0]).length)
  assert.ok(Math.max(...sizes) < 5_000_000)
  for (const handle of handles) assert.equal((await handle.result()).length, 1_000_000)
})

test('options out of range are refused with their name', async (t) => {
  const { forge, close } = bench()
  t.after(close)
  const job = defineJob('job', { input: typed<void>() }, () => 1)
  const contract = defineJob('contract', { input: typed<void>() })
  const cases: readonly [WorkerOptions, string][] = [
    [{ handlers: [] }, 'handlers'],
    [{ handlers: [contract as unknown as Handler] }, 'handlers.0'],
    [{ handlers: [job, job] }, 'handlers.1'],
    [{ handlers: [job], concurrency: 0 }, 'concurrency'],
    [{ handlers: [job], queues: { mail: 1.5 } }, 'queues.mail'],
    [{ handlers: [job], queues: { 'not a name': 1 } }, 'queues'],
    [{ handlers: [job], lease: '1s' }, 'lease'],
  ]
  for (const [options, path] of cases) {
    assert.throws(
      () => forge.worker(options),
      (error: { code: string; problems: { path: string }[] }) =>
        error.code === 'INVALID_OPTION' && error.problems[0]?.path === path,
      path,
    )
  }
})

test('a store that stopped looking is asked again at once, and a draining worker does not take that for the end', async (t) => {
  const { forge, tapped, close } = bench()
  t.after(close)
  const job = defineJob('job', { input: typed<void>() }, () => 1)
  const { id } = await forge.enqueue(job)
  let looks = 0
  tapped.tap('exchange', async (go) => {
    looks += 1
    if (looks > 3) return go()
    const { now } = await forge.ready()
    return { closed: false, verdicts: [], claimed: [], orders: [], more: true, nextDueAt: null, now }
  })
  await forge.worker({ handlers: [job], drain: true, signals: false }).run()
  assert.equal((await forge.admin.job(id))?.state, 'completed')
})
