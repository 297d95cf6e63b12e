// Opening, migrating, closing, and the time of the store.
import assert from 'node:assert/strict'
import { ForgeError } from '../core/errors.ts'
import { area } from './area.ts'
import type { Case } from './case.ts'
import { complete } from './endings.ts'

export const lifeCases: readonly Case[] = area('life', {
  'open may be called again and says what it is': async (s) => {
    const info = await s.store.open()
    assert.deepEqual(await s.store.open(), info)
    assert.equal(info.now, s.now())
    assert.ok(info.kind !== '' && info.version !== '' && info.durability !== '')
  },

  'calls before open open by themselves': async (s) => {
    await s.add()
    assert.equal((await s.queue()).counts.ready, 1)
  },

  'an open store has nothing left to migrate': async (s) => {
    await s.store.open()
    for (const mode of ['plan', 'apply'] as const) {
      const { version, target, steps } = await s.store.migrate(mode)
      assert.deepEqual([version, steps], [target, []])
    }
    assert.deepEqual(await s.store.drift(), [])
  },

  'a closed store refuses every call, and may be closed again': async (s) => {
    await s.add()
    await s.store.close()
    await s.store.close()
    await assert.rejects(s.store.enqueue([s.newJob()], { atomic: true }), (error) =>
      ForgeError.is(error, 'STORE_CLOSED'),
    )
    await assert.rejects(s.store.queues(), (error) => ForgeError.is(error, 'STORE_CLOSED'))
  },

  'calls that were made before close are answered': async (s) => {
    const job = s.newJob()
    const answer = s.store.enqueue([job], { atomic: true })
    const [answers] = await Promise.all([answer, answer.then(() => s.store.close())])
    assert.deepEqual(answers, [{ id: job.id, duplicate: false }])
  },

  'time never goes backwards': async (s) => {
    await s.advance(100_000)
    const worker = await s.worker()
    const id = await s.add()
    const claimed = await worker.claimOne()
    const { now } = await worker.exchange()
    await s.advance(-60_000)
    assert.ok((await worker.exchange()).now >= now)
    await worker.settle(complete(claimed))
    const job = await s.job(id)
    assert.ok(job.finishedAt! >= job.startedAt! && job.startedAt! >= job.createdAt)
    await s.add({ delayMs: 1000 })
    assert.ok((await s.store.promote(10)).nextDueAt! >= now + 1000)
  },

  'a clock that goes back closes no worker and expires no job': async (s) => {
    const worker = await s.worker()
    const id = await s.add({ expireMs: 1000 })
    await s.advance(-3_600_000)
    await s.store.lost(10)
    await s.store.promote(10)
    assert.equal((await s.job(id)).state, 'ready')
    assert.equal(await worker.isClosed(), false)
  },
})
