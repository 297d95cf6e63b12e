// How many jobs may wait in a queue, and whether it takes new ones at all.
import assert from 'node:assert/strict'
import type { Enqueued, NewJob } from '../store/records.ts'
import { area } from './area.ts'
import type { Case } from './case.ts'
import { complete, release } from './endings.ts'
import type { Scene } from './scene.ts'

const codeOf = (answer: Enqueued): string =>
  'refused' in answer ? answer.refused.code : answer.duplicate ? 'duplicate' : 'stored'

const codes = async (s: Scene, jobs: readonly NewJob[], atomic = false): Promise<readonly string[]> =>
  (await s.store.enqueue(jobs, { atomic })).map(codeOf)

const some = (s: Scene, count: number): NewJob[] => Array.from({ length: count }, () => s.newJob())

export const depthCases: readonly Case[] = area('depth', {
  'a full queue refuses what does not fit, each job by itself': async (s) => {
    await s.limit({ maxDepth: 3 })
    assert.deepEqual(await codes(s, some(s, 5)), ['stored', 'stored', 'stored', 'QUEUE_FULL', 'QUEUE_FULL'])
    assert.deepEqual(await codes(s, some(s, 1)), ['QUEUE_FULL'])
    assert.equal((await s.queue()).counts.ready, 3)
    assert.deepEqual(await codes(s, [s.newJob({ queue: 'other' })]), ['stored'])
  },

  'an atomic call that does not fit stores nothing': async (s) => {
    await s.limit({ maxDepth: 3 })
    await s.addMany(2)
    assert.deepEqual(await codes(s, some(s, 2), true), ['BATCH_REFUSED', 'QUEUE_FULL'])
    assert.equal((await s.queue()).counts.ready, 2)
    assert.deepEqual(await codes(s, some(s, 1), true), ['stored'])
  },

  'jobs that wait for their time count, jobs that run or have ended do not': async (s) => {
    await s.limit({ maxDepth: 2 })
    await s.add()
    await s.add({ delayMs: 1000 })
    assert.deepEqual(await codes(s, some(s, 1)), ['QUEUE_FULL'])
    const worker = await s.worker()
    const claimed = await worker.claimOne()
    assert.deepEqual(await codes(s, some(s, 2)), ['stored', 'QUEUE_FULL'])
    await worker.settle(complete(claimed))
    assert.deepEqual(await codes(s, some(s, 1)), ['QUEUE_FULL'])
    await s.act('cancel', (await s.findAll({ state: 'scheduled' }, 10))[0]!.id)
    assert.deepEqual(await codes(s, some(s, 2)), ['stored', 'QUEUE_FULL'])
  },

  'jobs that wait for their key, or stand aside, count': async (s) => {
    await s.limit({ maxDepth: 3, perKey: { concurrency: 1, rate: null, ordered: false } })
    await s.addMany(2, { key: 'k' })
    await s.add({ type: 'strange', priority: 0 })
    const worker = await s.worker()
    await worker.claimOne()
    assert.deepEqual(await codes(s, some(s, 2)), ['stored', 'QUEUE_FULL'])
  },

  'a job that comes back is not refused, and counts': async (s) => {
    await s.limit({ maxDepth: 1 })
    await s.add()
    const worker = await s.worker()
    const claimed = await worker.claimOne()
    assert.deepEqual(await codes(s, some(s, 1)), ['stored'])
    assert.deepEqual(await worker.settle(release(claimed)), ['applied'])
    assert.equal((await s.queue()).counts.ready, 2)
    await worker.claimOne()
    assert.deepEqual(await codes(s, some(s, 1)), ['QUEUE_FULL'])
  },

  'a job that is retried or promoted by hand is not refused': async (s) => {
    const id = await s.add()
    const later = await s.add({ delayMs: 1000 })
    await s.act('cancel', id)
    await s.limit({ maxDepth: 1, accepting: false })
    assert.deepEqual(await s.act('retry', id), { id, done: true, state: 'ready' })
    assert.deepEqual(await s.act('promote', later), { id: later, done: true, state: 'ready' })
  },

  'a queue that is closed takes nothing new and hands out what it has': async (s) => {
    const [id] = await s.addMany(1)
    await s.limit({ accepting: false })
    assert.equal((await s.queue()).accepting, false)
    assert.deepEqual(await codes(s, some(s, 2)), ['QUEUE_CLOSED', 'QUEUE_CLOSED'])
    assert.deepEqual(await codes(s, [s.newJob({ queue: 'other' }), s.newJob()], true), [
      'BATCH_REFUSED',
      'QUEUE_CLOSED',
    ])
    assert.deepEqual(await codes(s, [s.newJob({ queue: 'other' }), s.newJob()]), ['stored', 'QUEUE_CLOSED'])
    const worker = await s.worker()
    assert.deepEqual(await worker.claimIds(9), [id])
    await s.limit({ accepting: true })
    assert.deepEqual(await codes(s, some(s, 1)), ['stored'])
  },

  'closed comes before full': async (s) => {
    await s.limit({ maxDepth: 1, accepting: false })
    assert.deepEqual(await codes(s, some(s, 1)), ['QUEUE_CLOSED'])
    await s.limit({ accepting: true })
    assert.deepEqual(await codes(s, some(s, 2)), ['stored', 'QUEUE_FULL'])
  },

  'a job that is known is answered although its queue is full or closed': async (s) => {
    await s.limit({ maxDepth: 2 })
    const jobs = [s.newJob({ unique: 'u' }), s.newJob()]
    assert.deepEqual(await codes(s, jobs), ['stored', 'stored'])
    const again = [...jobs, s.newJob({ unique: 'u' }), { ...jobs[1]!, payload: '"other"' }]
    const answers = ['duplicate', 'duplicate', 'duplicate', 'ID_CONFLICT']
    assert.deepEqual(await codes(s, again), answers)
    await s.limit({ accepting: false })
    assert.deepEqual(await codes(s, again), answers)
    assert.deepEqual(await codes(s, jobs, true), ['duplicate', 'duplicate'])
    assert.deepEqual(await codes(s, [s.newJob({ id: 'bad' })]), ['INVALID_ID'])
  },

  'a refused job holds no unique key and no id': async (s) => {
    await s.limit({ maxDepth: 1 })
    await s.add()
    const job = s.newJob({ unique: 'u' })
    assert.deepEqual(await codes(s, [job]), ['QUEUE_FULL'])
    await s.limit({ maxDepth: 2 })
    assert.deepEqual(await codes(s, [s.newJob({ unique: 'u' })]), ['stored'])
    assert.equal(await s.exists(job.id), false)
  },

  'follow-ups of a job are taken although their queue is full or closed': async (s) => {
    await s.add()
    await s.limit({ maxDepth: 1 })
    const worker = await s.worker()
    const claimed = await worker.claimOne()
    await s.add()
    const next = [s.newJob(), s.newJob({ key: 'k' })]
    await assert.doesNotReject(worker.settle(complete(claimed, null, next)))
    const second = await worker.claimOne()
    await s.limit({ accepting: false })
    const last = s.newJob()
    await assert.doesNotReject(worker.settle(complete(second, null, [last])))
    assert.deepEqual(await worker.claimIds(9), [...next.map(({ id }) => id), last.id])
  },

  'without a limit any number waits': async (s) => {
    await s.limit({ maxDepth: 1 })
    await s.add()
    await s.limit({ maxDepth: null })
    assert.deepEqual(await codes(s, some(s, 3)), ['stored', 'stored', 'stored'])
  },
})
