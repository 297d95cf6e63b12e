// What operators do: cancel, retry, delete, each in each state.
import assert from 'node:assert/strict'
import type { State } from '../core/states.ts'
import { area } from './area.ts'
import type { Case } from './case.ts'
import { bury, cancel, complete, crash, failure, release, retry, snooze } from './endings.ts'
import type { Scene } from './scene.ts'

/** A new job brought to a state, each in a queue of its own. */
const bring = async (s: Scene, state: Exclude<State, 'blocked'>): Promise<string> => {
  const id = await s.add({ queue: state, ...(state === 'scheduled' && { delayMs: 60_000 }) })
  if (state === 'scheduled' || state === 'ready') return id
  if (state === 'cancelled') {
    await s.act('cancel', id)
    return id
  }
  const worker = await s.worker()
  const claimed = await worker.claimOne(state)
  if (state === 'completed') await worker.settle(complete(claimed, '1'))
  if (state === 'dead') await worker.settle(bury(claimed))
  return id
}

export const actCases: readonly Case[] = area('act', {
  'a pending job is cancelled at once and never starts': async (s) => {
    for (const state of ['scheduled', 'ready'] as const) {
      const id = await bring(s, state)
      assert.deepEqual(await s.act('cancel', id), { id, done: true, state: 'cancelled' })
      const job = await s.job(id)
      assert.deepEqual([job.state, job.reason, job.finishedAt], ['cancelled', 'cancelled', s.now()])
      await s.advance(60_000)
      await s.store.promote(10)
      const worker = await s.worker()
      assert.deepEqual(await worker.claim(1, state), [])
    }
  },

  'a running job is marked, and its worker hears of it at once and until it ends': async (s) => {
    const id = await s.add()
    const worker = await s.worker()
    const claimed = await worker.claimOne()
    assert.deepEqual((await worker.exchange()).orders, [])
    assert.deepEqual(await s.act('cancel', id), { id, done: true, state: 'running' })
    const job = await s.job(id)
    assert.deepEqual([job.state, job.cancelRequested, job.finishedAt], ['running', true, null])
    const order = [{ job: id, claim: claimed.claim, order: 'cancel' }]
    assert.deepEqual((await worker.exchange()).orders, order)
    const reply = await s.store.beat(worker.id, null, [])
    assert.deepEqual(reply.closed || reply.orders, order)
    const other = await s.worker()
    assert.deepEqual((await other.exchange()).orders, [])
    await worker.settle(cancel(claimed))
    assert.deepEqual((await worker.exchange()).orders, [])
  },

  'however a marked job ends, it ends cancelled': async (s) => {
    const worker = await s.worker()
    for (const ending of [complete, retry, snooze, release, bury, crash]) {
      const id = await s.add()
      const claimed = await worker.claimOne()
      await s.act('cancel', id)
      const next = s.newJob({ queue: 'next' })
      const settlement = { ...ending(claimed), ...(ending === complete && { result: '1', followUps: [next] }) }
      assert.deepEqual(await worker.settle(settlement), ['cancelled'], ending.name)
      assert.deepEqual(await worker.settle(settlement), ['cancelled'], `${ending.name} again`)
      const job = await s.job(id)
      assert.deepEqual(
        [job.state, job.reason, job.result, job.attempt, job.worker, job.cancelRequested, job.finishedAt],
        ['cancelled', 'cancelled', null, 1, null, false, s.now()],
        ending.name,
      )
      assert.equal(await s.exists(next.id), false)
    }
  },

  'a worker that obeys the order has applied it': async (s) => {
    const id = await s.add()
    const worker = await s.worker()
    const claimed = await worker.claimOne()
    await s.act('cancel', id)
    assert.deepEqual(await worker.settle(cancel(claimed, failure('aborted'))), ['applied'])
    assert.deepEqual(await worker.settle(cancel(claimed, failure('aborted'))), ['applied'])
    const job = await s.job(id)
    assert.deepEqual([job.state, job.error?.message, job.attempts?.[0]?.outcome], ['cancelled', 'aborted', 'cancel'])
  },

  'a marked job whose worker dies ends cancelled by rescue': async (s) => {
    const id = await s.add()
    const worker = await s.worker()
    await worker.claimOne()
    await s.act('cancel', id)
    await s.store.leave(worker.id)
    assert.deepEqual(await s.rescue(), ['cancelled'])
    assert.equal((await s.job(id)).state, 'cancelled')
  },

  'cancelling again has the same answer': async (s) => {
    const pending = await bring(s, 'ready')
    const running = await bring(s, 'running')
    for (let i = 0; i < 2; i++) {
      assert.deepEqual(await s.act('cancel', pending), { id: pending, done: true, state: 'cancelled' })
      assert.deepEqual(await s.act('cancel', running), { id: running, done: true, state: 'running' })
    }
  },

  'a job that ended otherwise cannot be cancelled': async (s) => {
    for (const state of ['completed', 'dead'] as const) {
      const id = await bring(s, state)
      assert.deepEqual(await s.act('cancel', id), { id, done: false, code: 'STATE_CONFLICT', state })
      assert.equal((await s.job(id)).state, state)
    }
  },

  'a dead job is retried with a fresh set of tries and its numbers go on': async (s) => {
    const id = await s.add({ maxAttempts: 2 })
    const worker = await s.worker()
    await worker.settle(retry(await worker.claimOne()))
    await worker.settle(crash(await worker.claimOne()))
    await worker.settle(bury(await worker.claimOne()))
    await s.advance(5000)
    assert.deepEqual(await s.act('retry', id), { id, done: true, state: 'ready' })
    const job = await s.job(id)
    assert.deepEqual(
      [job.state, job.reason, job.finishedAt, job.attempt, job.crashes, job.policy.maxAttempts, job.claim],
      ['ready', null, null, 3, 0, 4, 3],
    )
    assert.equal(job.attempts?.length, 3)
    let claimed = await worker.claimOne()
    assert.deepEqual(
      [claimed.claim, claimed.attempt, claimed.attemptBase, claimed.policy.maxAttempts, claimed.crashes],
      [4, 3, 2, 4, 0],
    )
    await worker.settle(retry(claimed))
    await worker.settle(bury(await worker.claimOne()))
    await s.act('retry', id)
    claimed = await worker.claimOne()
    assert.deepEqual([claimed.attempt, claimed.attemptBase, claimed.policy.maxAttempts], [5, 4, 6])
  },

  'a completed job can be retried; its result is gone': async (s) => {
    const id = await bring(s, 'completed')
    await s.act('retry', id)
    const job = await s.job(id)
    assert.deepEqual(
      [job.state, job.result, job.resultUntil, job.attempt, job.attempts?.map(({ outcome }) => outcome)],
      ['ready', null, null, 2, ['complete']],
    )
    const worker = await s.worker()
    await worker.settle(complete(await worker.claimOne('completed'), '2'))
    const again = await s.job(id)
    assert.deepEqual([again.result, again.attempts?.map(({ claim }) => claim)], ['2', [1, 2]])
  },

  'a job cancelled before its try keeps the number of that try': async (s) => {
    const fresh = await bring(s, 'cancelled')
    await s.act('retry', fresh)
    const worker = await s.worker()
    const first = await worker.claimOne('cancelled')
    assert.deepEqual([first.attempt, first.attemptBase, first.policy.maxAttempts], [1, 0, 6])
    const waiting = await s.add()
    await worker.settle(retry(await worker.claimOne(), 1000))
    await s.act('cancel', waiting)
    await s.act('retry', waiting)
    const second = await worker.claimOne()
    assert.deepEqual([second.attempt, second.attemptBase, second.policy.maxAttempts], [2, 1, 7])
  },

  'a job cancelled while it ran has used its try': async (s) => {
    const id = await s.add()
    const worker = await s.worker()
    await worker.settle(cancel(await worker.claimOne()))
    await s.act('retry', id)
    assert.equal((await worker.claimOne()).attempt, 2)
  },

  'a retry may change the payload': async (s) => {
    const id = await bring(s, 'dead')
    assert.deepEqual(await s.store.act({ action: 'retry', ids: [id], payload: '{"fixed": 1}' }), [
      { id, done: true, state: 'ready' },
    ])
    assert.equal((await s.job(id)).payload, '{"fixed": 1}')
    const worker = await s.worker()
    assert.equal((await worker.claimOne('dead')).payload, '{"fixed": 1}')
  },

  'what was claimed before comes back to the front lane, the rest behind the new ones': async (s) => {
    const worker = await s.worker()
    const dead = await s.add()
    await worker.settle(bury(await worker.claimOne()))
    const never = await s.add()
    await s.act('cancel', never)
    const fresh = await s.add()
    await s.store.act({ action: 'retry', ids: [never, dead] })
    assert.deepEqual(
      (await worker.claim(3)).map(({ job }) => job),
      [dead, fresh, never],
    )
  },

  'a job that has not ended cannot be retried': async (s) => {
    for (const state of ['scheduled', 'ready', 'running'] as const) {
      const id = await bring(s, state)
      assert.deepEqual(await s.act('retry', id), { id, done: false, code: 'STATE_CONFLICT', state })
    }
  },

  'an old claim stays stale after a retry by hand': async (s) => {
    const id = await s.add()
    const worker = await s.worker()
    const old = await worker.claimOne()
    await worker.settle(bury(old))
    await s.act('retry', id)
    const held = await worker.claimOne()
    assert.equal(held.claim, 2)
    assert.deepEqual(await worker.settle(complete({ ...old, claim: 0 })), ['lost'])
    await worker.settle(complete(held, '2'))
    assert.deepEqual(await worker.settle(complete(old, '1')), ['lost'])
    assert.equal((await s.job(id)).result, '2')
  },

  'any job but a running one can be deleted': async (s) => {
    for (const state of ['scheduled', 'ready', 'completed', 'dead', 'cancelled'] as const) {
      const id = await bring(s, state)
      assert.deepEqual(await s.act('delete', id), { id, done: true, state: 'gone' })
      assert.equal(await s.exists(id), false)
      const left = (await s.store.queues()).find(({ queue }) => queue === state)
      assert.equal(left?.counts[state] ?? 0, 0)
    }
    const id = await bring(s, 'running')
    assert.deepEqual(await s.act('delete', id), { id, done: false, code: 'STATE_CONFLICT', state: 'running' })
    assert.equal((await s.job(id)).state, 'running')
  },

  'a deleted job is never claimed nor promoted': async (s) => {
    for (const state of ['scheduled', 'ready'] as const) await s.act('delete', await bring(s, state))
    await s.advance(60_000)
    assert.equal((await s.store.promote(10)).moved, 0)
    const worker = await s.worker()
    assert.deepEqual([...(await worker.claim(1, 'scheduled')), ...(await worker.claim(1, 'ready'))], [])
  },

  'each id has its own verdict, in order': async (s) => {
    const [ready, dead] = [await bring(s, 'ready'), await bring(s, 'dead')]
    const nobody = s.newJob().id
    assert.deepEqual(await s.store.act({ action: 'cancel', ids: [nobody, ready, dead, ready] }), [
      { id: nobody, done: false, code: 'NOT_FOUND' },
      { id: ready, done: true, state: 'cancelled' },
      { id: dead, done: false, code: 'STATE_CONFLICT', state: 'dead' },
      { id: ready, done: true, state: 'cancelled' },
    ])
  },

  'one call cancels 1,000 jobs': async (s) => {
    const ids = await s.addMany(1000)
    const verdicts = await s.store.act({ action: 'cancel', ids })
    assert.ok(verdicts.length === 1000 && verdicts.every((verdict) => verdict.done))
    const { ready, cancelled } = (await s.queue()).counts
    assert.deepEqual([ready, cancelled], [0, 1000])
  },
})
