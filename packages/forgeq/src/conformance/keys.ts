// Jobs with a key wait in its line, and the first of them stands in the lanes for all: whatever happens to that one, the next
// takes its place, and the key is never stuck. How keys share the lanes: fairness.ts; who may not pass whom: ordered.ts.
import assert from 'node:assert/strict'
import type { KeyLimits } from '../core/limit.ts'
import { area } from './area.ts'
import type { Case } from './case.ts'
import { complete, crash, release, retry } from './endings.ts'
import { freeLine, type Scene } from './scene.ts'

const one: KeyLimits = { concurrency: 1, rate: null, ordered: false }

/** The line of the key as its jobs are claimed and completed one by one. */
async function served(s: Scene, most = 50): Promise<readonly string[]> {
  const worker = await s.worker()
  const ids: string[] = []
  for (let i = 0; i < most; i++) {
    const [claimed, ...others] = await worker.claim(9)
    if (!claimed) break
    assert.deepEqual(others, [], 'more than one at a time')
    ids.push(claimed.job)
    await worker.settle(complete(claimed))
  }
  return ids
}

export const keysCases: readonly Case[] = area('keys', {
  'a job knows its key': async (s) => {
    assert.equal((await s.job(await s.add({ key: 'tenant:7' }))).key, 'tenant:7')
    assert.equal((await s.job(await s.add())).key, null)
  },

  'without limits jobs of a key run as others do': async (s) => {
    const ids = await s.addMany(5, { key: 'k' })
    const worker = await s.worker()
    assert.deepEqual(await worker.claimIds(3), ids.slice(0, 3))
    assert.deepEqual(await worker.claimIds(9), ids.slice(3))
    assert.deepEqual(await worker.claimIds(9), [])
  },

  'a key goes on by level, then with what came back, then with what is new': async (s) => {
    await s.limit({ perKey: one })
    const returned = await s.add({ key: 'k' })
    const worker = await s.worker()
    const claimed = await worker.claimOne()
    const low = await s.add({ key: 'k', priority: 8 })
    const fresh = await s.addMany(2, { key: 'k' })
    await worker.settle(release(claimed))
    const high = await s.add({ key: 'k', priority: 2 })
    assert.deepEqual(await served(s), [high, returned, ...fresh, low])
  },

  'a better job that comes late goes before the one that stood for its key': async (s) => {
    const first = await s.add({ key: 'k', priority: 5 })
    const other = await s.add({ priority: 4 })
    const better = await s.add({ key: 'k', priority: 3 })
    const worker = await s.worker()
    assert.deepEqual(await worker.claimIds(9), [better, other, first])
  },

  'a job that comes back goes before the new one that stood for its key': async (s) => {
    const [a, b] = await s.addMany(2, { key: 'k' })
    const worker = await s.worker()
    const claimed = await worker.claimOne()
    await worker.settle(release(claimed))
    assert.deepEqual(await worker.claimIds(1), [a])
    assert.deepEqual(await worker.claimIds(1), [b])
  },

  'jobs of several keys come back at once, one of which another job stood for': async (s) => {
    const returned = [await s.add({ key: 'a' }), await s.add({ key: 'b' })]
    const worker = await s.worker()
    const claimed = await worker.claim(2)
    const fresh = await s.add({ key: 'b' })
    await worker.settle(...claimed.map((one) => release(one)))
    const ids = await worker.claimIds(9)
    assert.deepEqual([...ids].sort(), [...returned, fresh].sort())
    assert.ok(ids.indexOf(returned[1]!) < ids.indexOf(fresh))
  },

  'who stands for its key may expire': async (s) => {
    await s.limit({ perKey: one })
    await s.add({ key: 'k', expireMs: 1000 })
    const next = await s.addMany(2, { key: 'k' })
    await s.advance(1000)
    await s.promote()
    assert.deepEqual(await served(s), next)
  },

  'who stands for its key may be found expired by a claim': async (s) => {
    await s.limit({ perKey: one })
    const late = [...(await s.addMany(2, { key: 'k', expireMs: 1000 })), ...(await s.addMany(1, { expireMs: 1000 }))]
    const next = await s.addMany(2, { key: 'k' })
    await s.advance(1000)
    assert.deepEqual(await served(s), next)
    for (const id of late) assert.equal((await s.job(id)).reason, 'expired')
  },

  'who stands for its key, or waits behind it, may be cancelled or deleted': async (s) => {
    await s.limit({ perKey: one })
    for (const action of ['cancel', 'delete'] as const) {
      const ids = await s.addMany(6, { key: 'k' })
      for (const index of [0, 2, 5]) await s.act(action, ids[index]!)
      assert.deepEqual(await served(s), [ids[1], ids[3], ids[4]], action)
    }
  },

  'when all of a key are cancelled at once nothing of it is left': async (s) => {
    const ids = await s.addMany(3, { key: 'k' })
    const other = await s.add({ key: 'l' })
    await s.store.act({ action: 'cancel', ids })
    assert.deepEqual(await served(s), [other])
    const next = await s.add({ key: 'k' })
    assert.deepEqual(await served(s), [next])
  },

  'delayed jobs of a key take their place when they become ready, by time or by hand': async (s) => {
    await s.limit({ perKey: one })
    const later = await s.add({ key: 'k', delayMs: 1000 })
    const byHand = await s.add({ key: 'k', delayMs: 60_000, priority: 2 })
    const now = await s.add({ key: 'k' })
    await s.act('promote', byHand)
    await s.advance(1000)
    await s.promote()
    assert.deepEqual(await served(s), [byHand, now, later])
  },

  'a job that is retried by hand enters the line of its key again': async (s) => {
    await s.limit({ perKey: one })
    const ids = await s.addMany(2, { key: 'k' })
    assert.deepEqual(await served(s, 1), [ids[0]])
    const running = await (await s.worker()).claimOne()
    await s.act('retry', ids[0]!)
    assert.deepEqual(await served(s), [])
    assert.deepEqual(await s.line(ids[0]!), { ...freeLine, running: 1 })
    await s.store.act({ action: 'cancel', ids: [running.job] })
    assert.deepEqual(await served(s), [])
  },

  'a job that a worker does not know stands aside and does not hold up its key': async (s) => {
    await s.limit({ perKey: one })
    const strange = await s.addMany(2, { key: 'k', type: 'strange', priority: 0 })
    const known = await s.addMany(3, { key: 'k' })
    const worker = await s.worker()
    const [claimed] = await worker.claim(9)
    assert.equal(claimed?.job, known[0])
    const expert = await s.worker({ types: ['work', 'strange'] })
    assert.deepEqual(await expert.claimIds(9), [])
    await worker.settle(complete(claimed!))
    const [first] = await expert.claim(9)
    assert.equal(first?.job, strange[0])
    assert.deepEqual(await expert.claimIds(9), [])
    await expert.settle(complete(first!))
    assert.deepEqual(await expert.claimIds(9), [strange[1]])
  },

  'a job that stands aside can be cancelled, deleted and expire': async (s) => {
    await s.limit({ perKey: one })
    const strange = await s.addMany(2, { key: 'k', type: 'strange' })
    const [late] = await s.addMany(1, { key: 'k', type: 'strange', expireMs: 1000 })
    const known = await s.addMany(2, { key: 'k' })
    const worker = await s.worker()
    const claimed = await worker.claimOne()
    assert.equal(claimed.job, known[0])
    await s.act('cancel', strange[0]!)
    await s.act('delete', strange[1]!)
    await s.advance(1000)
    await s.promote()
    assert.equal((await s.job(late!)).reason, 'expired')
    await worker.settle(complete(claimed))
    const expert = await s.worker({ types: ['work', 'strange'] })
    assert.deepEqual(await expert.claimIds(9), [known[1]])
  },

  'a key that is full does not hold up what is behind it': async (s) => {
    await s.limit({ perKey: one })
    const ids = await s.addMany(50, { key: 'k', priority: 2 })
    const others = await s.addMany(3, { priority: 8 })
    const worker = await s.worker()
    assert.deepEqual(await worker.claimIds(9), [ids[0], ...others])
  },

  'suspects of a key that has no room are nobody to wait for': async (s) => {
    await s.limit({ perKey: one })
    await s.addMany(2, { key: 'k' })
    const worker = await s.worker()
    await worker.settle(crash(await worker.claimOne()))
    const wants = [{ queue: 'default', slots: 9 }]
    const bold = await s.worker()
    assert.equal((await worker.exchange({ wants, suspects: 'skip' })).suspects, true)
    const [suspect] = await bold.claim(9)
    await bold.settle(crash(suspect!))
    const [again] = await bold.claim(1)
    assert.equal(again?.crashes, 2)
    const reply = await worker.exchange({ wants, suspects: 'skip' })
    assert.deepEqual([reply.claimed, reply.suspects], [[], false])
    await bold.settle(release(again))
    const next = await worker.exchange({ wants, suspects: 'alone' })
    assert.deepEqual([next.claimed.map(({ crashes }) => crashes), next.suspects], [[2], false])
  },

  'who skips suspects gets nothing of a key whose first job is one': async (s) => {
    const [first, second] = await s.addMany(2, { key: 'k' })
    const other = await s.add()
    const worker = await s.worker()
    await worker.settle(crash(await worker.claimOne()))
    const wants = [{ queue: 'default', slots: 9 }]
    const reply = await worker.exchange({ wants, suspects: 'skip' })
    assert.deepEqual([reply.claimed.map(({ job }) => job), reply.suspects], [[other], true])
    const bold = await s.worker()
    assert.deepEqual(await bold.claimIds(9), [first, second])
  },

  'a rate of keys closes each key by itself, and opens it at its instant': async (s) => {
    await s.limit({ perKey: { concurrency: null, rate: { max: 2, perMs: 1000 }, ordered: false } })
    await s.promote()
    const k = await s.addMany(5, { key: 'k' })
    const worker = await s.worker()
    const startedAt = s.now()
    assert.deepEqual(await worker.claimIds(9), k.slice(0, 2))
    await s.advance(400)
    const l = await s.addMany(3, { key: 'l' })
    const free = await s.addMany(3)
    assert.deepEqual(await worker.claimIds(9), [l[0], ...free, l[1]])
    assert.equal((await s.line(k[2]!))?.rateOpensAt, startedAt + 1000)
    assert.equal((await worker.exchange()).nextDueAt, startedAt + 1000)
    await s.advance(600)
    assert.equal(await s.promote(), startedAt + 1400)
    assert.deepEqual(await worker.claimIds(9), k.slice(2, 4))
    await s.advance(400)
    assert.equal(await s.promote(), startedAt + 2000)
    assert.deepEqual(await worker.claimIds(9), [l[2]])
    await s.advance(600)
    assert.equal(await s.promote(), null)
    assert.deepEqual(await worker.claimIds(9), [k[4]])
  },

  'a job that enters the line of a closed key waits until that opens': async (s) => {
    await s.limit({ perKey: { concurrency: null, rate: { max: 1, perMs: 1000 }, ordered: false } })
    await s.promote()
    await s.add({ key: 'k' })
    const worker = await s.worker()
    const openAt = s.now() + 1000
    await worker.settle(complete(await worker.claimOne()))
    // Nobody waits for it.
    assert.equal((await worker.exchange()).nextDueAt, null)
    await s.advance(500)
    const id = await s.add({ key: 'k' })
    assert.deepEqual(await worker.claimIds(9), [])
    assert.equal((await worker.exchange()).nextDueAt, openAt)
    await s.advance(500)
    assert.equal(await s.promote(), null)
    assert.deepEqual(await worker.claimIds(9), [id])
  },

  'a try that comes back to its key is a new start': async (s) => {
    await s.limit({ perKey: { concurrency: null, rate: { max: 2, perMs: 1000 }, ordered: false } })
    await s.addMany(2, { key: 'k' })
    const worker = await s.worker()
    for (const ending of [retry, crash]) await worker.settle(ending(await worker.claimOne()))
    assert.deepEqual(await worker.claim(9), [])
    await s.advance(1000)
    await s.promote()
    assert.equal((await worker.claim(9)).length, 2)
  },

  'a refused atomic call leaves no trace in the lines of its keys': async (s) => {
    await s.limit({ perKey: one })
    const [a, b] = [s.newJob({ key: 'k' }), s.newJob({ key: 'k', priority: 2 })]
    await s.store.enqueue([a, b, s.newJob({ id: 'bad' })], { atomic: true })
    const id = await s.add({ key: 'k' })
    assert.deepEqual(await served(s), [id])
  },
})
