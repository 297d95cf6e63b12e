// A paused queue starts nothing; everything else goes on.
import assert from 'node:assert/strict'
import { area } from './area.ts'
import type { Case } from './case.ts'
import { complete, release } from './endings.ts'

export const pauseCases: readonly Case[] = area('pause', {
  'a paused queue hands out nothing until it is resumed': async (s) => {
    const id = await s.add()
    const worker = await s.worker()
    await s.store.setQueue('default', { paused: true })
    assert.equal((await s.queue()).paused, true)
    assert.deepEqual(await worker.claim(1), [])
    const added = await s.add()
    assert.deepEqual(await worker.claim(5), [])
    await s.store.setQueue('default', { paused: false })
    assert.equal((await s.queue()).paused, false)
    assert.deepEqual(
      (await worker.claim(5)).map(({ job }) => job),
      [id, added],
    )
  },

  'what runs in a paused queue can end': async (s) => {
    await s.addMany(2)
    const worker = await s.worker()
    const [a, b] = await worker.claim(2)
    await s.store.setQueue('default', { paused: true })
    assert.deepEqual(await worker.settle(complete(a!), release(b!)), ['applied', 'applied'])
    assert.deepEqual(await worker.claim(5), [])
  },

  'due jobs become ready in a paused queue': async (s) => {
    await s.add({ delayMs: 1000 })
    await s.store.setQueue('default', { paused: true })
    await s.advance(1000)
    assert.deepEqual(await s.store.promote(10), { moved: 1, nextDueAt: null })
  },

  'a paused queue leaves its slots to the others': async (s) => {
    await s.addMany(3, { queue: 'a' })
    await s.addMany(3, { queue: 'b' })
    await s.store.setQueue('a', { paused: true })
    const worker = await s.worker()
    const wants = [
      { queue: 'a', slots: 3 },
      { queue: 'b', slots: 3 },
    ]
    const { claimed } = await worker.exchange({ wants, slots: 3 })
    assert.deepEqual(
      claimed.map((job) => job.policy.queue),
      ['b', 'b', 'b'],
    )
  },

  'a queue may be paused before its first job, and twice': async (s) => {
    for (let i = 0; i < 2; i++) await s.store.setQueue('later', { paused: true })
    await s.add({ queue: 'later' })
    const worker = await s.worker()
    assert.deepEqual(await worker.claim(1, 'later'), [])
    assert.equal((await s.queue('later')).paused, true)
  },

  'a turn that claimed before the pause can be sent again': async (s) => {
    await s.add()
    const worker = await s.worker()
    const request = worker.request({ wants: [{ queue: 'default', slots: 1 }] })
    const first = await worker.send(request)
    await s.store.setQueue('default', { paused: true })
    assert.deepEqual((await worker.send(request)).claimed, first.claimed)
  },
})
