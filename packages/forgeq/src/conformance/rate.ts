// Rates: in no window of their length do more jobs start than they allow, wherever the window begins; and with work to do,
// no fewer. What is left of them is told in limits.ts.
import assert from 'node:assert/strict'
import type { Rate } from '../core/limit.ts'
import { area } from './area.ts'
import type { Case } from './case.ts'
import { complete, crash, release, retry, snooze } from './endings.ts'
import type { JobOptions, Scene } from './scene.ts'
import type { ScriptedWorker } from './scripted-worker.ts'

/** The most starts that any window of the rate's length holds. */
const mostIn = (starts: readonly number[], { perMs }: Rate): number =>
  Math.max(0, ...starts.map((from) => starts.filter((at) => at >= from && at < from + perMs).length))

/** Numbers from 0 to below `below`, always the same ones. From the high bits: the low ones repeat themselves at once. */
const numbers = (seed: number): ((below: number) => number) => {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

/** Steps around the edges of windows of a second, and any others. */
const steps = [1, 1, 2, 250, 499, 500, 501, 998, 999, 1000, 1001, 1999, 3000]

/** When jobs started while two workers claimed as they liked, promote came late and jobs arrived in bursts. */
async function startsUnderFire(s: Scene, seed: number, options: JobOptions): Promise<readonly number[]> {
  const random = numbers(seed)
  const workers = [await s.worker(), await s.worker()]
  const starts: number[] = []
  await s.add(options)
  for (let i = 0; i < 100; i++) {
    if (random(3) === 0 && (await s.queue()).counts.ready < 20) await s.addMany(1 + random(9), options)
    const worker = workers[random(2)]!
    const claimed = await worker.claim([1, 2, 3, 10][random(4)]!)
    for (const _ of claimed) starts.push(s.now())
    await worker.settle(...claimed.map((one) => [complete, release, retry, crash][random(4)]!(one)))
    if (random(2) === 0) await s.store.promote(1000)
    if (random(4) === 0) await s.store.prune(1000)
    await s.advance(steps[random(steps.length)]!)
    await s.store.beat(workers[0]!.id, null, [])
    await s.store.beat(workers[1]!.id, null, [])
  }
  return starts
}

const perSecond = (max: number): Rate => ({ max, perMs: 1000 })

const count = async (worker: ScriptedWorker, slots = 100): Promise<number> => (await worker.claim(slots)).length

export const rateCases: readonly Case[] = area('rate', {
  'no window holds more starts than the rate of the queue, however jobs arrive': async (s) => {
    await s.limit({ rate: perSecond(3) })
    for (const seed of [1, 2, 3]) {
      const starts = await startsUnderFire(s, seed, { maxAttempts: 1000 })
      assert.equal(mostIn(starts, perSecond(3)), 3)
      await s.advance(1000)
    }
  },

  'no window holds more starts than the rate of a level, however jobs arrive': async (s) => {
    await s.limit({ rates: { 5: perSecond(2) } })
    assert.equal(mostIn(await startsUnderFire(s, 5, { maxAttempts: 1000 }), perSecond(2)), 2)
  },

  'no window holds more starts than the rate of a key, however jobs arrive': async (s) => {
    await s.limit({ perKey: { concurrency: null, rate: perSecond(2), ordered: false } })
    assert.equal(mostIn(await startsUnderFire(s, 8, { key: 'k', maxAttempts: 1000 }), perSecond(2)), 2)
  },

  'with a backlog exactly as many jobs start in a window as its rate allows': async (s) => {
    await s.limit({ rate: perSecond(5) })
    await s.addMany(30)
    const worker = await s.worker()
    for (let second = 0; second < 4; second++) {
      assert.equal(await count(worker), 5)
      assert.equal(await count(worker), 0)
      await s.advance(999)
      assert.equal(await count(worker), 0)
      await s.advance(1)
    }
  },

  'a window begins with each start, not at fixed instants': async (s) => {
    await s.limit({ rate: perSecond(3) })
    await s.addMany(20)
    const worker = await s.worker()
    await s.advance(900)
    assert.equal(await count(worker, 2), 2)
    await s.advance(300)
    assert.deepEqual([await count(worker), await count(worker)], [1, 0])
    await s.advance(699)
    assert.equal(await count(worker), 0)
    await s.advance(1)
    assert.deepEqual([await count(worker), await count(worker)], [2, 0])
    await s.advance(300)
    assert.equal(await count(worker), 1)
  },

  'an idle queue saves nothing up': async (s) => {
    await s.limit({ rate: perSecond(2) })
    await s.addMany(20)
    const worker = await s.worker()
    assert.equal(await count(worker), 2)
    await s.advance(10_000)
    assert.equal(await count(worker), 2)
    await s.advance(500)
    assert.equal(await count(worker), 0)
  },

  'a rate holds for all workers together': async (s) => {
    await s.limit({ rate: perSecond(3) })
    await s.addMany(20)
    const [a, b] = [await s.worker(), await s.worker()]
    assert.deepEqual([await count(a, 2), await count(b), await count(a)], [2, 1, 0])
  },

  'a rate holds for its queue only': async (s) => {
    await s.limit({ rate: perSecond(1) })
    await s.addMany(3)
    const others = await s.addMany(3, { queue: 'other' })
    const worker = await s.worker()
    const wants = [
      { queue: 'default', slots: 3 },
      { queue: 'other', slots: 3 },
    ]
    const { claimed } = await worker.exchange({ wants, slots: 4 })
    assert.deepEqual(claimed.map(({ job }) => job).slice(1), others)
  },

  'a start counts however its claim ends': async (s) => {
    await s.limit({ rate: perSecond(5) })
    await s.addMany(5)
    const worker = await s.worker()
    const [a, b, c, d, e] = await worker.claim(5)
    await worker.settle(release(a!), retry(b!), snooze(c!), crash(d!), complete(e!))
    assert.equal(await count(worker), 0)
    await s.advance(1000)
    assert.equal(await count(worker), 4)
  },

  'a start of a worker that died counts': async (s) => {
    await s.limit({ rate: perSecond(2) })
    await s.addMany(2)
    const victim = await s.worker()
    assert.equal(await count(victim), 2)
    await victim.vanish()
    await s.rescue()
    const worker = await s.worker()
    assert.equal(await count(worker), 0)
    await s.advance(1000)
    assert.equal(await count(worker), 2)
  },

  'a turn that is sent again counts its starts once': async (s) => {
    await s.limit({ rate: perSecond(4), rates: { 5: perSecond(4) } })
    await s.addMany(9)
    const worker = await s.worker()
    const request = worker.request({ wants: [{ queue: 'default', slots: 2 }] })
    const first = await worker.send(request)
    for (let i = 0; i < 3; i++) assert.deepEqual((await worker.send(request)).claimed, first.claimed)
    assert.deepEqual((await s.queue()).fill.rate, { left: 2, opensAt: null })
    assert.equal(await count(worker), 2)
  },

  'starts before a rate was set do not count': async (s) => {
    await s.addMany(9)
    const worker = await s.worker()
    assert.equal(await count(worker, 3), 3)
    await s.limit({ rate: perSecond(2) })
    assert.deepEqual([await count(worker), await count(worker)], [2, 0])
  },

  'a lowered rate holds at once': async (s) => {
    await s.limit({ rate: perSecond(5) })
    await s.addMany(20)
    const worker = await s.worker()
    assert.equal(await count(worker, 3), 3)
    await s.limit({ rate: perSecond(2) })
    assert.equal(await count(worker), 0)
    await s.advance(999)
    assert.equal(await count(worker), 0)
    await s.advance(1)
    assert.deepEqual([await count(worker), await count(worker)], [2, 0])
  },

  'a longer window holds at once, with the starts that it knows': async (s) => {
    await s.limit({ rate: perSecond(2) })
    await s.addMany(9)
    const worker = await s.worker()
    assert.equal(await count(worker), 2)
    await s.advance(500)
    await s.limit({ rate: { max: 2, perMs: 5000 } })
    await s.advance(4499)
    assert.equal(await count(worker), 0)
    await s.advance(1)
    assert.equal(await count(worker), 2)
  },

  'a raised rate, and one that is taken away, open at once': async (s) => {
    await s.limit({ rate: perSecond(2) })
    await s.addMany(9)
    const worker = await s.worker()
    assert.deepEqual([await count(worker), await count(worker)], [2, 0])
    await s.limit({ rate: perSecond(5) })
    assert.deepEqual([await count(worker), await count(worker)], [3, 0])
    await s.limit({ rate: null })
    assert.equal(await count(worker), 4)
  },

  'a rate of low jobs leaves high and normal ones alone': async (s) => {
    await s.limit({ rates: { 8: perSecond(1) } })
    await s.addMany(3, { priority: 2 })
    await s.addMany(3, { priority: 5 })
    await s.addMany(3, { priority: 8 })
    const worker = await s.worker()
    const levels = (await worker.claim(100)).map(({ policy }) => policy.priority)
    assert.deepEqual(levels, [2, 2, 2, 5, 5, 5, 8])
    const high = await s.addMany(2, { priority: 2 })
    assert.deepEqual(await worker.claimIds(100), high)
  },

  'a closed level does not hold up those below it, and goes first when it opens': async (s) => {
    await s.limit({ rates: { 2: perSecond(1) } })
    const high = await s.addMany(3, { priority: 2 })
    const low = await s.addMany(3, { priority: 7 })
    const worker = await s.worker()
    assert.deepEqual(await worker.claimIds(2), [high[0], low[0]])
    assert.deepEqual(await worker.claimIds(1), [low[1]])
    await s.advance(1000)
    assert.deepEqual(await worker.claimIds(9), [high[1], low[2]])
  },

  'a rate of the queue holds for its levels together': async (s) => {
    await s.limit({ rate: perSecond(3), rates: { 2: perSecond(2) } })
    await s.addMany(5, { priority: 2 })
    await s.addMany(5, { priority: 7 })
    const worker = await s.worker()
    const levels = (await worker.claim(9)).map(({ policy }) => policy.priority)
    assert.deepEqual(levels, [2, 2, 7])
  },

  'setting the rate of one level leaves those of others': async (s) => {
    await s.limit({ rates: { 2: perSecond(1) } })
    await s.limit({ rates: { 7: perSecond(1) } })
    assert.deepEqual((await s.queue()).limits.rates, { 2: perSecond(1), 7: perSecond(1) })
    await s.limit({ rates: { 2: null } })
    assert.deepEqual((await s.queue()).limits.rates, { 7: perSecond(1) })
  },

  'jobs of a limited queue stay ready, and delayed ones become ready': async (s) => {
    await s.limit({ rate: { max: 1, perMs: 60_000 } })
    await s.addMany(3)
    await s.add({ delayMs: 1000 })
    const worker = await s.worker()
    assert.equal(await count(worker), 1)
    await s.advance(1000)
    assert.equal((await s.store.promote(1000)).moved, 1)
    const { counts } = await s.queue()
    assert.deepEqual([counts.ready, counts.scheduled, counts.running], [3, 0, 1])
    assert.equal(await count(worker), 0)
    await s.advance(59_000)
    assert.equal(await count(worker), 1)
  },

  'who waits for a rate to open is told when': async (s) => {
    await s.limit({ rate: perSecond(2), rates: { 8: { max: 1, perMs: 5000 } } })
    await s.add({ priority: 8 })
    await s.addMany(5)
    const worker = await s.worker()
    const startedAt = s.now()
    assert.equal(await count(worker, 1), 1)
    assert.equal((await worker.exchange()).nextDueAt, null)
    await s.advance(100)
    assert.equal((await worker.exchange({ wants: [{ queue: 'default', slots: 9 }] })).nextDueAt, startedAt + 1000)
    await s.advance(900)
    assert.deepEqual(await s.store.promote(1000), { moved: 1, nextDueAt: null })
    assert.equal(await count(worker), 1)
    assert.equal((await worker.exchange()).nextDueAt, startedAt + 1100)
    await s.advance(100)
    assert.equal(await count(worker), 1)
    assert.equal((await worker.exchange()).nextDueAt, startedAt + 2000)
    await s.advance(900)
    assert.equal(await s.promote(), null)
  },

  'who waits for a level to open is told when': async (s) => {
    await s.limit({ rates: { 8: perSecond(1) } })
    await s.addMany(2, { priority: 8 })
    const worker = await s.worker()
    await count(worker)
    assert.equal((await worker.exchange()).nextDueAt, s.now() + 1000)
    await s.advance(1000)
    assert.equal(await s.promote(), null)
    assert.equal(await count(worker), 1)
  },

  'a rate that is set so low that it is closed says when it opens': async (s) => {
    await s.limit({ rate: perSecond(5), rates: { 5: { max: 5, perMs: 2000 } } })
    await s.addMany(9)
    const worker = await s.worker()
    const startedAt = s.now()
    await count(worker, 2)
    await s.advance(100)
    await count(worker, 2)
    assert.equal((await worker.exchange()).nextDueAt, null)
    await s.limit({ rate: perSecond(2) })
    assert.equal((await worker.exchange()).nextDueAt, startedAt + 1000)
    // Two are left that count: it is still closed then.
    await s.advance(900)
    assert.equal(await s.promote(), startedAt + 1100)
    await s.advance(100)
    assert.equal(await s.promote(), null)
    await s.limit({ rates: { 5: perSecond(1) } })
    assert.equal(await s.promote(), null)
    await s.limit({ rates: { 5: { max: 2, perMs: 5000 } } })
    assert.equal(await s.promote(), startedAt + 5000)
  },

  'what is pruned are no starts that count': async (s) => {
    await s.limit({ rate: perSecond(2) })
    await s.addMany(9)
    const worker = await s.worker()
    assert.equal(await count(worker), 2)
    await s.advance(999)
    await s.store.prune(1000)
    assert.equal(await count(worker), 0)
    await s.advance(1)
    assert.deepEqual(await s.store.prune(1000), { removed: 0, more: false })
    assert.equal(await count(worker), 2)
  },

  'a clock that goes back opens nothing': async (s) => {
    await s.limit({ rate: perSecond(2) })
    await s.addMany(9)
    const worker = await s.worker()
    assert.equal(await count(worker), 2)
    await s.advance(-5000)
    assert.equal(await count(worker), 0)
    await s.advance(5999)
    assert.equal(await count(worker), 0)
    await s.advance(1)
    assert.equal(await count(worker), 2)
  },

  'a key goes on when a start is forgotten that only a longer window counted': async (s) => {
    const perKey = { concurrency: null, rate: { max: 1, perMs: 1000 }, ordered: false }
    await s.limit({ perKey })
    await s.addMany(2, { key: 'k' })
    const worker = await s.worker()
    assert.equal(await count(worker), 1)
    await s.limit({ perKey: { ...perKey, rate: { max: 1, perMs: 3_600_000 } } })
    await s.promote()
    await s.advance(1000)
    assert.equal(await count(worker), 0)
    await s.store.prune(1000)
    assert.equal(await count(worker), 1)
  },

  'after the store was away a window is as full as ever': async (s) => {
    await s.limit({ rate: perSecond(2) })
    await s.addMany(9)
    const worker = await s.worker({ leaseMs: 600_000 })
    assert.equal(await count(worker), 2)
    await s.advance(300_000)
    await s.store.lost(1000)
    assert.deepEqual([await count(worker), await count(worker)], [2, 0])
  },
})
