// What a claim takes and what it leaves: slots, queues, unknown types, numbers.
import assert from 'node:assert/strict'
import { area } from './area.ts'
import type { Case } from './case.ts'
import { complete, crash, release, retry, snooze } from './endings.ts'

export const claimCases: readonly Case[] = area('claim', {
  'a claimed job is running and held': async (s) => {
    const id = await s.add()
    await s.advance(1234)
    const worker = await s.worker()
    await worker.claimOne()
    const job = await s.job(id)
    assert.deepEqual(
      [job.state, job.worker, job.claim, job.attempt, job.startedAt, job.finishedAt],
      ['running', worker.id, 1, 1, s.now(), null],
    )
  },

  'a job is claimed by one worker only': async (s) => {
    await s.add()
    const [a, b] = [await s.worker(), await s.worker()]
    await a.claimOne()
    assert.deepEqual(await b.claim(1), [])
  },

  'each want has its slots': async (s) => {
    await s.addMany(3, { queue: 'a' })
    await s.addMany(3, { queue: 'b' })
    const worker = await s.worker()
    const wants = [
      { queue: 'a', slots: 1 },
      { queue: 'b', slots: 2 },
    ]
    const { claimed } = await worker.exchange({ wants, slots: 10 })
    assert.deepEqual(
      claimed.map((job) => job.policy.queue),
      ['a', 'b', 'b'],
    )
  },

  'all wants together have the slots of the request, and are served in order': async (s) => {
    await s.addMany(3, { queue: 'a', priority: 0 })
    await s.addMany(3, { queue: 'b', priority: 9 })
    const worker = await s.worker()
    const wants = [
      { queue: 'b', slots: 3 },
      { queue: 'a', slots: 3 },
    ]
    const { claimed } = await worker.exchange({ wants, slots: 4 })
    assert.deepEqual(
      claimed.map((job) => job.policy.queue),
      ['b', 'b', 'b', 'a'],
    )
    assert.equal((await worker.exchange({ wants, slots: 0 })).claimed.length, 0)
  },

  'claim numbers rise with every claim, attempts only with failures': async (s) => {
    await s.add()
    let worker = await s.worker()
    const seen: (readonly [number, number, number])[] = []
    for (const ending of [release, snooze, retry, crash, retry, release]) {
      const claimed = await worker.claimOne()
      seen.push([claimed.claim, claimed.attempt, claimed.crashes])
      await worker.settle(ending(claimed))
    }
    const claimed = await worker.claimOne()
    seen.push([claimed.claim, claimed.attempt, claimed.crashes])
    await s.store.leave(worker.id)
    await s.rescue()
    worker = await s.worker()
    const last = await worker.claimOne()
    seen.push([last.claim, last.attempt, last.crashes])
    assert.deepEqual(seen, [
      [1, 1, 0],
      [2, 1, 0],
      [3, 1, 0],
      [4, 2, 0],
      [5, 2, 1],
      [6, 3, 1],
      [7, 3, 1],
      [8, 3, 2],
    ])
  },

  'an unknown type is stepped over and neither counted nor lost': async (s) => {
    const strange = await s.add({ type: 'strange' })
    const known = await s.add()
    const worker = await s.worker()
    assert.deepEqual(
      (await worker.claim(2)).map(({ job }) => job),
      [known],
    )
    const job = await s.job(strange)
    assert.deepEqual([job.state, job.claim, job.attempt, job.crashes], ['ready', 0, 1, 0])
    assert.equal((await s.queue()).counts.ready, 1)
  },

  'a job that was stepped over is first for workers that know its type': async (s) => {
    const strange = await s.addMany(3, { type: 'strange' })
    const known = await s.addMany(2)
    const plain = await s.worker()
    await plain.claim(1)
    const expert = await s.worker({ types: ['strange', 'work'] })
    assert.deepEqual(
      (await expert.claim(10)).map(({ job }) => job),
      [...strange, known[1]],
    )
  },

  'a job that was stepped over does not pass a lower level': async (s) => {
    const strange = await s.add({ type: 'strange', priority: 5 })
    const plain = await s.worker()
    await plain.claim(1)
    const urgent = await s.add({ priority: 4 })
    const expert = await s.worker({ types: ['strange', 'work'] })
    assert.deepEqual(
      (await expert.claim(10)).map(({ job }) => job),
      [urgent, strange],
    )
  },

  'a job that was stepped over can be cancelled, deleted and expire': async (s) => {
    const [a, b] = await s.addMany(2, { type: 'strange' })
    const c = await s.add({ type: 'strange', expireMs: 1000 })
    const plain = await s.worker()
    await plain.claim(1)
    assert.deepEqual(await s.act('cancel', a!), { id: a, done: true, state: 'cancelled' })
    assert.deepEqual(await s.act('delete', b!), { id: b, done: true, state: 'gone' })
    await s.advance(1000)
    await s.store.promote(10)
    assert.equal((await s.job(c)).reason, 'expired')
    const expert = await s.worker({ types: ['strange'] })
    assert.deepEqual(await expert.claim(10), [])
  },

  'many jobs of unknown types hide the known one for a few exchanges at most': async (s) => {
    await s.addMany(1000, { type: 'strange' })
    const known = await s.add()
    const worker = await s.worker()
    for (let exchanges = 0; exchanges < 10; exchanges++) {
      const [claimed] = await worker.claim(1)
      if (claimed) return assert.equal(claimed.job, known)
    }
    assert.fail('the known job was not found in 10 exchanges')
  },

  'a run of unknown jobs ends at the first that can run, whatever follows': async (s) => {
    const first = [
      ...(await s.addMany(20, { type: 'strange', priority: 2 })),
      ...(await s.addMany(20, { type: 'strange' })),
    ]
    const known = await s.add()
    const keyed = await s.add({ type: 'strange', key: 'k' })
    const later = await s.addMany(3, { type: 'strange' })
    const last = await s.add()
    const plain = await s.worker()
    assert.deepEqual(await plain.claimIds(1), [known])
    const between = await s.add({ priority: 2 })
    const expert = await s.worker({ types: ['strange', 'work'] })
    const ids = [...first.slice(0, 20), between, ...first.slice(20), keyed, ...later, last]
    assert.deepEqual(await expert.claimIds(99), ids)
  },

  'settlements come before claims': async (s) => {
    const id = await s.add()
    const worker = await s.worker()
    const claimed = await worker.claimOne()
    const reply = await worker.exchange({ settlements: [retry(claimed)], wants: [{ queue: 'default', slots: 1 }] })
    assert.deepEqual(
      reply.claimed.map(({ job, claim, attempt }) => [job, claim, attempt]),
      [[id, 2, 2]],
    )
  },

  'a follow-up can be claimed by the exchange that brings it': async (s) => {
    await s.add()
    const worker = await s.worker()
    const next = s.newJob()
    const settlements = [complete(await worker.claimOne(), null, [next])]
    const reply = await worker.exchange({ settlements, wants: [{ queue: 'default', slots: 1 }] })
    assert.equal(reply.claimed[0]?.job, next.id)
  },
})
