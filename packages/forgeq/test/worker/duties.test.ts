import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defineJob, typed } from 'forgeq'
import { caps } from '#src/core/caps.js'
import { bench } from './bench.ts'

const plain = { input: typed<void>() } as const

test('a delayed job starts when it is due, not before, without a poll in between', async (t) => {
  const { forge, advance, next, close } = bench()
  t.after(close)
  const job = defineJob('job', plain, () => 1)
  const worker = forge.worker({ handlers: [job], signals: false })
  const registered = next('worker:started')
  const running = worker.run()
  await registered
  await forge.enqueue(job, undefined, { delay: '90s' })
  let startedAt = 0
  let elapsed = 0
  forge.on('job:started', () => (startedAt = elapsed))
  for (; elapsed < 91_000; elapsed += 500) await advance(500)
  assert.ok(startedAt >= 89_500 && startedAt <= 90_000, `started after ${startedAt} ms`)
  await worker.stop()
  await running
})

test('a job that expires before it starts ends cancelled and is never started', async (t) => {
  const { forge, tapped, advance, next, close } = bench()
  t.after(close)
  const job = defineJob('job', plain, () => 1)
  const other = defineJob('other', { ...plain, queue: 'other' }, () => 1)
  const worker = forge.worker({ handlers: [other], signals: false })
  const registered = next('worker:started')
  const running = worker.run()
  await registered
  const handle = await forge.enqueue(job, undefined, { expire: '5s' })
  await advance(6_000)
  await assert.rejects(handle.result(), { code: 'CANCELLED', cause: { reason: 'expired' } })
  assert.ok(tapped.count('promote') > 0)
  await worker.stop()
  await running
})

test('what ended is deleted when its time is over', async (t) => {
  const { forge, advance, next, close } = bench()
  t.after(close)
  const job = defineJob('job', { ...plain, keepResult: '20m' }, () => 1)
  const worker = forge.worker({ handlers: [job], signals: false })
  const running = worker.run()
  const completed = next('job:completed')
  const { id } = await forge.enqueue(job)
  await completed
  await advance(19 * 60_000)
  assert.equal((await forge.admin.job(id))?.state, 'completed')
  await advance(3 * 60_000)
  assert.equal(await forge.admin.job(id), undefined)
  await worker.stop()
  await running
})

for (const chance of [0, 0.999]) {
  test(`leases are looked at more than twice in the shortest one, with chance at ${chance}`, async (t) => {
    const { forge, tapped, advance, next, close } = bench()
    t.after(close)
    t.mock.method(Math, 'random', () => chance)
    let elapsed = 0
    const looks: number[] = []
    tapped.tap('lost', (go) => {
      looks.push(elapsed)
      return go()
    })
    const worker = forge.worker({ handlers: [defineJob('job', plain, () => 1)], lease: '10m', signals: false })
    const registered = next('worker:started')
    const running = worker.run()
    await registered
    for (; elapsed < 60_000; elapsed += 100) await advance(100)
    const pauses = looks.slice(1).map((at, i) => at - looks[i]!)
    assert.ok(pauses.length > 10)
    assert.ok(Math.max(...pauses) < caps.leaseMinMs / 2, `${Math.max(...pauses)} ms between two looks`)
    await worker.stop()
    await running
  })
}

test('idle: the longer nothing happens the less is asked, and a hint ends the pause at once', async (t) => {
  const { forge, tapped, advance, next, close } = bench()
  t.after(close)
  const job = defineJob('job', plain, () => 1)
  const worker = forge.worker({ handlers: [job], signals: false })
  const registered = next('worker:started')
  const running = worker.run()
  await registered
  await advance(10_000)
  tapped.calls.length = 0
  await advance(60_000)
  assert.ok(tapped.count('exchange') <= 85, `${tapped.count('exchange')} exchanges in an idle minute`)
  assert.ok(tapped.calls.length <= 130, `${tapped.calls.length} calls in an idle minute`)
  const completed = next('job:completed')
  await forge.enqueue(job)
  await completed
  await worker.stop()
  await running
})
