// What is due later: delays, retries, promotion.
import assert from 'node:assert/strict'
import { area } from './area.ts'
import type { Case } from './case.ts'
import { retry, snooze } from './endings.ts'

export const delayCases: readonly Case[] = area('delay', {
  'a delayed job is scheduled and cannot be claimed before its time': async (s) => {
    const id = await s.add({ delayMs: 1000 })
    const worker = await s.worker()
    assert.equal((await s.job(id)).state, 'scheduled')
    await s.advance(999)
    assert.equal((await s.store.promote(10)).moved, 0)
    assert.deepEqual(await worker.claim(1), [])
    await s.advance(1)
    assert.equal((await s.store.promote(10)).moved, 1)
    assert.equal((await s.job(id)).state, 'ready')
    assert.equal((await worker.claimOne()).job, id)
  },

  'the later one of an instant and a delay counts': async (s) => {
    const both = [
      await s.add({ runAt: s.now() + 1000, delayMs: 5000 }),
      await s.add({ runAt: s.now() + 5000, delayMs: 1000 }),
    ]
    for (const id of both) assert.equal((await s.job(id)).runAt, s.now() + 5000)
  },

  'an instant that is over means now': async (s) => {
    const job = await s.job(await s.add({ runAt: s.now() - 1 }))
    assert.deepEqual([job.state, job.runAt], ['ready', s.now()])
  },

  'no delay means now': async (s) => {
    assert.equal((await s.job(await s.add({ delayMs: 0 }))).state, 'ready')
  },

  'a retried and a snoozed job come back when they are due': async (s) => {
    await s.addMany(2)
    const worker = await s.worker()
    const [a, b] = await worker.claim(2)
    await worker.settle(retry(a!, 1000), snooze(b!, 2000))
    await s.advance(1000)
    await s.store.promote(10)
    assert.deepEqual(
      (await worker.claim(2)).map(({ job, attempt }) => [job, attempt]),
      [[a!.job, 2]],
    )
    await s.advance(1000)
    await s.store.promote(10)
    assert.deepEqual(
      (await worker.claim(2)).map(({ job, attempt }) => [job, attempt]),
      [[b!.job, 1]],
    )
  },

  'promote moves as many as asked and says whether there is more': async (s) => {
    await s.addMany(5, { delayMs: 1000 })
    const later = s.now() + 9000
    await s.add({ runAt: later })
    await s.advance(1000)
    const first = await s.store.promote(3)
    assert.equal(first.moved, 3)
    assert.ok(first.nextDueAt !== null && first.nextDueAt <= s.now())
    assert.deepEqual(await s.store.promote(3), { moved: 2, nextDueAt: later })
    assert.deepEqual(await s.store.promote(3), { moved: 0, nextDueAt: later })
  },

  'nothing is due when nothing is scheduled': async (s) => {
    await s.add()
    assert.deepEqual(await s.store.promote(10), { moved: 0, nextDueAt: null })
  },

  'promoting by hand does not wait': async (s) => {
    const id = await s.add({ delayMs: 60_000 })
    assert.deepEqual(await s.act('promote', id), { id, done: true, state: 'ready' })
    const worker = await s.worker()
    assert.equal((await worker.claimOne()).job, id)
    assert.equal((await s.store.promote(10)).nextDueAt, null)
  },

  'only a scheduled job can be promoted': async (s) => {
    const id = await s.add()
    assert.deepEqual(await s.act('promote', id), { id, done: false, code: 'STATE_CONFLICT', state: 'ready' })
    const worker = await s.worker()
    await worker.claimOne()
    assert.deepEqual(await s.act('promote', id), { id, done: false, code: 'STATE_CONFLICT', state: 'running' })
  },

  'a cancelled or deleted job is not due any more': async (s) => {
    const [a, b] = await s.addMany(2, { delayMs: 1000 })
    await s.act('cancel', a!)
    await s.act('delete', b!)
    await s.advance(1000)
    assert.deepEqual(await s.store.promote(10), { moved: 0, nextDueAt: null })
    assert.equal((await s.job(a!)).state, 'cancelled')
  },
})
