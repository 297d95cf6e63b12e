// Unique keys: held by at most one job of a type that has not ended, freed in the step that ends it. Keys that are held
// otherwise: unique-hold.ts. What happens to an enqueue that finds its key held: unique-conflict.ts.
import assert from 'node:assert/strict'
import type { Enqueued } from '../store/records.ts'
import { area } from './area.ts'
import type { Case } from './case.ts'
import { bury, cancel, complete, crash, release, retry, snooze } from './endings.ts'
import { type JobOptions, leaseMs, type Scene } from './scene.ts'

const unique = 'order-17'

const enqueue = (s: Scene, options: JobOptions = {}): Promise<Enqueued> => s.enqueue({ unique, ...options })

export const uniqueCases: readonly Case[] = area('unique', {
  'a second job with the key answers with the holder': async (s) => {
    const holder = await s.add({ unique })
    assert.deepEqual(await enqueue(s), { id: holder, duplicate: true })
    assert.deepEqual(await enqueue(s, { payload: '{"other":1}', queue: 'other', delayMs: 5 }), {
      id: holder,
      duplicate: true,
    })
    assert.equal((await s.queue()).counts.ready, 1)
  },

  'of many in one call one is stored': async (s) => {
    const jobs = Array.from({ length: 50 }, () => s.newJob({ unique }))
    for (const atomic of [true, false]) {
      const answers = await s.store.enqueue(jobs, { atomic })
      assert.ok(answers.every((answer) => answer.id === jobs[0]!.id))
      assert.equal(answers.filter((answer) => 'duplicate' in answer && !answer.duplicate).length, atomic ? 1 : 0)
    }
  },

  'of many producers one stores': async (s) => {
    const answers = await Promise.all(Array.from({ length: 50 }, () => enqueue(s)))
    const stored = answers.filter((answer) => 'duplicate' in answer && !answer.duplicate)
    assert.equal(stored.length, 1)
    assert.ok(answers.every((answer) => answer.id === stored[0]!.id))
  },

  'a key belongs to its type': async (s) => {
    await s.add({ unique, type: 'a' })
    await s.add({ unique, type: 'b' })
    assert.equal((await s.queue()).counts.ready, 2)
  },

  'keys differ by every character': async (s) => {
    for (const key of ['a', 'A', 'a ', 'ä', 'a\u0308', '', '%', 'a'.repeat(256)]) await s.add({ unique: key })
    assert.equal((await s.queue()).counts.ready, 8)
  },

  'the id is looked at before the key': async (s) => {
    const first = s.newJob({ unique: 'a' })
    await s.store.enqueue([first], { atomic: false })
    await s.add({ unique: 'b' })
    const again = s.newJob({ id: first.id, unique: 'b' })
    assert.deepEqual(await s.send(again), { id: first.id, duplicate: true })
    const answer = await s.send({ ...again, payload: '1' })
    assert.equal('refused' in answer && answer.refused.code, 'ID_CONFLICT')
    const bad = await enqueue(s, { id: 'bad', unique: 'b' })
    assert.equal('refused' in bad && bad.refused.code, 'INVALID_ID')
  },

  'it is held while the job waits, runs, is retried and rescued': async (s) => {
    const id = await s.add({ unique, delayMs: 1000 })
    const held = { id, duplicate: true }
    assert.deepEqual(await enqueue(s), held)
    await s.advance(1000)
    await s.store.promote(10)
    const [worker, other] = [await s.worker(), await s.worker()]
    for (const ending of [retry, snooze, release, crash]) {
      const claimed = await worker.claimOne()
      assert.deepEqual(await enqueue(s), held, 'while it runs')
      await worker.settle(ending(claimed))
      assert.deepEqual(await enqueue(s), held, `after ${ending.name}`)
    }
    await worker.settle(retry(await worker.claimOne(), leaseMs))
    assert.deepEqual(await enqueue(s), held, 'while it waits for its retry')
    await s.act('promote', id)
    await worker.claimOne()
    await s.act('cancel', id)
    assert.deepEqual(await enqueue(s), held, 'while it is marked cancelled')
    await s.store.leave(worker.id)
    assert.deepEqual(await enqueue(s), held, 'while nobody holds it')
    await s.rescue()
    assert.equal((await enqueue(s)).id !== id, true)
    assert.equal((await other.claim(5)).length, 1)
  },

  'every way to end frees it': async (s) => {
    const worker = await s.worker()
    const ends: Readonly<Record<string, (id: string) => Promise<unknown>>> = {
      complete: async () => worker.settle(complete(await worker.claimOne())),
      bury: async () => worker.settle(bury(await worker.claimOne())),
      cancel: async () => worker.settle(cancel(await worker.claimOne())),
      'crash for good': async () => worker.settle(crash(await worker.claimOne(), 'poison')),
      'cancel by hand': (id) => s.act('cancel', id),
      delete: (id) => s.act('delete', id),
      expiry: async () => {
        await s.advance(1000)
        await s.store.promote(10)
      },
    }
    for (const [name, end] of Object.entries(ends)) {
      const id = await s.add({ unique, expireMs: 1000 })
      await end(id)
      const answer = await enqueue(s)
      assert.ok('duplicate' in answer && !answer.duplicate, `still held after ${name}`)
      await s.act('delete', answer.id)
    }
  },

  'a follow-up may take the key of the job that brings it': async (s) => {
    await s.add({ unique })
    const worker = await s.worker()
    const next = s.newJob({ unique })
    await worker.settle(complete(await worker.claimOne(), null, [next]))
    assert.deepEqual(await enqueue(s), { id: next.id, duplicate: true })
  },

  'a retry by hand takes it again': async (s) => {
    const id = await s.add({ unique })
    const worker = await s.worker()
    await worker.settle(bury(await worker.claimOne()))
    assert.equal((await s.act('retry', id)).done, true)
    assert.deepEqual(await enqueue(s), { id, duplicate: true })
  },

  'a retry by hand is refused while another holds it': async (s) => {
    const id = await s.add({ unique })
    const worker = await s.worker()
    await worker.settle(bury(await worker.claimOne()))
    const holder = await s.add({ unique })
    assert.deepEqual(await s.act('retry', id), { id, done: false, code: 'UNIQUE_CONFLICT', holder })
    assert.equal((await s.job(id)).state, 'dead')
    await s.act('cancel', holder)
    assert.equal((await s.act('retry', id)).done, true)
  },

  'of two retried together the first takes it': async (s) => {
    const worker = await s.worker()
    const ids: string[] = []
    for (let i = 0; i < 2; i++) {
      ids.push(await s.add({ unique }))
      await worker.settle(bury(await worker.claimOne()))
    }
    const verdicts = await s.store.act({ action: 'retry', ids })
    assert.deepEqual(verdicts, [
      { id: ids[0], done: true, state: 'ready' },
      { id: ids[1], done: false, code: 'UNIQUE_CONFLICT', holder: ids[0] },
    ])
  },

  'an ended job that is deleted does not free the key of its holder': async (s) => {
    const ended = await s.add({ unique })
    await s.act('cancel', ended)
    const holder = await s.add({ unique })
    await s.act('delete', ended)
    assert.deepEqual(await enqueue(s), { id: holder, duplicate: true })
  },
})
