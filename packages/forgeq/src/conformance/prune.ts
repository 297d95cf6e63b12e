// How long ended jobs are kept, and that nothing of them stays.
import assert from 'node:assert/strict'
import { keepCancelledMs, keepDeadMs, rememberMs } from '../core/retention.ts'
import { area } from './area.ts'
import type { Case } from './case.ts'
import { bury, complete, retry } from './endings.ts'
import type { Scene } from './scene.ts'

const hourMs = 3_600_000

/** It is there until it has been kept for `ms` from now, and gone then. */
async function isKept(s: Scene, id: string, ms: number): Promise<void> {
  await s.advance(ms - 1)
  assert.deepEqual(await s.store.prune(100), { removed: 0, more: false })
  assert.equal(await s.exists(id), true)
  await s.advance(1)
  assert.deepEqual(await s.store.prune(100), { removed: 1, more: false })
  assert.equal(await s.exists(id), false)
}

export const pruneCases: readonly Case[] = area('prune', {
  'a completed job is kept as long as its result': async (s) => {
    const id = await s.add({ keepResultMs: hourMs })
    const worker = await s.worker()
    await worker.settle(complete(await worker.claimOne(), '1'))
    await isKept(s, id, hourMs)
  },

  'a dead job is kept for 30 days': async (s) => {
    const id = await s.add()
    const worker = await s.worker()
    await worker.settle(bury(await worker.claimOne()))
    await isKept(s, id, keepDeadMs)
  },

  'a cancelled and an expired job are kept for a day': async (s) => {
    const cancelled = await s.add()
    await s.act('cancel', cancelled)
    await isKept(s, cancelled, keepCancelledMs)
    const expired = await s.add({ expireMs: 1 })
    await s.advance(1)
    await s.store.promote(10)
    await isKept(s, expired, keepCancelledMs)
  },

  'an id is remembered for ten minutes, however short the result is kept': async (s) => {
    const job = s.newJob({ keepResultMs: 0 })
    await s.store.enqueue([job], { atomic: false })
    const worker = await s.worker()
    await worker.settle(complete(await worker.claimOne(), '1'))
    await s.advance(rememberMs - 1)
    await s.store.prune(100)
    assert.deepEqual(await s.store.enqueue([job], { atomic: false }), [{ id: job.id, duplicate: true }])
    await s.advance(1)
    assert.equal((await s.store.prune(100)).removed, 1)
  },

  'a result is readable for its time and not after it, pruned or not': async (s) => {
    const id = await s.add({ keepResultMs: 60_000 })
    const worker = await s.worker()
    await worker.settle(complete(await worker.claimOne(), '1'))
    const resultUntil = s.now() + 60_000
    await s.advance(60_000)
    assert.equal((await s.job(id)).result, '1')
    await s.advance(1)
    const job = await s.job(id)
    assert.deepEqual([job.state, job.result, job.resultUntil], ['completed', null, resultUntil])
    const [found] = await s.findAll({}, 10)
    assert.equal(found?.result, null)
  },

  'what has not ended is never pruned': async (s) => {
    await s.addMany(3, { keepResultMs: 0 })
    await s.add({ delayMs: 400 * 24 * hourMs, keepResultMs: 0 })
    const worker = await s.worker()
    const [a] = await worker.claim(2)
    await worker.settle(retry(a!, 500 * 24 * hourMs))
    await s.advance(100 * 24 * hourMs)
    assert.deepEqual(await s.store.prune(100), { removed: 0, more: false })
    const { ready, running, scheduled } = (await s.queue()).counts
    assert.deepEqual([ready, running, scheduled], [1, 1, 2])
  },

  'a job that was retried by hand is kept from its last end': async (s) => {
    const id = await s.add({ keepResultMs: hourMs })
    const worker = await s.worker()
    await worker.settle(complete(await worker.claimOne()))
    await s.act('retry', id)
    await s.advance(2 * hourMs)
    assert.equal((await s.store.prune(100)).removed, 0)
    await worker.settle(complete(await worker.claimOne()))
    await isKept(s, id, hourMs)
  },

  'a job that ended twice is pruned and counted once': async (s) => {
    const id = await s.add()
    await s.act('cancel', id)
    await s.act('retry', id)
    await s.act('cancel', id)
    const other = await s.add()
    await s.act('cancel', other)
    await s.advance(keepCancelledMs)
    assert.deepEqual(await s.store.prune(100), { removed: 2, more: false })
    const counts = (await s.store.queues()).find(({ queue }) => queue === 'default')?.counts
    assert.equal(counts?.cancelled ?? 0, 0)
  },

  'prune takes as many as asked and says whether there is more': async (s) => {
    await s.addMany(5, { keepResultMs: hourMs })
    const worker = await s.worker()
    const claimed = await worker.claim(5)
    await worker.settle(...claimed.slice(0, 3).map((claim) => complete(claim)))
    await worker.settle(...claimed.slice(3).map((claim) => complete(claim)))
    await s.advance(hourMs)
    assert.deepEqual(await s.store.prune(2), { removed: 2, more: true })
    assert.deepEqual(await s.store.prune(2), { removed: 2, more: true })
    assert.deepEqual(await s.store.prune(2), { removed: 1, more: false })
  },

  'nothing of a pruned job stays: its id, its history and its count are free': async (s) => {
    const job = s.newJob({ keepResultMs: 0, unique: 'k' })
    await s.store.enqueue([job], { atomic: false })
    const worker = await s.worker()
    const claimed = await worker.claimOne()
    const note = {
      job: job.id,
      claim: 1,
      progress: { done: 1 },
      logs: [{ level: 'info', message: 'm', ageMs: 0 } as const],
    }
    await s.store.beat(worker.id, null, [note])
    await worker.settle(retry(claimed))
    await worker.settle(complete(await worker.claimOne(), '1'))
    await s.advance(rememberMs)
    await s.store.prune(100)
    const counts = (await s.store.queues()).find(({ queue }) => queue === 'default')?.counts
    assert.equal(counts?.completed ?? 0, 0)
    assert.deepEqual(await s.findAll({}, 10), [])
    assert.deepEqual(await s.store.enqueue([job], { atomic: false }), [{ id: job.id, duplicate: false }])
    const again = await s.job(job.id)
    assert.deepEqual(
      [again.claim, again.progress, again.result, again.error, again.attempts, again.logs],
      [0, null, null, null, [], []],
    )
  },
})
