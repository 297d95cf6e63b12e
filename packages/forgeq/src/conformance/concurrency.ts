// Concurrency: how many jobs of a queue or of a key run at a time. The slot is the running job itself: whatever ends its
// claim frees it, and nothing else does.
import assert from 'node:assert/strict'
import type { KeyLimits } from '../core/limit.ts'
import type { Claimed } from '../store/records.ts'
import { area } from './area.ts'
import type { Case } from './case.ts'
import { bury, cancel, complete, crash, release, retry, snooze } from './endings.ts'
import { freeLine, type Scene } from './scene.ts'
import type { ScriptedWorker } from './scripted-worker.ts'

const slots = (concurrency: number): KeyLimits => ({ concurrency, rate: null, ordered: false })

const endings = { complete, retry, snooze, release, bury, cancel, crash }

/** Ends the claim in every way in turn, and sees one more job start each time. */
async function freesByEveryEnding(s: Scene, worker: ScriptedWorker, first: Claimed): Promise<void> {
  let running = first
  for (const [name, ending] of Object.entries(endings)) {
    assert.deepEqual(await worker.claim(9), [], `before ${name}`)
    await worker.settle(ending(running))
    const claimed = await worker.claim(9)
    assert.equal(claimed.length, 1, `after ${name}`)
    running = claimed[0]!
  }
  await s.act('cancel', running.job)
  assert.deepEqual(await worker.claim(9), [], 'marked cancelled, it runs')
  await worker.settle(release(running))
  const [next] = await worker.claim(9)
  assert.ok(next, 'it ended cancelled')
  await worker.vanish()
  const other = await s.worker()
  assert.deepEqual(await other.claim(9), [], 'left behind, it is held')
  await s.rescue()
  assert.equal((await other.claim(9)).length, 1, 'rescued')
}

export const concurrencyCases: readonly Case[] = area('concurrency', {
  'no more jobs of a queue run than it allows, on all workers together': async (s) => {
    await s.limit({ concurrency: 3 })
    await s.addMany(9)
    await s.addMany(2, { queue: 'other' })
    const [a, b] = [await s.worker(), await s.worker()]
    assert.equal((await a.claim(2)).length, 2)
    assert.equal((await b.claim(9)).length, 1)
    assert.equal((await a.claim(9)).length, 0)
    assert.equal((await a.claim(9, 'other')).length, 2)
  },

  'whatever ends a claim frees its slot in the queue': async (s) => {
    await s.limit({ concurrency: 1 })
    await s.addMany(20)
    const worker = await s.worker()
    await freesByEveryEnding(s, worker, await worker.claimOne())
  },

  'what ends in an exchange makes room for what it claims': async (s) => {
    await s.limit({ concurrency: 2, perKey: slots(1) })
    await s.addMany(2, { key: 'k' })
    await s.addMany(2, { key: 'l' })
    const worker = await s.worker()
    const wants = [{ queue: 'default', slots: 9 }]
    const first = await worker.exchange({ wants })
    assert.equal(first.claimed.length, 2)
    const second = await worker.exchange({ wants, settlements: first.claimed.map((one) => complete(one)) })
    assert.equal(second.claimed.length, 2)
  },

  'a lowered concurrency holds at once, a raised one opens at once': async (s) => {
    await s.limit({ concurrency: 3 })
    await s.addMany(9)
    const worker = await s.worker()
    const [a, b, c] = await worker.claim(9)
    await s.limit({ concurrency: 1 })
    await worker.settle(complete(a!), complete(b!))
    assert.deepEqual(await worker.claim(9), [])
    await worker.settle(complete(c!))
    assert.equal((await worker.claim(9)).length, 1)
    await s.limit({ concurrency: 3 })
    assert.equal((await worker.claim(9)).length, 2)
    await s.limit({ concurrency: null })
    assert.equal((await worker.claim(9)).length, 3)
  },

  'no more jobs of a key run than its queue allows each': async (s) => {
    await s.limit({ perKey: slots(2) })
    const k = await s.addMany(5, { key: 'k' })
    const l = await s.addMany(1, { key: 'l' })
    const free = await s.addMany(2)
    const [a, b] = [await s.worker(), await s.worker()]
    const claimed = [...(await a.claimIds(2)), ...(await b.claimIds(9)), ...(await a.claimIds(9))]
    assert.deepEqual(new Set(claimed), new Set([...k.slice(0, 2), ...l, ...free]))
    assert.equal(claimed.length, 5)
  },

  'whatever ends a claim frees its slot of the key': async (s) => {
    await s.limit({ perKey: slots(1) })
    await s.addMany(20, { key: 'k' })
    const worker = await s.worker()
    await freesByEveryEnding(s, worker, await worker.claimOne())
  },

  'a job that is marked cancelled holds its slot until it has ended': async (s) => {
    await s.limit({ perKey: slots(1) })
    await s.addMany(2, { key: 'k' })
    const worker = await s.worker()
    const claimed = await worker.claimOne()
    await s.act('cancel', claimed.job)
    await s.add({ key: 'k' })
    assert.deepEqual(await worker.claim(9), [])
    await worker.settle(cancel(claimed))
    assert.equal((await worker.claim(9)).length, 1)
  },

  'the same key in two queues is two keys': async (s) => {
    for (const queue of ['a', 'b']) {
      await s.limit({ perKey: slots(1) }, queue)
      await s.addMany(2, { queue, key: 'k' })
    }
    const worker = await s.worker()
    assert.deepEqual([(await worker.claim(9, 'a')).length, (await worker.claim(9, 'b')).length], [1, 1])
  },

  'a lowered concurrency of keys holds at once': async (s) => {
    await s.limit({ perKey: slots(3) })
    await s.addMany(9, { key: 'k' })
    const worker = await s.worker()
    const [a, b] = await worker.claim(2)
    // Nobody has promoted yet: the key still stands in the lanes, and is looked at when it is met.
    await s.limit({ perKey: slots(1) })
    assert.deepEqual(await worker.claim(9), [])
    await worker.settle(complete(a!))
    assert.deepEqual(await worker.claim(9), [])
    await worker.settle(complete(b!))
    assert.equal((await worker.claim(9)).length, 1)
  },

  'a raised concurrency of keys opens with the next promote': async (s) => {
    await s.limit({ perKey: slots(1) })
    await s.addMany(5, { key: 'k' })
    const worker = await s.worker()
    assert.equal((await worker.claim(9)).length, 1)
    await s.limit({ perKey: slots(3) })
    await s.promote()
    assert.equal((await worker.claim(9)).length, 2)
    await s.limit({ perKey: null })
    await s.promote()
    assert.equal((await worker.claim(9)).length, 2)
  },

  'keys that wait are looked at in portions when their limits change': async (s) => {
    await s.limit({ perKey: slots(1) })
    const keys = ['a', 'b', 'c', 'd', 'e']
    for (const key of keys) await s.addMany(2, { key })
    const worker = await s.worker()
    assert.equal((await worker.claim(99)).length, 5)
    await s.limit({ perKey: slots(2) })
    const changedAt = s.now()
    const seen: string[] = []
    let rounds = 0
    for (; rounds < 9; rounds++) {
      const { moved, nextDueAt } = await s.store.promote(2)
      assert.ok(moved <= 2, 'what it looked at counts')
      const claimed = await worker.claim(99)
      assert.ok(claimed.length <= 2, 'a call looks at no more keys than it was told to')
      for (const { job } of claimed) seen.push((await s.job(job)).key!)
      if (nextDueAt === null) break
      assert.ok(nextDueAt <= changedAt)
    }
    // Whether the last portion knows that it is the last is left to the store.
    assert.ok(rounds === 2 || rounds === 3, `${rounds + 1} rounds`)
    assert.deepEqual(seen, keys)
  },

  'a turn that is sent again takes no second slot': async (s) => {
    await s.limit({ concurrency: 2, perKey: slots(2) })
    await s.addMany(5, { key: 'k' })
    const worker = await s.worker()
    const request = worker.request({ wants: [{ queue: 'default', slots: 1 }] })
    const first = await worker.send(request)
    for (let i = 0; i < 3; i++) assert.deepEqual((await worker.send(request)).claimed, first.claimed)
    assert.equal((await worker.claim(9)).length, 1)
    assert.equal((await worker.claim(9)).length, 0)
  },

  'a stale settlement frees nothing': async (s) => {
    await s.limit({ concurrency: 1, perKey: slots(1) })
    await s.addMany(3, { key: 'k' })
    const [a, b] = [await s.worker(), await s.worker()]
    const stale = await a.claimOne()
    await a.settle(release(stale))
    await b.claimOne()
    assert.deepEqual(await a.settle(complete(stale)), ['applied'])
    assert.deepEqual(await b.settle({ ...complete(stale), claim: 99 }), ['lost'])
    assert.deepEqual([await a.claim(9), await b.claim(9)], [[], []])
  },

  'nothing leaks: when all jobs have ended, a recount is zero and as many run as before': async (s) => {
    await s.limit({ concurrency: 4, perKey: slots(2) })
    const options = [{ key: 'k' }, { key: 'l' }, {}]
    for (let round = 0; round < 8; round++) {
      for (const option of options) await s.addMany(3, option)
      const worker = await s.worker()
      const claimed = await worker.claim(99)
      assert.ok(claimed.length <= 4)
      const [a, b, c, d] = claimed
      await worker.settle(...[a, b].flatMap((one, i) => (one ? [Object.values(endings)[(round + i) % 7]!(one)] : [])))
      if (c) await s.act('cancel', c.job)
      if (d && round % 2 === 0) await worker.settle(crash(d))
      await worker.vanish()
      await s.rescue()
      for (const job of await s.findAll({ state: 'ready' }, 100)) {
        if (round % 3 === 0) await s.act(round % 2 === 0 ? 'cancel' : 'delete', job.id)
      }
    }
    for (const state of ['ready', 'scheduled', 'running'] as const) {
      for (const { id } of await s.findAll({ state }, 100)) await s.act('cancel', id)
    }
    assert.equal((await s.queue()).counts.running, 0)
    const ids = [...(await s.addMany(3, { key: 'k' })), ...(await s.addMany(3, { key: 'l' }))]
    assert.deepEqual(await s.line(ids[0]!), freeLine)
    const worker = await s.worker()
    assert.equal((await worker.claim(99)).length, 4)
  },
})
