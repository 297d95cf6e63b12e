// Fairness: keys take turns in the lanes of their queue, a job without a key is a party of its own, and levels stay strict.
import assert from 'node:assert/strict'
import { area } from './area.ts'
import type { Case } from './case.ts'
import { complete, release, retry } from './endings.ts'
import type { Scene } from './scene.ts'

/** Keys of jobs, in order. */
const keysOf = async (s: Scene, ids: readonly string[]): Promise<readonly (string | null)[]> =>
  (await s.store.jobs(ids)).map(({ key }) => key)

export const fairnessCases: readonly Case[] = area('fairness', {
  'a key with many jobs does not hold up another one': async (s) => {
    await s.addMany(200, { key: 'many' })
    const few = await s.addMany(10, { key: 'few' })
    const worker = await s.worker()
    const served: string[] = []
    for (let i = 0; i < 20; i++) served.push(...(await worker.claimIds(1)))
    assert.deepEqual(
      few.filter((id) => !served.includes(id)),
      [],
    )
  },

  'nor when it is claimed for many slots at once': async (s) => {
    await s.addMany(200, { key: 'many' })
    const few = await s.addMany(10, { key: 'few' })
    const worker = await s.worker()
    const served = await worker.claimIds(20)
    assert.equal(served.length, 20)
    assert.deepEqual(
      few.filter((id) => !served.includes(id)),
      [],
    )
  },

  'keys take turns, each in the order of its own jobs': async (s) => {
    const a = await s.addMany(3, { key: 'a' })
    const b = await s.addMany(2, { key: 'b' })
    const c = await s.addMany(1, { key: 'c' })
    const worker = await s.worker()
    assert.deepEqual(await worker.claimIds(9), [a[0], b[0], c[0], a[1], b[1], a[2]])
  },

  'keys take turns over any number of claims and workers': async (s) => {
    const a = await s.addMany(4, { key: 'a' })
    const b = await s.addMany(4, { key: 'b' })
    const workers = [await s.worker(), await s.worker()]
    const served: string[] = []
    for (const slots of [1, 2, 1, 3, 1]) served.push(...(await workers[served.length % 2]!.claimIds(slots)))
    assert.deepEqual(served, [a[0], b[0], a[1], b[1], a[2], b[2], a[3], b[3]])
  },

  'a job without a key takes its own place': async (s) => {
    const a = await s.addMany(3, { key: 'a' })
    const [x, y] = await s.addMany(2)
    const worker = await s.worker()
    assert.deepEqual(await worker.claimIds(2), [a[0], x])
    const z = await s.add()
    assert.deepEqual(await worker.claimIds(9), [y, a[1], z, a[2]])
  },

  'a key that comes anew waits for a round at most': async (s) => {
    await s.addMany(20, { key: 'a' })
    await s.addMany(20, { key: 'b' })
    const worker = await s.worker()
    await worker.claim(5)
    const c = await s.addMany(2, { key: 'c' })
    assert.deepEqual(await keysOf(s, await worker.claimIds(6)), ['b', 'a', 'c', 'b', 'a', 'c'])
    assert.equal((await s.job(c[1]!)).state, 'running')
  },

  'a key that ran its line down starts at the end again': async (s) => {
    const a = await s.add({ key: 'a' })
    await s.addMany(3, { key: 'b' })
    const worker = await s.worker()
    assert.deepEqual(await worker.claimIds(1), [a])
    await s.addMany(2, { key: 'a' })
    assert.deepEqual(await keysOf(s, await worker.claimIds(9)), ['b', 'a', 'b', 'a', 'b'])
  },

  'a key keeps its place when something happens to its other jobs': async (s) => {
    const a = [...(await s.addMany(3, { key: 'a' }))]
    const b = await s.add({ key: 'b' })
    const free = await s.add()
    a.push(await s.add({ key: 'a' }))
    await s.act('cancel', a[2]!)
    const worker = await s.worker()
    assert.deepEqual(await worker.claimIds(9), [a[0], b, free, a[1], a[3]])
  },

  'a key that gets room again goes to the end': async (s) => {
    await s.limit({ perKey: { concurrency: 1, rate: null, ordered: false } })
    const a = await s.addMany(2, { key: 'a' })
    const b = await s.add({ key: 'b' })
    const free = await s.add()
    const worker = await s.worker()
    const claimed = await worker.claimOne()
    await worker.settle(complete(claimed))
    assert.deepEqual(await worker.claimIds(9), [b, free, a[1]])
  },

  'keys that get room in one call go in the order in which they got it': async (s) => {
    await s.limit({ perKey: { concurrency: 1, rate: null, ordered: false } })
    for (const key of ['a', 'b', 'c']) await s.addMany(2, { key })
    const worker = await s.worker()
    const [a, b, c] = await worker.claim(9)
    await worker.settle(complete(c!), complete(a!), complete(b!))
    assert.deepEqual(await keysOf(s, await worker.claimIds(9)), ['c', 'a', 'b'])
  },

  // At one instant the order of names: the contract does not say, and a store needs some order.
  'keys that open go in the order of their instants, then of their names': async (s) => {
    await s.limit({ perKey: { concurrency: null, rate: { max: 1, perMs: 1000 }, ordered: false } })
    const worker = await s.worker()
    for (const key of ['c', 'b', 'a']) await s.addMany(2, { key })
    assert.equal((await worker.claim(9)).length, 3)
    await s.advance(10)
    await s.addMany(2, { key: '0' })
    assert.equal((await worker.claim(9)).length, 1)
    await s.advance(5000)
    await s.promote()
    assert.deepEqual(await keysOf(s, await worker.claimIds(9)), ['a', 'b', 'c', '0'])
  },

  'what comes back is the first of its key, at the place that its key has': async (s) => {
    const a = await s.addMany(2, { key: 'a' })
    const b = await s.addMany(1, { key: 'b' })
    const worker = await s.worker()
    const [a0, b0] = await worker.claim(2)
    await worker.settle(release(b0!))
    await worker.settle(release(a0!))
    assert.deepEqual(await worker.claimIds(9), [a[0], b[0], a[1]])
  },

  'what comes back of one key holds up no other key': async (s) => {
    await s.addMany(30, { key: 'a' })
    const worker = await s.worker()
    const claimed = await worker.claim(30)
    const b = await s.addMany(3, { key: 'b' })
    await worker.settle(...claimed.map((one) => retry(one, 0)))
    const ids = await worker.claimIds(8)
    assert.deepEqual(
      ids.filter((id) => b.includes(id)),
      b,
    )
  },

  'levels go before fairness': async (s) => {
    const high = await s.addMany(3, { key: 'a', priority: 2 })
    const low = await s.addMany(2, { key: 'b', priority: 7 })
    const worker = await s.worker()
    assert.deepEqual(await worker.claimIds(9), [...high, ...low])
  },

  'a key whose next job is of a lower level waits there': async (s) => {
    const a = [await s.add({ key: 'a', priority: 2 }), await s.add({ key: 'a', priority: 7 })]
    const b = await s.addMany(2, { key: 'b', priority: 5 })
    const free = await s.add({ priority: 7 })
    const worker = await s.worker()
    assert.deepEqual(await worker.claimIds(9), [a[0], ...b, free, a[1]])
  },

  'a key that came down a level goes up again for a better job': async (s) => {
    const low = await s.addMany(3, { key: 'a', priority: 7 })
    const others = await s.addMany(3, { key: 'b', priority: 7 })
    const worker = await s.worker()
    assert.deepEqual(await worker.claimIds(1), [low[0]])
    const high = await s.add({ key: 'a', priority: 2 })
    assert.deepEqual(await worker.claimIds(9), [high, others[0], low[1], others[1], low[2], others[2]])
  },

  'a closed level holds up no key whose next job is of another one': async (s) => {
    await s.limit({ rates: { 2: { max: 1, perMs: 1000 } } })
    const a = [await s.add({ key: 'a', priority: 2 }), await s.add({ key: 'a', priority: 7 })]
    const b = [await s.add({ key: 'b', priority: 2 }), await s.add({ key: 'b', priority: 7 })]
    const worker = await s.worker()
    // Of b the first is of the closed level: nothing passes it inside its key.
    assert.deepEqual(await worker.claimIds(9), a)
    await s.advance(1000)
    await s.promote()
    assert.deepEqual(await worker.claimIds(9), b)
  },
})
