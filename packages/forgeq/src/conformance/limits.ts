// What is told of limits: of a queue, what is set and what is left; of a job, what it waits for in its key.
import assert from 'node:assert/strict'
import { noLimits, type KeyLimits } from '../core/limit.ts'
import { unlimited } from '../store/queue-record.ts'
import { area } from './area.ts'
import type { Case } from './case.ts'
import { complete, crash, retry } from './endings.ts'
import { freeLine } from './scene.ts'

const rate = { max: 2, perMs: 1000 }
const perKey = { concurrency: 2, rate, ordered: false }

export const limitsCases: readonly Case[] = area('limits', {
  'a queue that nobody has limited says so': async (s) => {
    await s.add()
    const { accepting, limits, fill, heldUntil, heldTypes } = await s.queue()
    assert.deepEqual({ accepting, limits, fill, heldUntil, heldTypes }, unlimited)
  },

  'a queue with settings is listed before its first job, with all that was set': async (s) => {
    await s.limit({ maxDepth: 5 }, 'depth')
    await s.limit({ accepting: false }, 'closed')
    await s.limit({ concurrency: 3, rate, rates: { 8: rate }, perKey, maxDepth: 9 }, 'all')
    assert.deepEqual((await s.queue('depth')).limits, { ...noLimits, maxDepth: 5 })
    assert.deepEqual((await s.queue('closed')).accepting, false)
    const all = await s.queue('all')
    assert.deepEqual(all.limits, { concurrency: 3, rate, rates: { 8: rate }, perKey, maxDepth: 9 })
    assert.deepEqual(all.fill, { rate: { left: 2, opensAt: null }, rates: { 8: { left: 2, opensAt: null } } })
    assert.deepEqual([all.counts.ready, all.oldestReadyAt], [0, null])
  },

  'settings that are not named stay, null takes one away': async (s) => {
    await s.limit({ concurrency: 3, rate, perKey, maxDepth: 9, paused: true })
    await s.limit({ concurrency: 4 })
    await s.limit({ maxDepth: null, accepting: false })
    const { limits, paused, accepting } = await s.queue()
    assert.deepEqual(limits, { ...noLimits, concurrency: 4, rate, perKey })
    assert.deepEqual([paused, accepting], [true, false])
    await s.limit({ rate: null, perKey: null, concurrency: null })
    assert.deepEqual((await s.queue()).limits, noLimits)
  },

  'limits of keys that are not named stay, null takes them all away': async (s) => {
    await s.limit({ perKey })
    await s.limit({ perKey: { concurrency: 1 } })
    await s.limit({ perKey: { ordered: true } })
    assert.deepEqual((await s.queue()).limits.perKey, { concurrency: 1, rate, ordered: true })
    await s.limit({ perKey: { rate: null, ordered: false }, concurrency: 7 })
    assert.deepEqual((await s.queue()).limits.perKey, { concurrency: 1, rate: null, ordered: false })
    await s.limit({ perKey: null })
    assert.deepEqual((await s.queue()).limits.perKey, noLimits.perKey)
  },

  'limits of keys that do not go together are refused, and nothing changes': async (s) => {
    await s.limit({ perKey: { concurrency: 2 } })
    const refused = (perKey: Partial<KeyLimits>): Promise<void> =>
      assert.rejects(s.limit({ perKey, maxDepth: 5 }), { code: 'INVALID_OPTION', message: /perKey\.concurrency/ })
    await refused({ ordered: true })
    assert.deepEqual((await s.queue()).limits, { ...noLimits, perKey: { ...noLimits.perKey, concurrency: 2 } })
    await s.limit({ perKey: { ordered: true, concurrency: null } })
    await refused({ concurrency: 2 })
    assert.deepEqual((await s.queue()).limits, { ...noLimits, perKey: { ...noLimits.perKey, ordered: true } })
  },

  'a queue tells what its rates leave and when there is room again': async (s) => {
    await s.limit({ rate: { max: 3, perMs: 2000 }, rates: { 5: rate, 8: rate } })
    await s.addMany(3)
    await s.addMany(3, { priority: 8 })
    const worker = await s.worker()
    const startedAt = s.now()
    await worker.claim(1)
    await s.advance(100)
    await worker.claim(1)
    const level5 = { left: 0, opensAt: startedAt + 1000 }
    assert.deepEqual((await s.queue()).fill, {
      rate: { left: 1, opensAt: null },
      rates: { 5: level5, 8: { left: 2, opensAt: null } },
    })
    await worker.claim(9)
    assert.deepEqual((await s.queue()).fill, {
      rate: { left: 0, opensAt: startedAt + 2000 },
      rates: { 5: level5, 8: { left: 1, opensAt: null } },
    })
    await s.advance(900)
    assert.deepEqual((await s.queue()).fill.rates, { 5: { left: 1, opensAt: null }, 8: { left: 1, opensAt: null } })
    // A rate that was lowered below what started never leaves less than nothing.
    await s.limit({ rate: { max: 1, perMs: 2000 } })
    assert.deepEqual((await s.queue()).fill.rate, { left: 0, opensAt: startedAt + 2000 })
  },

  'jobs that wait for their key are counted as ready, and so is their age': async (s) => {
    await s.limit({ perKey: { concurrency: 1, rate: null, ordered: false } })
    await s.addMany(5, { key: 'k' })
    const readyAt = s.now()
    const worker = await s.worker()
    await worker.claim(9)
    await s.advance(1000)
    const { counts, oldestReadyAt } = await s.queue()
    assert.deepEqual([counts.ready, counts.running, oldestReadyAt], [4, 1, readyAt])
  },

  'a ready job tells what it waits for in its key': async (s) => {
    await s.limit({ perKey: { ...perKey, concurrency: 1 } })
    const [a, b, c] = await s.addMany(3, { key: 'k' })
    assert.deepEqual(await s.line(a!), freeLine)
    assert.deepEqual(await s.line(b!), { ...freeLine, isNext: false })
    const worker = await s.worker()
    const opensAt = s.now() + 1000
    await worker.settle(complete(await worker.claimOne()))
    await worker.claimOne()
    assert.deepEqual(await s.line(c!), { ...freeLine, running: 1, rateOpensAt: opensAt })
    await s.advance(1000)
    assert.deepEqual(await s.line(c!), { ...freeLine, running: 1 })
  },

  'only a ready job with a key has such a line, and only when asked': async (s) => {
    await s.add({ key: 'k' })
    const worker = await s.worker()
    const { job: running } = await worker.claimOne()
    const [ready, free, later] = [await s.add({ key: 'k' }), await s.add(), await s.add({ key: 'k', delayMs: 1000 })]
    for (const id of [running, free, later]) assert.equal(await s.line(id), undefined)
    const [job] = await s.store.jobs([ready])
    assert.equal(job && 'line' in job, false)
    assert.equal((await s.line(ready))?.running, 1)
    await worker.settle(retry({ job: running, claim: 1 }, 1000))
    assert.equal(await s.line(running), undefined)
  },

  'suspects behind a closed rate, a full queue or a closed level are nobody to wait for': async (s) => {
    const once = { max: 1, perMs: 1000 }
    for (const [queue, limits] of Object.entries({ rate: { rate: once }, level: { rates: { 5: once } } })) {
      await s.limit(limits, queue)
      await s.add({ queue })
      const victim = await s.worker()
      await victim.settle(crash(await victim.claimOne(queue)))
      const worker = await s.worker()
      const ask = { wants: [{ queue, slots: 9 }], suspects: 'skip' } as const
      assert.equal((await worker.exchange(ask)).suspects, false, queue)
      await s.advance(1000)
      assert.equal((await worker.exchange(ask)).suspects, true, queue)
    }
    await s.limit({ concurrency: 1 })
    await s.addMany(2)
    const victim = await s.worker()
    await victim.settle(crash(await victim.claimOne()))
    const bold = await s.worker()
    const held = await bold.claimOne()
    const worker = await s.worker()
    const ask = { wants: [{ queue: 'default', slots: 9 }], suspects: 'alone' } as const
    assert.equal((await worker.exchange(ask)).suspects, false)
    await bold.settle(crash(held))
    assert.deepEqual((await worker.exchange(ask)).claimed.length, 1)
  },

  'an exchange that waits brings a job when its queue opens, by time or by hand': async (s) => {
    await s.limit({ rate })
    await s.addMany(8)
    const worker = await s.worker()
    const wants = [{ queue: 'default', slots: 9 }]
    assert.equal((await worker.exchange({ wants })).claimed.length, 2)
    const opens = [
      async () => {
        await s.advance(1000)
        await s.promote()
      },
      () => s.limit({ rate: null }),
    ]
    for (const open of opens) {
      const waiting = worker.exchange({ wants, waits: true })
      await open()
      // At the latest the next beat ends the wait.
      await s.store.beat(worker.id, null, [])
      const claimed = [...(await waiting).claimed, ...(await worker.exchange({ wants })).claimed]
      assert.ok(claimed.length > 0)
    }
  },

  // The contract keeps the later of two alarms of one gate, so a window that was made shorter is told of too late; what is
  // claimed goes by the window itself.
  'a shorter window opens when it is over': async (s) => {
    await s.limit({ rate: { max: 1, perMs: 5000 } })
    await s.addMany(2)
    const worker = await s.worker()
    await worker.claimOne()
    await s.limit({ rate: { max: 1, perMs: 1000 } })
    assert.deepEqual((await s.queue()).fill.rate, { left: 0, opensAt: s.now() + 1000 })
    await s.advance(999)
    assert.deepEqual(await worker.claim(9), [])
    await s.advance(1)
    assert.equal((await worker.claim(9)).length, 1)
  },
})
