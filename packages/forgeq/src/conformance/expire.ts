// A job that has not started in time ends cancelled, and says so.
import assert from 'node:assert/strict'
import { area } from './area.ts'
import type { Case } from './case.ts'
import { bury, release, retry } from './endings.ts'

export const expireCases: readonly Case[] = area('expire', {
  'a ready and a scheduled job end at promotion': async (s) => {
    const ids = [await s.add({ expireMs: 1000 }), await s.add({ expireMs: 1000, delayMs: 60_000 })]
    await s.advance(999)
    await s.store.promote(10)
    assert.deepEqual(
      (await s.store.jobs(ids)).map(({ state }) => state),
      ['ready', 'scheduled'],
    )
    await s.advance(1)
    assert.equal((await s.store.promote(10)).moved, 2)
    for (const id of ids) {
      const job = await s.job(id)
      assert.deepEqual([job.state, job.reason, job.finishedAt], ['cancelled', 'expired', s.now()])
    }
  },

  'a job that is due and expired at once does not start': async (s) => {
    const id = await s.add({ expireMs: 1000, delayMs: 1000 })
    await s.advance(1000)
    await s.store.promote(10)
    assert.equal((await s.job(id)).reason, 'expired')
  },

  'a claim steps over expired jobs and ends them': async (s) => {
    const expired = await s.addMany(3, { expireMs: 1000 })
    const good = await s.addMany(2)
    await s.advance(1000)
    const worker = await s.worker()
    assert.deepEqual(
      (await worker.claim(2)).map(({ job }) => job),
      good,
    )
    for (const id of expired) assert.equal((await s.job(id)).reason, 'expired')
  },

  'a job that started in time does not expire any more': async (s) => {
    const ids = await s.addMany(3, { expireMs: 1000 })
    const worker = await s.worker()
    const [running, returned, waiting] = await worker.claim(3)
    await worker.settle(release(returned!), retry(waiting!, 5000))
    await s.advance(2000)
    await s.store.promote(10)
    assert.deepEqual(
      (await s.store.jobs(ids)).map(({ state }) => state),
      ['running', 'ready', 'scheduled'],
    )
    assert.equal((await worker.claimOne()).job, returned!.job)
    await s.advance(3000)
    await s.store.promote(10)
    assert.equal((await worker.claimOne()).job, waiting!.job)
    assert.equal((await s.job(running!.job)).state, 'running')
  },

  'promotion in time for the next expiry': async (s) => {
    await s.add({ expireMs: 1000 })
    const { nextDueAt } = await s.store.promote(10)
    assert.equal(nextDueAt, s.now() + 1000)
  },

  'a retry by hand does not expire again': async (s) => {
    const [expired, dead] = [await s.add({ expireMs: 1000 }), await s.add({ expireMs: 1000, queue: 'q' })]
    const worker = await s.worker()
    await worker.settle(bury(await worker.claimOne('q')))
    await s.advance(5000)
    await s.store.promote(10)
    await s.store.act({ action: 'retry', ids: [expired, dead] })
    await s.store.promote(10)
    assert.equal((await s.job(expired)).expireAt, null)
    assert.deepEqual([(await worker.claimOne()).job, (await worker.claimOne('q')).job], [expired, dead])
  },
})
