// Dead letters and history: every ended claim leaves its mark, the last 20 are kept.
import assert from 'node:assert/strict'
import { area } from './area.ts'
import type { Case } from './case.ts'
import { bury, complete, crash, failure, release, retry, snooze } from './endings.ts'

export const attemptsCases: readonly Case[] = area('attempts', {
  'a dead job shows every try with its error': async (s) => {
    const id = await s.add({ maxAttempts: 3 })
    const worker = await s.worker()
    const begunAt = s.now()
    for (const attempt of [1, 2, 3]) {
      const claimed = await worker.claimOne()
      assert.deepEqual([claimed.attempt, claimed.attemptBase], [attempt, 0])
      await s.advance(10)
      const error = failure(`try ${attempt}`)
      await worker.settle(attempt < 3 ? retry(claimed, 90, error) : bury(claimed, 'exhausted', error))
      await s.advance(90)
      await s.store.promote(10)
    }
    const job = await s.job(id)
    assert.deepEqual([job.state, job.attempt, job.error?.message], ['dead', 3, 'try 3'])
    assert.deepEqual(
      job.attempts,
      [1, 2, 3].map((n) => ({
        claim: n,
        attempt: n,
        outcome: n < 3 ? 'retry' : 'bury',
        worker: worker.id,
        startedAt: begunAt + (n - 1) * 100,
        endedAt: begunAt + (n - 1) * 100 + 10,
        error: failure(`try ${n}`),
      })),
    )
  },

  'every way to end a claim is in the history': async (s) => {
    const id = await s.add()
    const worker = await s.worker()
    for (const ending of [release, snooze, retry, crash]) await worker.settle(ending(await worker.claimOne()))
    await worker.settle(complete(await worker.claimOne()))
    const { attempts = [], error } = await s.job(id)
    assert.deepEqual(
      attempts.map(({ claim, attempt, outcome, error: cause }) => [claim, attempt, outcome, cause?.code ?? null]),
      [
        [1, 1, 'release', null],
        [2, 1, 'snooze', null],
        [3, 1, 'retry', 'HANDLER_ERROR'],
        [4, 2, 'crash', 'WORKER_LOST'],
        [5, 2, 'complete', null],
      ],
    )
    assert.equal(error?.code, 'WORKER_LOST')
  },

  'a rescued claim is in the history with the worker that lost it': async (s) => {
    const id = await s.add()
    const worker = await s.worker()
    await worker.claimOne()
    await s.store.leave(worker.id)
    await s.rescue()
    const [attempt] = (await s.job(id)).attempts ?? []
    assert.deepEqual([attempt?.worker, attempt?.outcome, attempt?.claim], [worker.id, 'crash', 1])
  },

  'the last 20 are kept, oldest first': async (s) => {
    const id = await s.add({ maxAttempts: 100 })
    const worker = await s.worker()
    for (let n = 1; n <= 30; n++) await worker.settle(retry(await worker.claimOne(), 0, failure(`try ${n}`)))
    const { attempts = [], attempt } = await s.job(id)
    assert.equal(attempt, 31)
    assert.deepEqual(
      attempts.map(({ error }) => error?.message),
      Array.from({ length: 20 }, (_, i) => `try ${i + 11}`),
    )
    await worker.settle(complete(await worker.claimOne()))
    const { attempts: last = [] } = await s.job(id)
    assert.deepEqual([last.length, last[0]?.claim, last.at(-1)?.outcome], [20, 12, 'complete'])
  },

  'a large error is kept whole': async (s) => {
    const id = await s.add()
    const worker = await s.worker()
    const error = { ...failure('large'), stack: 'ü'.repeat(8000) }
    await worker.settle(bury(await worker.claimOne(), 'exhausted', error))
    const job = await s.job(id)
    assert.deepEqual(job.error, error)
    assert.deepEqual(job.attempts?.[0]?.error, error)
  },

  'the history is read only when asked for': async (s) => {
    const id = await s.add()
    const [job] = await s.store.jobs([id])
    assert.ok(job && !('attempts' in job) && !('logs' in job))
    const [withAttempts] = await s.store.jobs([id], ['attempts'])
    assert.ok(withAttempts && 'attempts' in withAttempts && !('logs' in withAttempts))
  },
})
