// Numbered turns: a turn may be sent again, so no claim is lost between the store and its worker.
import assert from 'node:assert/strict'
import { ForgeError } from '../core/errors.ts'
import { area } from './area.ts'
import type { Claimed } from '../store/records.ts'
import type { Case } from './case.ts'
import { complete, release, retry } from './endings.ts'

const wants = [{ queue: 'default', slots: 2 }]

export const exchangeCases: readonly Case[] = area('exchange', {
  'the last turn again gives the same claims': async (s) => {
    await s.addMany(5)
    const worker = await s.worker()
    const request = worker.request({ wants })
    const first = await worker.send(request)
    assert.equal(first.claimed.length, 2)
    assert.deepEqual(await worker.send(request), first)
    assert.deepEqual(await worker.send(request), first)
    assert.equal((await s.queue()).counts.running, 2)
  },

  'the last turn again gives the same verdicts': async (s) => {
    const [a, b, c] = await s.addMany(3)
    const worker = await s.worker()
    const [one, two, three] = await worker.claim(3)
    await s.act('cancel', c!)
    const settlements = [complete(one!, '1'), retry(two!, 500), complete({ ...one!, claim: 9 }), complete(three!)]
    const request = worker.request({ settlements, wants })
    const first = await worker.send(request)
    assert.deepEqual(first.verdicts, ['applied', 'applied', 'lost', 'cancelled'])
    const before = await s.store.jobs([a!, b!, c!], ['attempts'])
    const again = await worker.send(request)
    // Whether there is more may be answered on the safe side.
    assert.deepEqual({ ...again, more: first.more }, first)
    assert.deepEqual(await s.store.jobs([a!, b!, c!], ['attempts']), before)
  },

  'the last turn again gives the claims in the same order': async (s) => {
    const worker = await s.worker()
    await s.addMany(3, { queue: 'a' })
    const [one, two, three] = await worker.claim(3, 'a')
    await worker.settle(release(three!))
    await worker.settle(release(one!), release(two!))
    await s.add({ queue: 'b', priority: 9 })
    await s.add({ queue: 'b', priority: 1 })
    const queues = [
      { queue: 'b', slots: 5 },
      { queue: 'a', slots: 5 },
    ]
    const request = worker.request({ wants: queues })
    const first = await worker.send(request)
    assert.equal(first.claimed.length, 5)
    assert.deepEqual((await worker.send(request)).claimed, first.claimed)
  },

  'a job that is settled and claimed in one turn is the same in its repetition': async (s) => {
    const id = await s.add()
    const worker = await s.worker()
    const request = worker.request({ settlements: [retry(await worker.claimOne())], wants })
    const first = await worker.send(request)
    assert.deepEqual(
      first.claimed.map(({ job, claim }) => [job, claim]),
      [[id, 2]],
    )
    assert.deepEqual(await worker.send(request), first)
    assert.equal((await s.job(id)).attempt, 2)
  },

  'a repetition does not settle what its own turn claimed, even under the fence of a deleted job': async (s) => {
    const id = await s.add()
    const worker = await s.worker()
    const settlements = [complete(await worker.claimOne())]
    await worker.settle(...settlements)
    await s.act('delete', id)
    await s.add({ id })
    const request = worker.request({ settlements, wants })
    const first = await worker.send(request)
    assert.deepEqual([first.verdicts, first.claimed.length], [['lost'], 1])
    assert.deepEqual(await worker.send(request), first)
  },

  'a repetition claims nothing more, though there is more': async (s) => {
    await s.add()
    const worker = await s.worker()
    const request = worker.request({ wants })
    const first = await worker.send(request)
    await s.addMany(3)
    assert.deepEqual((await worker.send(request)).claimed, first.claimed)
  },

  'an older turn is refused and changes nothing': async (s) => {
    await s.addMany(3)
    const worker = await s.worker()
    const old = worker.request({ wants })
    const [claimed] = (await worker.send(old)).claimed
    await worker.settle(complete(claimed!))
    await assert.rejects(worker.send(old), (error) => ForgeError.is(error, 'LEASE_LOST'))
    const { ready, running } = (await s.queue()).counts
    assert.deepEqual([ready, running], [1, 1])
  },

  'turns may leave numbers out': async (s) => {
    await s.addMany(2)
    const worker = await s.worker()
    const one = { ...worker.request({ wants, slots: 1 }), turn: 10 }
    const two = { ...worker.request({ wants, slots: 1 }), turn: 500 }
    assert.equal((await worker.send(one)).claimed.length, 1)
    assert.equal((await worker.send(two)).claimed.length, 1)
  },

  'each worker has its own turns': async (s) => {
    await s.addMany(2)
    const [a, b] = [await s.worker(), await s.worker()]
    for (let i = 0; i < 5; i++) await a.exchange()
    await a.claimOne()
    assert.equal((await b.claim(1)).length, 1)
  },

  'a closed worker is refused and changes nothing': async (s) => {
    const [id, other] = await s.addMany(2)
    const worker = await s.worker()
    const claimed = await worker.claimOne()
    const notes = [{ job: id!, claim: claimed.claim, progress: { done: 1 } }]
    const request = worker.request({ settlements: [complete(claimed)], wants, notes })
    await s.store.leave(worker.id)
    assert.deepEqual(await s.store.exchange(request), { closed: true })
    assert.deepEqual(await s.store.beat(worker.id, null, notes), { closed: true })
    assert.deepEqual(
      [(await s.job(id!)).state, (await s.job(id!)).progress, (await s.job(other!)).state],
      ['running', null, 'ready'],
    )
  },

  'a closed worker stays closed when what it held is gone': async (s) => {
    await s.add()
    const worker = await s.worker()
    await worker.claimOne()
    await s.store.leave(worker.id)
    await s.rescue()
    assert.deepEqual(await s.store.exchange(worker.request({ wants })), { closed: true })
  },

  'a closed worker cannot send its last turn again': async (s) => {
    await s.add()
    const worker = await s.worker()
    const request = worker.request({ wants })
    await worker.send(request)
    await s.store.leave(worker.id)
    assert.deepEqual(await s.store.exchange(request), { closed: true })
  },

  'an unknown worker is a closed one': async (s) => {
    const worker = await s.worker()
    const request = { ...worker.request({ wants }), worker: 'nobody' }
    assert.deepEqual(await s.store.exchange(request), { closed: true })
    assert.deepEqual(await s.store.beat('nobody', null, []), { closed: true })
    await s.store.leave('nobody')
  },

  'an exchange that may wait brings the job that comes, or none at once': async (s) => {
    const worker = await s.worker()
    const waiting = worker.exchange({ wants, waits: true })
    const id = await s.add()
    const claimed = [...(await waiting).claimed, ...(await worker.claim(2))]
    assert.deepEqual(
      claimed.map(({ job, claim }) => [job, claim]),
      [[id, 1]],
    )
  },

  'an exchange that may wait brings a job that comes back, is resumed or becomes due': async (s) => {
    const comings: ((id: string, holder: Claimed) => Promise<unknown>)[] = [
      (_, holder) => s.store.exchange(other.request({ settlements: [release(holder)] })),
      (_, holder) => s.store.exchange(other.request({ settlements: [retry(holder, 0)] })),
      async (id, holder) => {
        await other.settle(retry(holder, 50))
        await s.act('promote', id)
      },
    ]
    const other = await s.worker()
    const worker = await s.worker()
    for (const come of comings) {
      const id = await s.add()
      const holder = await other.claimOne()
      const waiting = worker.exchange({ wants, waits: true })
      await come(id, holder)
      const [claimed] = [...(await waiting).claimed, ...(await worker.claim(1))]
      assert.equal(claimed?.job, id)
      await worker.settle(complete(claimed))
    }
  },

  'an exchange that may wait ends with a beat, in order': async (s) => {
    const worker = await s.worker()
    for (let i = 0; i < 3; i++) {
      const waiting = worker.exchange({ wants, waits: true })
      await s.store.beat(worker.id, null, [])
      assert.deepEqual((await waiting).claimed, [])
    }
    await s.add()
    assert.equal((await worker.exchange({ wants, waits: true })).claimed.length, 1)
  },

  'an exchange that may wait ends when its worker leaves': async (s) => {
    const [a, b] = [await s.worker(), await s.worker()]
    const waiting = [a, b].map((worker) => s.store.exchange(worker.request({ wants, waits: true })))
    await s.store.leave(a.id)
    await waiting[0]
    const id = await s.add()
    const reply = await waiting[1]!
    assert.ok(!reply.closed)
    const claimed = [...reply.claimed, ...(await b.claim(2))]
    assert.deepEqual(
      claimed.map(({ job }) => job),
      [id],
    )
  },

  'the turn of an exchange that waited gives the same again': async (s) => {
    const worker = await s.worker()
    const request = worker.request({ wants, waits: true })
    const waiting = worker.send(request)
    await s.addMany(3)
    const { claimed } = await waiting
    if (claimed.length > 0) assert.deepEqual((await worker.send(request)).claimed, claimed)
  },

  'the answer says when the next job is due': async (s) => {
    const worker = await s.worker()
    assert.equal((await worker.exchange()).nextDueAt, null)
    await s.add({ delayMs: 9000 })
    await s.add({ delayMs: 5000 })
    const { nextDueAt, now } = await worker.exchange()
    assert.deepEqual([nextDueAt, now], [s.now() + 5000, s.now()])
  },
})
