// What enqueue promises: ids, duplicates, refusals, and all or none.
import assert from 'node:assert/strict'
import { area } from './area.ts'
import type { Case } from './case.ts'
import { complete } from './endings.ts'
import { leaseMs, policy } from './scene.ts'

const dayMs = 86_400_000

/** A UUIDv7 of the given instant. */
const idAt = (at: number): string => {
  const hex = at.toString(16).padStart(12, '0')
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-00000000abcd`
}

export const enqueueCases: readonly Case[] = area('enqueue', {
  'a job is stored as it was given': async (s) => {
    const given = s.newJob({
      type: 'mail/send:v2',
      payload: '{"to":"a@b.c"}',
      queue: 'mail',
      priority: 2,
      maxAttempts: 3,
      timeoutMs: 0,
      backoff: { type: 'exponential', baseMs: 1000, factor: 2, maxMs: 3_600_000, jitter: true },
      keepResultMs: 60_000,
      delivery: 'at-most-once',
      tags: ['a', 'b'],
      unique: 'key',
      key: 'tenant:7',
      expireMs: 5000,
    })
    await s.store.enqueue([given], { atomic: true })
    assert.deepEqual(await s.job(given.id), {
      id: given.id,
      type: given.type,
      state: 'ready',
      policy: given.policy,
      payload: given.payload,
      result: null,
      resultUntil: null,
      reason: null,
      error: null,
      progress: null,
      claim: 0,
      attempt: 1,
      crashes: 0,
      createdAt: s.now(),
      runAt: s.now(),
      startedAt: null,
      finishedAt: null,
      expireAt: s.now() + 5000,
      worker: null,
      cancelRequested: false,
      tags: ['a', 'b'],
      unique: { key: 'key', until: 'done' },
      key: 'tenant:7',
      attempts: [],
      logs: [],
    })
  },

  'the same id again is a duplicate and never a second job': async (s) => {
    const job = s.newJob()
    await s.store.enqueue([job], { atomic: false })
    for (const atomic of [false, true]) {
      assert.deepEqual(await s.store.enqueue([job], { atomic }), [{ id: job.id, duplicate: true }])
    }
    const worker = await s.worker()
    assert.equal((await worker.claim(10)).length, 1)
  },

  'the same id twice in one call is stored once': async (s) => {
    const job = s.newJob()
    assert.deepEqual(await s.store.enqueue([job, job], { atomic: true }), [
      { id: job.id, duplicate: false },
      { id: job.id, duplicate: true },
    ])
    assert.equal((await s.queue()).counts.ready, 1)
  },

  'an ended job still answers for its id': async (s) => {
    const job = s.newJob()
    await s.store.enqueue([job], { atomic: false })
    const worker = await s.worker()
    await worker.settle(complete(await worker.claimOne()))
    assert.deepEqual(await s.store.enqueue([job], { atomic: false }), [{ id: job.id, duplicate: true }])
    assert.deepEqual(await worker.claim(1), [])
  },

  'an id that belongs to another type or payload is refused': async (s) => {
    const job = s.newJob({ payload: '{"n":1}' })
    await s.store.enqueue([job], { atomic: false })
    for (const other of [{ payload: '{"n":2}' }, { payload: '{"n": 1}' }, { type: 'other' }]) {
      const [answer] = await s.store.enqueue([{ ...job, ...other }], { atomic: false })
      assert.ok(answer && 'refused' in answer)
      assert.equal(answer.refused.code, 'ID_CONFLICT')
      assert.equal(answer.id, job.id)
    }
    assert.equal((await s.job(job.id)).payload, '{"n":1}')
  },

  'a job with another payload than its own since it was edited still answers for its id': async (s) => {
    const job = s.newJob({ payload: '1' })
    await s.send(job)
    const worker = await s.worker()
    await worker.settle(complete(await worker.claimOne()))
    await s.store.act({ action: 'retry', ids: [job.id], payload: '2' })
    assert.deepEqual(await s.send(job), { id: job.id, duplicate: true })
    assert.deepEqual(await s.send({ ...job, payload: '2' }), { id: job.id, duplicate: true })
    const other = await s.send({ ...job, type: 'other' })
    assert.equal('refused' in other && other.refused.code, 'ID_CONFLICT')
    assert.equal((await s.job(job.id)).payload, '2')
  },

  'a job that was retried with the payload it had is not edited': async (s) => {
    const job = s.newJob({ payload: '1' })
    await s.send(job)
    await s.act('cancel', job.id)
    await s.store.act({ action: 'retry', ids: [job.id], payload: '1' })
    const other = await s.send({ ...job, payload: '2' })
    assert.equal('refused' in other && other.refused.code, 'ID_CONFLICT')
  },

  'options that differ do not make the same id another job': async (s) => {
    const job = s.newJob({ priority: 5 })
    await s.store.enqueue([job], { atomic: false })
    const again = { ...job, policy: { ...job.policy, priority: 1 }, delayMs: 1000, tags: ['late'] }
    assert.deepEqual(await s.store.enqueue([again], { atomic: false }), [{ id: job.id, duplicate: true }])
    const stored = await s.job(job.id)
    assert.deepEqual([stored.policy.priority, stored.state, stored.tags], [5, 'ready', []])
  },

  'an id that is no UUIDv7, or made more than a day from now, is refused': async (s) => {
    const wrong = [
      'order-17',
      '',
      'b5c9a6c0-0f3f-4a3e-9d55-6f6f3c3f3a11',
      idAt(s.now() - dayMs - 1),
      idAt(s.now() + dayMs + 1),
    ]
    const answers = await s.store.enqueue(
      wrong.map((id) => s.newJob({ id })),
      { atomic: false },
    )
    for (const [index, answer] of answers.entries()) {
      assert.ok('refused' in answer, `accepted ${wrong[index]}`)
      assert.equal(answer.refused.code, 'INVALID_ID')
    }
    const right = [idAt(s.now() - dayMs + 1), idAt(s.now() + dayMs - 1)]
    for (const id of right) await s.add({ id })
  },

  'a stored id is recognised however old it is': async (s) => {
    const job = s.newJob()
    await s.store.enqueue([job], { atomic: false })
    await s.advance(2 * dayMs)
    assert.deepEqual(await s.store.enqueue([job], { atomic: false }), [{ id: job.id, duplicate: true }])
  },

  'without atomic each job has its own answer': async (s) => {
    const good = s.newJob()
    const bad = s.newJob({ id: 'bad' })
    const last = s.newJob()
    const answers = await s.store.enqueue([good, bad, last], { atomic: false })
    assert.deepEqual(
      answers.map((answer) => ('refused' in answer ? answer.refused.code : answer.duplicate)),
      [false, 'INVALID_ID', false],
    )
    assert.equal((await s.queue()).counts.ready, 2)
  },

  'with atomic one refused job keeps all the others out': async (s) => {
    const known = s.newJob()
    await s.store.enqueue([known], { atomic: false })
    await s.add({ unique: 'held' })
    const fresh = s.newJob({ unique: 'k' })
    const held = s.newJob({ unique: 'held' })
    const batch = [fresh, known, s.newJob({ id: 'bad' }), { ...known, payload: '1' }, held]
    const answers = await s.store.enqueue(batch, { atomic: true })
    assert.deepEqual(
      answers.map((answer) => [answer.id, 'refused' in answer && answer.refused.code]),
      [
        [fresh.id, 'BATCH_REFUSED'],
        [known.id, 'BATCH_REFUSED'],
        ['bad', 'INVALID_ID'],
        [known.id, 'ID_CONFLICT'],
        [held.id, 'BATCH_REFUSED'],
      ],
    )
    assert.deepEqual(await s.store.jobs([fresh.id, held.id]), [])
    assert.equal((await s.queue()).counts.ready, 2)
    // Nothing of it stays behind: neither the ids nor the unique key.
    assert.deepEqual(await s.store.enqueue([fresh], { atomic: true }), [{ id: fresh.id, duplicate: false }])
  },

  'a duplicate does not spoil an atomic call': async (s) => {
    const known = s.newJob()
    await s.store.enqueue([known], { atomic: false })
    const fresh = s.newJob()
    assert.deepEqual(await s.store.enqueue([known, fresh], { atomic: true }), [
      { id: known.id, duplicate: true },
      { id: fresh.id, duplicate: false },
    ])
  },

  'nothing is a batch too': async (s) => {
    assert.deepEqual(await s.store.enqueue([], { atomic: true }), [])
  },

  'a call takes 1,000 jobs and they keep their order': async (s) => {
    const ids = await s.addMany(1000)
    assert.equal((await s.queue()).counts.ready, 1000)
    const worker = await s.worker()
    const claimed = await worker.claim(1000)
    assert.deepEqual(
      claimed.map(({ job }) => job),
      ids,
    )
  },

  'a claim hands out the whole job': async (s) => {
    const job = s.newJob({ payload: '{"n":[1,2]}', priority: 3, keepResultMs: 5 })
    await s.store.enqueue([job], { atomic: false })
    const createdAt = s.now()
    await s.advance(leaseMs)
    const worker = await s.worker()
    assert.deepEqual(await worker.claimOne(), {
      job: job.id,
      claim: 1,
      type: 'work',
      payload: '{"n":[1,2]}',
      attempt: 1,
      attemptBase: 0,
      crashes: 0,
      createdAt,
      policy: { ...policy, priority: 3, keepResultMs: 5 },
    })
  },
})
