// Holds: a handler that was told to wait keeps others from the same fate: those of its key, of its type, or all of its queue.
import assert from 'node:assert/strict'
import type { Scope } from '../core/limit.ts'
import { area } from './area.ts'
import type { Case } from './case.ts'
import { bury, complete, failure, snooze } from './endings.ts'
import { freeLine, type JobOptions, type Scene } from './scene.ts'
import type { ScriptedWorker } from './scripted-worker.ts'

/** A worker that knows all types. */
const all = (s: Scene): Promise<ScriptedWorker> => s.worker({ types: ['work', 'mail'] })

/** A job that runs and holds something back for `ms`. */
async function holdBack(s: Scene, scope: Scope, ms: number, options: JobOptions = {}): Promise<string> {
  const id = await s.add({ priority: 0, ...options })
  const worker = await all(s)
  const claimed = await worker.claimOne(options.queue)
  assert.equal(claimed.job, id)
  assert.deepEqual(await worker.settle(snooze(claimed, ms, null, scope)), ['applied'])
  return id
}

/** The worker gets nothing until the last millisecond is over. */
async function startsNothingFor(s: Scene, worker: ScriptedWorker, ms: number): Promise<void> {
  await s.advance(ms - 1)
  await s.promote()
  assert.deepEqual(await worker.claim(9), [])
  await s.advance(1)
  await s.promote()
}

const wants = [{ queue: 'default', slots: 99 }]

export const holdsCases: readonly Case[] = area('holds', {
  'a key that is held back starts nothing until its time is over, others go on': async (s) => {
    const held = await holdBack(s, 'key', 1000, { key: 'k' })
    const until = s.now() + 1000
    const k = await s.addMany(2, { key: 'k' })
    const others = [await s.add({ key: 'l' }), await s.add()]
    const worker = await s.worker()
    assert.deepEqual(await worker.claimIds(9), others)
    assert.deepEqual(await s.line(k[0]!), { ...freeLine, heldUntil: until })
    await startsNothingFor(s, worker, 1000)
    assert.deepEqual(await worker.claimIds(9), [held, ...k])
  },

  'a key that waits in the lanes is held back at once': async (s) => {
    await s.addMany(3, { key: 'k' })
    const worker = await s.worker()
    const claimed = await worker.claimOne()
    const reply = await worker.exchange({ settlements: [snooze(claimed, 1000, null, 'key')], wants })
    assert.deepEqual(reply.claimed, [])
    assert.equal(reply.nextDueAt, s.now() + 1000)
  },

  'who has no key holds no key back': async (s) => {
    await holdBack(s, 'key', 1000)
    const ids = [await s.add(), await s.add({ key: 'k' })]
    const worker = await s.worker()
    assert.deepEqual(await worker.claimIds(9), ids)
  },

  'a key of another queue is another key': async (s) => {
    await holdBack(s, 'key', 1000, { key: 'k', queue: 'a' })
    const id = await s.add({ key: 'k', queue: 'b' })
    const worker = await s.worker()
    assert.deepEqual(await worker.claimIds(9, 'b'), [id])
  },

  'a type that is held back stands aside, other types of its queue go on': async (s) => {
    const waiting = await s.addMany(2, { type: 'mail', priority: 2 })
    const held = await holdBack(s, 'type', 1000, { type: 'mail' })
    const late = await s.add({ type: 'mail' })
    const others = await s.addMany(2)
    const worker = await all(s)
    assert.deepEqual(await worker.claimIds(9), others)
    assert.deepEqual((await s.queue()).heldTypes, { mail: s.now() + 1000 })
    const counts = (await s.queue()).counts
    assert.deepEqual([counts.ready, counts.scheduled], [3, 1])
    assert.equal((await worker.exchange()).nextDueAt, s.now() + 1000)
    await startsNothingFor(s, worker, 1000)
    assert.deepEqual((await s.queue()).heldTypes, {})
    assert.deepEqual(await worker.claimIds(9), [held, ...waiting, late])
  },

  'a type that is held back stands aside although its key has room, and its key goes on': async (s) => {
    await holdBack(s, 'type', 1000, { type: 'mail' })
    const mail = await s.add({ type: 'mail', key: 'k' })
    const work = await s.add({ key: 'k' })
    const worker = await all(s)
    assert.deepEqual(await worker.claimIds(9), [work])
    await s.advance(1000)
    await s.promote()
    assert.equal((await worker.claimIds(9)).includes(mail), true)
  },

  'a type that is held back holds back neither its key nor its queue': async (s) => {
    await holdBack(s, 'type', 1000, { type: 'mail', key: 'k' })
    const ids = [await s.add({ key: 'k' }), await s.add()]
    const worker = await all(s)
    assert.deepEqual(await worker.claimIds(9), ids)
    assert.equal((await s.queue()).heldUntil, null)
  },

  'a type is held back in its queue only': async (s) => {
    await holdBack(s, 'type', 1000, { type: 'mail', queue: 'a' })
    const id = await s.add({ type: 'mail', queue: 'b' })
    const worker = await all(s)
    assert.deepEqual(await worker.claimIds(9, 'b'), [id])
  },

  'who stood aside because nobody knew its type stays aside while that is held back': async (s) => {
    const mail = await s.add({ type: 'mail', priority: 2 })
    const novice = await s.worker()
    assert.deepEqual(await novice.claimIds(9), [])
    await holdBack(s, 'type', 1000, { type: 'mail', priority: 0, key: 'other' })
    const worker = await all(s)
    assert.deepEqual(await worker.claimIds(9), [])
    await s.advance(1000)
    assert.deepEqual(await worker.claimIds(9), [mail])
  },

  'a queue that is held back starts nothing, other queues go on': async (s) => {
    await holdBack(s, 'queue', 1000)
    await s.addMany(2)
    await s.add({ key: 'k' })
    const other = await s.add({ queue: 'other' })
    const worker = await s.worker()
    assert.deepEqual(await worker.claimIds(9), [])
    assert.deepEqual(await worker.claimIds(9, 'other'), [other])
    assert.equal((await s.queue()).heldUntil, s.now() + 1000)
    assert.equal((await worker.exchange()).nextDueAt, s.now() + 1000)
    await startsNothingFor(s, worker, 1000)
    assert.equal((await s.queue()).heldUntil, null)
    assert.equal((await worker.claim(9)).length, 4)
  },

  'what runs in a queue that is held back can end': async (s) => {
    await s.addMany(3)
    const worker = await s.worker()
    const [a, b] = await worker.claim(2)
    await worker.settle(snooze(a!, 1000, null, 'queue'))
    assert.deepEqual(await worker.settle(complete(b!)), ['applied'])
    assert.deepEqual(await worker.claim(9), [])
  },

  'a later hold of a key never shortens one': async (s) => {
    await s.addMany(6, { key: 'k' })
    const worker = await s.worker()
    const [a, b, c] = await worker.claim(3)
    const [waiting] = await s.findAll({ state: 'ready' }, 6)
    const until = s.now() + 5000
    await worker.settle(snooze(a!, 5000, null, 'key'))
    await worker.settle(snooze(b!, 1000, null, 'key'))
    assert.equal((await s.line(waiting!.id))?.heldUntil, until)
    await s.advance(4000)
    await worker.settle(snooze(c!, 9000, null, 'key'))
    assert.equal((await s.line(waiting!.id))?.heldUntil, until + 8000)
    await startsNothingFor(s, worker, 9000)
    assert.equal((await worker.claim(9)).length, 6)
  },

  'a hold of a type or a queue is never shortened': async (s) => {
    for (const scope of ['type', 'queue'] as const) {
      const queue = scope
      await s.addMany(4, { queue })
      const worker = await s.worker()
      const [a, b, c] = await worker.claim(3, queue)
      const until = s.now() + 5000
      await worker.settle(snooze(a!, 5000, null, scope))
      await worker.settle(snooze(b!, 1000, null, scope))
      const record = await s.queue(queue)
      assert.equal(scope === 'type' ? record.heldTypes['work'] : record.heldUntil, until)
      await s.advance(1000)
      await s.promote()
      assert.deepEqual(await worker.claim(9, queue), [])
      await worker.settle(snooze(c!, 9000, null, scope))
      await s.advance(4000)
      await s.promote()
      assert.deepEqual(await worker.claim(9, queue), [], 'lengthened')
      await s.advance(5000)
      await s.promote()
      assert.equal((await worker.claim(9, queue)).length, 4)
    }
  },

  'a stale or cancelled snooze holds nothing back': async (s) => {
    const worker = await s.worker()
    const other = await s.worker()
    for (const scope of ['key', 'type', 'queue'] as const) {
      const id = await s.add({ key: 'k' })
      const claimed = await worker.claimOne()
      assert.deepEqual(await other.settle(snooze(claimed, 1000, null, scope)), ['lost'])
      await s.act('cancel', id)
      assert.deepEqual(await worker.settle(snooze(claimed, 1000, null, scope)), ['cancelled'])
      const next = await s.add({ key: 'k' })
      assert.deepEqual(await worker.claimIds(9), [next], scope)
      await worker.settle(complete({ job: next, claim: 1 }))
    }
  },

  'a snooze that is sent again holds nothing back again': async (s) => {
    await s.addMany(2, { key: 'k' })
    const worker = await s.worker()
    const claimed = await worker.claimOne()
    await worker.settle(snooze(claimed, 1000, null, 'key'))
    await s.advance(1000)
    assert.deepEqual(await worker.settle(snooze(claimed, 1000, null, 'key')), ['applied'])
    await s.promote()
    assert.equal((await worker.claim(9)).length, 2)
  },

  'a key that is closed by its rate and held back opens when both are over': async (s) => {
    await s.limit({ perKey: { concurrency: null, rate: { max: 1, perMs: 3000 }, ordered: false } })
    const startedAt = s.now()
    await holdBack(s, 'key', 1000, { key: 'k' })
    const id = await s.add({ key: 'k' })
    const line = await s.line(id)
    assert.deepEqual([line?.heldUntil, line?.rateOpensAt], [startedAt + 1000, startedAt + 3000])
    await s.advance(1000)
    assert.equal(await s.promote(), startedAt + 3000)
    await s.advance(2000)
    await s.promote()
    const worker = await s.worker()
    assert.equal((await worker.claim(9)).length, 1)
  },

  'in an ordered key a type that is held back keeps the key': async (s) => {
    await s.limit({ perKey: { concurrency: null, rate: null, ordered: true } })
    await holdBack(s, 'type', 1000, { type: 'mail' })
    const mail = await s.add({ type: 'mail', key: 'k' })
    const work = await s.add({ key: 'k' })
    const worker = await all(s)
    assert.deepEqual(await worker.claimIds(9), [])
    assert.equal((await s.line(work))?.isNext, false)
    await s.advance(1000)
    await s.promote()
    const claimed = await worker.claimIds(9)
    assert.equal(claimed.includes(mail) && !claimed.includes(work), true)
    await worker.settle(complete({ job: mail, claim: 1 }))
    assert.deepEqual(await worker.claimIds(9), [work])
  },

  'a job that may start only once and ends for it holds the others back all the same': async (s) => {
    const [a] = await s.addMany(3, { type: 'mail' })
    const worker = await all(s)
    const claimed = await worker.claimOne()
    assert.equal(claimed.job, a)
    await worker.settle(bury(claimed, 'lost', failure('429'), { scope: 'type', forMs: 1000 }))
    assert.deepEqual(await worker.claimIds(9), [])
    await s.advance(1000)
    assert.equal((await worker.claimIds(9)).length, 2)
  },

  'after a type was held back keys take turns as before': async (s) => {
    await holdBack(s, 'type', 1000, { type: 'mail' })
    await s.addMany(50, { type: 'mail', key: 'a' })
    const worker = await all(s)
    assert.deepEqual(await worker.claimIds(9), [])
    const b = await s.addMany(3, { type: 'mail', key: 'b' })
    await s.advance(1000)
    await s.promote()
    const claimed = await worker.claimIds(8)
    assert.deepEqual(
      claimed.filter((id) => b.includes(id)),
      b,
    )
  },

  'other types of a key go on while one is held back': async (s) => {
    await holdBack(s, 'type', 1000, { type: 'mail' })
    await s.addMany(5, { type: 'mail', key: 'k' })
    const work = await s.addMany(2, { key: 'k' })
    assert.deepEqual(await (await all(s)).claimIds(9), work)
  },

  'when a type is free again its jobs are where they were in their line': async (s) => {
    await holdBack(s, 'type', 1000, { type: 'mail' })
    const first = await s.add({ type: 'mail', key: 'k', priority: 2 })
    const low = await s.add({ key: 'k', priority: 8 })
    const normal = await s.add()
    await s.advance(1000)
    await s.promote()
    const claimed = await (await all(s)).claimIds(9)
    assert.deepEqual(
      claimed.filter((id) => [first, normal, low].includes(id)),
      [first, normal, low],
    )
  },

  'suspects that are held back are nobody to wait for': async (s) => {
    for (const scope of ['type', 'queue'] as const) {
      const queue = scope
      await s.addMany(2, { queue })
      const victim = await s.worker()
      const [a] = await victim.claim(2, queue)
      await victim.settle(snooze(a!, 1000, null, scope))
      await victim.vanish()
      await s.rescue()
      const worker = await s.worker()
      const ask = { wants: [{ queue, slots: 9 }], suspects: 'skip' } as const
      assert.equal((await worker.exchange(ask)).suspects, false, scope)
      await s.advance(1000)
      assert.equal((await worker.exchange(ask)).suspects, true, scope)
    }
  },

  'after the store was away what was held back is open': async (s) => {
    await holdBack(s, 'key', 1000, { key: 'k' })
    await s.advance(90_000_000)
    await s.promote()
    const worker = await s.worker()
    assert.equal((await worker.claim(9)).length, 1)
  },
})
