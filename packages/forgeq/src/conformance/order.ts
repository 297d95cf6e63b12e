// Who is next: strict levels, inside a level what was claimed before and came back, then what is new.
import assert from 'node:assert/strict'
import type { Claimed } from '../store/records.ts'
import { area } from './area.ts'
import type { Case } from './case.ts'
import { release, retry, snooze } from './endings.ts'

const ids = (claimed: readonly Claimed[]): readonly string[] => claimed.map(({ job }) => job)

export const orderCases: readonly Case[] = area('order', {
  'levels 0 to 9 are strict': async (s) => {
    const byLevel: string[] = []
    for (const priority of [5, 0, 9, 3, 7, 1, 8, 2, 6, 4]) byLevel[priority] = await s.add({ priority })
    const worker = await s.worker()
    assert.deepEqual(ids(await worker.claim(10)), byLevel)
  },

  'a job of a lower level that comes late still goes first': async (s) => {
    const low = await s.add({ priority: 8 })
    const worker = await s.worker()
    const high = await s.add({ priority: 2 })
    assert.deepEqual(ids(await worker.claim(1)), [high])
    assert.deepEqual(ids(await worker.claim(1)), [low])
  },

  'inside a level the first enqueued goes first, over any number of claims': async (s) => {
    const first = await s.addMany(5)
    const later = [await s.add(), await s.add()]
    const [a, b] = [await s.worker(), await s.worker()]
    const order = [...(await a.claim(2)), ...(await b.claim(3)), ...(await a.claim(1)), ...(await b.claim(9))]
    assert.deepEqual(ids(order), [...first, ...later])
  },

  'what comes back goes before what is new': async (s) => {
    const worker = await s.worker()
    const returned = await s.add()
    const claimed = await worker.claimOne()
    const fresh = await s.add()
    await worker.settle(release(claimed))
    assert.deepEqual(ids(await worker.claim(2)), [returned, fresh])
  },

  'what comes back does not pass a lower level': async (s) => {
    const worker = await s.worker()
    const returned = await s.add({ priority: 5 })
    const claimed = await worker.claimOne()
    const urgent = await s.add({ priority: 4 })
    await worker.settle(release(claimed))
    assert.deepEqual(ids(await worker.claim(2)), [urgent, returned])
  },

  'what comes back is ordered by its return, not by its age': async (s) => {
    const worker = await s.worker()
    const [a, b, c] = await s.addMany(3)
    const [one, two, three] = await worker.claim(3)
    await worker.settle(release(three!))
    await worker.settle(retry(one!), snooze(two!))
    assert.deepEqual(ids(await worker.claim(3)), [c, a, b])
  },

  'a delayed return joins the front lane when it is due': async (s) => {
    const worker = await s.worker()
    const [a, b] = await s.addMany(2)
    const [one, two] = await worker.claim(2)
    await worker.settle(retry(one!, 2000), snooze(two!, 1000))
    const fresh = await s.add()
    await s.advance(2000)
    await s.store.promote(10)
    assert.deepEqual(ids(await worker.claim(3)), [b, a, fresh])
  },

  'a delayed job takes its place among the new ones when it becomes ready': async (s) => {
    const delayed = await s.add({ delayMs: 1000 })
    const before = await s.add()
    await s.advance(1000)
    await s.store.promote(10)
    const after = await s.add()
    const worker = await s.worker()
    assert.deepEqual(ids(await worker.claim(3)), [before, delayed, after])
  },

  'delayed jobs become ready in the order of their instants': async (s) => {
    const third = await s.add({ delayMs: 3000 })
    const first = await s.add({ delayMs: 1000 })
    const second = await s.add({ runAt: s.now() + 2000 })
    const alsoThird = await s.add({ delayMs: 3000 })
    await s.advance(5000)
    await s.store.promote(10)
    const worker = await s.worker()
    assert.deepEqual(ids(await worker.claim(4)), [first, second, third, alsoThird])
  },

  'an instant in the past does not jump the queue': async (s) => {
    const first = await s.add()
    const past = await s.add({ runAt: s.now() - 60_000 })
    const worker = await s.worker()
    assert.deepEqual(ids(await worker.claim(2)), [first, past])
  },

  'a rescued job goes before what is new': async (s) => {
    const lost = await s.add()
    const first = await s.worker()
    await first.claimOne()
    const fresh = await s.add()
    await s.store.leave(first.id)
    await s.rescue()
    const second = await s.worker()
    assert.deepEqual(ids(await second.claim(2)), [lost, fresh])
  },

  'queues do not disturb each other': async (s) => {
    const [a] = [await s.add({ queue: 'a', priority: 9 }), await s.add({ queue: 'b', priority: 0 })]
    const worker = await s.worker()
    assert.deepEqual(ids(await worker.claim(5, 'a')), [a])
  },
})
