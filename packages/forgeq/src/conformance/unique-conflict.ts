// What happens to an enqueue that finds its unique key held and does not want the holder kept: it is refused, or it
// replaces what the holder is to do.
import assert from 'node:assert/strict'
import { rememberMs } from '../core/retention.ts'
import type { Enqueued, NewJob, NewUnique } from '../store/records.ts'
import { area } from './area.ts'
import type { Case } from './case.ts'
import { complete, crash, retry, snooze } from './endings.ts'
import { policy, type JobOptions, type Scene } from './scene.ts'

const key = 'order-17'
const orError: NewUnique = { key, until: 'done', onConflict: 'error' }
const orReplace: NewUnique = { key, until: 'done', onConflict: 'replace' }

const replaced = (id: string): Enqueued => ({ id, duplicate: true, replaced: true })
const kept = (id: string): Enqueued => ({ id, duplicate: true })

const replace = (s: Scene, options: JobOptions = {}): Promise<Enqueued> => s.enqueue({ unique: orReplace, ...options })

const assertRefused = (answer: Enqueued | undefined, code: string, holder?: string): void => {
  assert.ok(answer && 'refused' in answer, 'it was not refused')
  assert.equal(answer.refused.code, code)
  assert.equal(answer.refused.holder, holder)
}

export const uniqueConflictCases: readonly Case[] = area('unique conflict', {
  'error: refused with the holder, and nothing is stored': async (s) => {
    const holder = await s.add({ unique: orError })
    const job = s.newJob({ unique: orError, queue: 'other' })
    const answer = await s.send(job)
    assert.equal(answer.id, job.id)
    assertRefused(answer, 'UNIQUE_CONFLICT', holder)
    assert.equal(await s.exists(job.id), false)
    assert.equal((await s.queue()).counts.ready, 1)
    await s.act('cancel', holder)
    assert.deepEqual(await s.send(job), { id: job.id, duplicate: false })
  },

  'error: the job that holds the key is no conflict with itself': async (s) => {
    const job = s.newJob({ unique: orError })
    assert.deepEqual(await s.send(job), { id: job.id, duplicate: false })
    assert.deepEqual(await s.send(job), kept(job.id))
  },

  'error: an atomic call is refused as a whole, any other job by job': async (s) => {
    const holder = await s.add({ unique: orError })
    const jobs = [s.newJob(), s.newJob({ unique: orError }), s.newJob()]
    const together = await s.store.enqueue(jobs, { atomic: true })
    assertRefused(together[0], 'BATCH_REFUSED')
    assertRefused(together[1], 'UNIQUE_CONFLICT', holder)
    assert.equal((await s.queue()).counts.ready, 1)
    const single = await s.store.enqueue(jobs, { atomic: false })
    assert.deepEqual(single[2], { id: jobs[2]!.id, duplicate: false })
    assertRefused(single[1], 'UNIQUE_CONFLICT', holder)
    assert.equal((await s.queue()).counts.ready, 3)
  },

  'error: a follow-up that is refused takes back the call of its job': async (s) => {
    const holder = await s.add({ unique: orError, delayMs: 1000 })
    const [id, beside] = await s.addMany(2)
    const worker = await s.worker()
    const [claimed, other] = await worker.claim(2)
    const first = s.newJob()
    const settling = worker.settle(
      snooze(other!, 5000, null, 'queue'),
      complete(claimed!, null, [first, s.newJob({ unique: orError })]),
    )
    await assert.rejects(settling, { code: 'UNIQUE_CONFLICT', id, holder })
    for (const job of [id!, beside!]) assert.equal((await s.job(job)).state, 'running')
    assert.equal(await s.exists(first.id), false)
    assert.equal((await s.queue()).heldUntil, null)
    assert.equal((await worker.exchange()).nextDueAt, s.now() + 1000)
  },

  'replace: without a holder it is a new job': async (s) => {
    const job = s.newJob({ unique: orReplace })
    assert.deepEqual(await s.send(job), { id: job.id, duplicate: false })
  },

  'replace: a ready holder takes over all that it is to do, and nothing else': async (s) => {
    const id = await s.add({ unique: { ...orReplace, until: 'start' }, tags: ['old'], expireMs: 1000, payload: '1' })
    const before = await s.job(id)
    const depths = async (): Promise<unknown> => {
      const [here, there] = [await s.queue(), await s.queue('other')]
      return [here.counts.ready, there.counts.ready, there.counts.scheduled]
    }
    await s.addMany(2)
    await s.add({ queue: 'other' })
    await s.advance(10)
    const given = s.newJob({
      unique: orReplace,
      payload: '2',
      queue: 'other',
      priority: 2,
      maxAttempts: 3,
      timeoutMs: 7,
      backoff: { type: 'list', delaysMs: [1], jitter: true },
      keepResultMs: 5,
      delivery: 'at-most-once',
      delayMs: 500,
      expireMs: 2000,
      tags: ['new', 'newer'],
    })
    assert.deepEqual(await s.send(given), replaced(id))
    assert.equal(await s.exists(given.id), false)
    assert.deepEqual(await s.job(id), {
      ...before,
      state: 'scheduled',
      policy: given.policy,
      payload: '2',
      runAt: s.now() + 500,
      expireAt: s.now() + 2000,
      tags: ['new', 'newer'],
    })
    assert.deepEqual(await depths(), [2, 1, 1])
    await replace(s)
    const after = await s.job(id)
    assert.deepEqual([after.state, after.tags, after.expireAt, after.runAt], ['ready', [], null, s.now()])
    assert.deepEqual(await depths(), [3, 1, 0])
  },

  'replace: with a delay the last of a burst runs, once, when it is over': async (s) => {
    const worker = await s.worker()
    const id = await s.add({ unique: orReplace, delayMs: 1000, payload: '0' })
    for (const payload of ['1', '2', '3']) {
      await s.advance(900)
      await s.store.promote(10)
      assert.deepEqual(await replace(s, { delayMs: 1000, payload }), replaced(id))
    }
    await s.advance(999)
    await s.store.promote(10)
    assert.deepEqual(await worker.claim(5), [])
    await s.advance(1)
    await s.store.promote(10)
    const [claimed, ...others] = await worker.claim(5)
    assert.deepEqual([claimed?.job, claimed?.payload, others.length], [id, '3', 0])
  },

  'replace: a ready holder keeps its place in line, unless queue or level change': async (s) => {
    const worker = await s.worker()
    const id = await s.add({ unique: orReplace })
    const [second, third] = await s.addMany(2)
    await replace(s, { payload: '2' })
    assert.equal((await worker.claimOne()).job, id)
    await worker.exchange({ settlements: [retry({ job: id, claim: 1 }, 5000)] })
    await s.act('cancel', id)
    const moved = await s.add({ unique: orReplace, priority: 9 })
    await replace(s, { priority: 5 })
    const last = await s.add()
    const order = (await worker.claim(9)).map(({ job }) => job)
    assert.deepEqual(order, [second, third, moved, last])
  },

  'replace: a job that came back keeps its counters and its lane': async (s) => {
    const worker = await s.worker()
    const id = await s.add({ unique: orReplace })
    await worker.settle(crash(await worker.claimOne()))
    await worker.settle(retry(await worker.claimOne(), 5000))
    const fresh = await s.add()
    const before = await s.job(id)
    assert.deepEqual(await replace(s, { payload: '2', expireMs: 1, maxAttempts: 9 }), replaced(id))
    const after = await s.job(id)
    assert.deepEqual(
      [after.state, after.claim, after.attempt, after.crashes, after.error, after.attempts],
      ['ready', 2, 2, 1, before.error, before.attempts],
    )
    await s.advance(1)
    await s.store.promote(10)
    const [first, second] = await worker.claim(2)
    assert.deepEqual([first?.job, first?.payload, first?.attempt, first?.claim], [id, '2', 2, 3])
    assert.equal(second?.job, fresh)
  },

  'replace: tries before a retry by hand stay behind it': async (s) => {
    const worker = await s.worker()
    const id = await s.add({ unique: orReplace })
    await worker.settle(complete(await worker.claimOne()))
    await s.act('retry', id)
    assert.deepEqual(await replace(s, { maxAttempts: 3 }), replaced(id))
    const { attemptBase, policy: now } = await worker.claimOne()
    assert.deepEqual([attemptBase, now.maxAttempts], [1, 4])
  },

  'replace: a job that no worker knows is replaced where it is': async (s) => {
    const id = await s.add({ unique: orReplace })
    assert.deepEqual(await (await s.worker({ types: ['other'] })).claim(1), [])
    assert.deepEqual(await replace(s, { payload: '2' }), replaced(id))
    const { job, payload } = await (await s.worker()).claimOne()
    assert.deepEqual([job, payload], [id, '2'])
    assert.equal((await s.queue()).counts.ready, 0)
  },

  'replace: a holder that runs or has ended is kept': async (s) => {
    const window: NewUnique = { key, forMs: 2 * policy.keepResultMs, onConflict: 'replace' }
    const worker = await s.worker()
    const id = await s.add({ unique: window, payload: '1' })
    const claimed = await worker.claimOne()
    assert.deepEqual(await s.enqueue({ unique: window, payload: '2' }), kept(id), 'while it runs')
    await worker.settle(complete(claimed))
    assert.deepEqual(await s.enqueue({ unique: window, payload: '2' }), kept(id), 'when it has completed')
    const { state, payload } = await s.job(id)
    assert.deepEqual([state, payload], ['completed', '1'])
    await s.advance(policy.keepResultMs)
    await s.store.prune(10)
    assert.deepEqual(await s.enqueue({ unique: window, payload: '2' }), kept(id), 'when it is gone')
  },

  'replace: held until the start, no update is lost': async (s) => {
    const unique: NewUnique = { ...orReplace, until: 'start' }
    const worker = await s.worker()
    const first = await s.add({ unique, payload: '1' })
    await worker.claimOne()
    const second = await s.add({ unique, payload: '2' })
    assert.deepEqual(await s.enqueue({ unique, payload: '3' }), replaced(second))
    assert.equal((await s.job(first)).payload, '1')
    assert.equal((await worker.claimOne()).payload, '3')
  },

  'replace: an expiry counts from the last enqueue': async (s) => {
    const id = await s.add({ unique: orReplace, expireMs: 1000 })
    await s.advance(500)
    await replace(s, { expireMs: 1000 })
    await s.advance(500)
    await s.store.promote(10)
    assert.equal((await s.job(id)).state, 'ready', 'ended by an expiry that was replaced')
    await replace(s)
    await s.advance(500)
    await s.store.promote(10)
    assert.equal((await s.job(id)).state, 'ready', 'ended by an expiry that was taken away')
    await replace(s, { expireMs: 10 })
    await s.advance(10)
    await s.store.promote(10)
    assert.equal((await s.job(id)).reason, 'expired')
  },

  'replace: no deadline from before a retry by hand ends it': async (s) => {
    const id = await s.add({ unique: orReplace, expireMs: 1000 })
    await s.act('cancel', id)
    await s.act('retry', id)
    await replace(s, { expireMs: 5000 })
    await s.advance(1000)
    await s.store.promote(10)
    assert.equal((await s.job(id)).state, 'ready')
    await s.advance(4000)
    await s.store.promote(10)
    assert.equal((await s.job(id)).reason, 'expired')
  },

  'replace: sent again it has its answer again and changes nothing': async (s) => {
    const id = await s.add({ unique: orReplace, delayMs: 1000, payload: '1' })
    const update = s.newJob({ unique: orReplace, payload: '2', delayMs: 2000 })
    assert.deepEqual(await s.send(update), replaced(id))
    await s.advance(500)
    assert.deepEqual(await s.send(update), replaced(id))
    assert.equal((await s.job(id)).runAt, s.now() + 1500, 'its delay began anew')
    await replace(s, { payload: '3' })
    assert.deepEqual(await s.send(update), replaced(id))
    assert.equal((await s.job(id)).payload, '3', 'it replaced what came after it')
    const worker = await s.worker()
    const claimed = await worker.claimOne()
    assert.deepEqual(await s.send(update), replaced(id), 'while the holder runs')
    await worker.settle(complete(claimed))
    assert.deepEqual(await s.send(update), replaced(id), 'when the holder has ended')
    assert.deepEqual(await s.store.enqueue([update], { atomic: true }), [replaced(id)])
    assert.deepEqual(await worker.claim(1), [])
  },

  'replace: it is remembered for ten minutes, as the id of an ended job is': async (s) => {
    const id = await s.add({ unique: orReplace, delayMs: 2 * rememberMs })
    const update = s.newJob({ unique: orReplace, payload: '2' })
    await s.send(update)
    await s.advance(rememberMs - 1)
    await s.store.prune(10)
    await replace(s, { payload: '3', delayMs: rememberMs })
    assert.deepEqual(await s.send(update), replaced(id))
    assert.equal((await s.job(id)).payload, '3')
    await s.advance(1)
    await s.store.prune(10)
    await s.send(update)
    assert.equal((await s.job(id)).payload, '2', 'still remembered')
  },

  'replace: the id of a replacement is taken, for any other type': async (s) => {
    await s.add({ unique: orReplace })
    const update = s.newJob({ unique: orReplace })
    await s.send(update)
    assertRefused(await s.send({ ...update, type: 'other' }), 'ID_CONFLICT')
  },

  'replace: the enqueue that made the holder is no conflict and replaces nothing': async (s) => {
    const first = s.newJob({ unique: orReplace, payload: '1' })
    await s.send(first)
    await replace(s, { payload: '2' })
    assert.deepEqual(await s.send(first), kept(first.id))
    assert.equal((await s.job(first.id)).payload, '2')
  },

  'replace: in one call they follow each other': async (s) => {
    const first = s.newJob({ unique: orReplace, payload: '0' })
    const between = s.newJob()
    const updates = [
      s.newJob({ unique: orReplace, payload: '1', delayMs: 1000 }),
      s.newJob({ unique: orReplace, payload: '2', queue: 'other' }),
      s.newJob({ unique: orReplace, payload: '3', priority: 5 }),
    ]
    const calls: readonly NewJob[] = [first, between, ...updates, updates[1]!]
    const expected = [
      { id: first.id, duplicate: false },
      { id: between.id, duplicate: false },
      ...[...updates, updates[1]].map(() => replaced(first.id)),
    ]
    assert.deepEqual(await s.store.enqueue(calls, { atomic: true }), expected)
    const last = await s.add()
    const claimed = await (await s.worker()).claim(9)
    assert.deepEqual(
      claimed.map(({ job }) => job),
      [between.id, first.id, last],
    )
    assert.equal(claimed[1]?.payload, '3')
    assert.deepEqual([(await s.queue()).counts.ready, (await s.queue()).counts.scheduled], [0, 0])
  },

  'replace: a call that is refused takes it back': async (s) => {
    const id = await s.add({ unique: orReplace, payload: '1' })
    const update = s.newJob({ unique: orReplace, payload: '2', delayMs: 1000 })
    const [answer] = await s.store.enqueue([update, s.newJob({ id: 'bad' })], { atomic: true })
    assertRefused(answer, 'BATCH_REFUSED')
    const { payload, state } = await s.job(id)
    assert.deepEqual([payload, state], ['1', 'ready'])
    assert.deepEqual(await s.send(update), replaced(id))
    assert.equal((await s.job(id)).payload, '2')
  },

  'replace: a follow-up replaces, too': async (s) => {
    const id = await s.add({ unique: orReplace, delayMs: 1000 })
    await s.add()
    const worker = await s.worker()
    await worker.settle(complete(await worker.claimOne(), null, [s.newJob({ unique: orReplace, payload: '2' })]))
    const { job, payload } = await worker.claimOne()
    assert.deepEqual([job, payload], [id, '2'])
  },

  'replace: twice in one call, the last one counts': async (s) => {
    const id = await s.add({ unique: orReplace, key: 'k' })
    const updates = [1000, 2000].map((delayMs) => s.newJob({ unique: orReplace, key: 'k', delayMs }))
    assert.deepEqual(await s.store.enqueue(updates, { atomic: true }), [replaced(id), replaced(id)])
    const { counts } = await s.queue()
    assert.deepEqual([counts.ready, counts.scheduled], [0, 1])
    await s.advance(2000)
    await s.promote()
    assert.deepEqual(await (await s.worker()).claimIds(9), [id])
  },

  'replace: into another queue, as that takes new jobs': async (s) => {
    const id = await s.add({ unique: orReplace, queue: 'a' })
    await s.add({ queue: 'full' })
    await s.limit({ maxDepth: 1 }, 'full')
    await s.limit({ accepting: false }, 'closed')
    assertRefused(await s.send(s.newJob({ unique: orReplace, queue: 'full' })), 'QUEUE_FULL')
    assertRefused(await s.send(s.newJob({ unique: orReplace, queue: 'closed' })), 'QUEUE_CLOSED')
    assert.equal((await s.job(id)).policy.queue, 'a')
    await s.limit({ accepting: false }, 'a')
    assert.deepEqual(await s.send(s.newJob({ unique: orReplace, queue: 'a', payload: '2' })), replaced(id))
  },
})
