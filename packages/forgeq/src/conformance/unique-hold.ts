// How long a unique key is held when not until the end of its job: until its start, or for a time.
import assert from 'node:assert/strict'
import type { Enqueued, NewUnique } from '../store/records.ts'
import { area } from './area.ts'
import type { Case } from './case.ts'
import { bury, cancel, complete, crash, release, retry, snooze } from './endings.ts'
import { leaseMs, policy, type Scene } from './scene.ts'

const key = 'order-17'
const untilStart: NewUnique = { key, until: 'start', onConflict: 'keep' }
const minuteMs = 60_000
const windowMs = 10 * minuteMs
const forWindow: NewUnique = { key, forMs: windowMs, onConflict: 'keep' }

const heldBy = (id: string): Enqueued => ({ id, duplicate: true })

/** Asserts that the key is free by taking it; answers who has it now. */
const take = async (s: Scene, unique: NewUnique, how: string): Promise<string> => {
  const answer = await s.enqueue({ unique })
  assert.ok('duplicate' in answer && !answer.duplicate, `still held ${how}`)
  return answer.id
}

/** Ways to end a job before it starts, each of which frees its key. */
const undone: Readonly<Record<string, (s: Scene, id: string) => Promise<unknown>>> = {
  'cancelled by hand': (s, id) => s.act('cancel', id),
  deleted: (s, id) => s.act('delete', id),
  expired: async (s) => {
    await s.advance(1000)
    await s.store.promote(10)
  },
  'too late to start': async (s) => {
    await s.advance(1000)
    assert.deepEqual(await (await s.worker()).claim(1), [])
  },
}

export const uniqueHoldCases: readonly Case[] = area('unique hold', {
  'a record says how long its job holds the key': async (s) => {
    for (const unique of [untilStart, forWindow]) {
      const id = await s.add({ unique })
      const { onConflict: _, ...kept } = unique
      assert.deepEqual((await s.job(id)).unique, kept)
      await s.act('cancel', id)
    }
  },

  'until its start: held while it waits, free in the step that claims it': async (s) => {
    const id = await s.add({ unique: untilStart, delayMs: 1000 })
    assert.deepEqual(await s.enqueue({ unique: untilStart }), heldBy(id))
    await s.advance(1000)
    await s.store.promote(10)
    const stranger = await s.worker({ types: ['other'] })
    assert.deepEqual(await stranger.claim(1), [])
    assert.deepEqual(await s.enqueue({ unique: untilStart }), heldBy(id), 'while no worker knows its type')
    const worker = await s.worker()
    assert.equal((await worker.claimOne()).job, id)
    const next = await take(s, untilStart, 'by a job that runs')
    assert.equal((await worker.claimOne()).job, next)
  },

  'until its start: whatever brings the job back, it does not take the key again': async (s) => {
    const worker = await s.worker()
    const id = await s.add({ unique: untilStart })
    for (const ending of [retry, snooze, release, crash]) {
      const claimed = await worker.claimOne()
      const next = await take(s, untilStart, 'by a job that ran')
      await worker.settle(ending(claimed))
      assert.deepEqual(await s.enqueue({ unique: untilStart }), heldBy(next), `after ${ending.name}`)
      await s.act('cancel', next)
      await worker.settle(ending(await worker.claimOne()))
      await s.act('cancel', await take(s, untilStart, `by a job that came back after ${ending.name}`))
    }
    const other = await s.worker()
    await worker.claimOne()
    await worker.vanish()
    await s.rescue()
    const next = await take(s, untilStart, 'by a job that was rescued')
    assert.equal((await other.claimOne()).job, id)
    assert.deepEqual(
      await s.enqueue({ unique: untilStart }),
      heldBy(next),
      'after the claim of one that held it before',
    )
    await s.act('cancel', id)
    await s.rescue()
    assert.deepEqual(await s.enqueue({ unique: untilStart }), heldBy(next), 'after the end of one that held it before')
  },

  'until its start: ended before it, the job frees the key': async (s) => {
    for (const [how, end] of Object.entries(undone)) {
      const id = await s.add({ unique: untilStart, expireMs: 1000 })
      await end(s, id)
      await s.act('cancel', await take(s, untilStart, `when ${how}`))
    }
  },

  'until its start: a retry by hand takes it until the next start': async (s) => {
    const worker = await s.worker()
    const id = await s.add({ unique: untilStart })
    await worker.settle(bury(await worker.claimOne()))
    const holder = await take(s, untilStart, 'by a dead job')
    assert.deepEqual(await s.act('retry', id), { id, done: false, code: 'UNIQUE_CONFLICT', holder })
    await s.act('cancel', holder)
    assert.equal((await s.act('retry', id)).done, true)
    assert.deepEqual(await s.enqueue({ unique: untilStart }), heldBy(id))
    await worker.claimOne()
    await take(s, untilStart, 'by a job that runs again')
  },

  'for a time: held until it is over, counted from the enqueue, and no longer': async (s) => {
    const worker = await s.worker()
    const id = await s.add({ unique: forWindow, delayMs: 1000 })
    assert.deepEqual(await s.enqueue({ unique: forWindow }), heldBy(id), 'while it waits')
    await s.advance(1000)
    await s.store.promote(10)
    const claimed = await worker.claimOne()
    assert.deepEqual(await s.enqueue({ unique: forWindow }), heldBy(id), 'while it runs')
    await worker.settle(complete(claimed))
    await s.advance(windowMs - 1001)
    assert.deepEqual(await s.enqueue({ unique: forWindow }), heldBy(id), 'after it completed')
    await s.advance(1)
    await take(s, forWindow, 'after its time')
  },

  'for a time: a job that died holds it on': async (s) => {
    const worker = await s.worker()
    for (const die of [bury, (hold: Parameters<typeof bury>[0]) => crash(hold, 'poison')]) {
      const id = await s.add({ unique: forWindow })
      await worker.settle(die(await worker.claimOne()))
      await s.advance(windowMs - 1)
      assert.deepEqual(await s.enqueue({ unique: forWindow }), heldBy(id))
      await s.advance(1)
    }
  },

  'for a time: a job that is cancelled, expires or is deleted frees it': async (s) => {
    const ends: typeof undone = {
      ...undone,
      'cancelled by its handler': async () => {
        const worker = await s.worker()
        await worker.settle(cancel(await worker.claimOne()))
      },
      'cancelled while it ran': async (_, id) => {
        const worker = await s.worker()
        const claimed = await worker.claimOne()
        await s.act('cancel', id)
        await worker.settle(complete(claimed))
      },
      'cancelled while it ran, and rescued': async (_, id) => {
        const worker = await s.worker()
        await worker.claimOne()
        await s.act('cancel', id)
        await worker.vanish()
        await s.rescue()
      },
      'deleted when it had ended': async (_, id) => {
        const worker = await s.worker()
        await worker.settle(complete(await worker.claimOne()))
        await s.act('delete', id)
      },
    }
    for (const [how, end] of Object.entries(ends)) {
      const id = await s.add({ unique: forWindow, expireMs: 1000 })
      await end(s, id)
      await s.act('cancel', await take(s, forWindow, `when ${how}`))
    }
  },

  'for a time: a holder that is pruned still answers': async (s) => {
    const day: NewUnique = { key, forMs: 24 * 60 * minuteMs, onConflict: 'keep' }
    const worker = await s.worker()
    const id = await s.add({ unique: day })
    await worker.settle(complete(await worker.claimOne()))
    await s.advance(policy.keepResultMs)
    await s.store.prune(10)
    assert.equal(await s.exists(id), false)
    assert.deepEqual(await s.enqueue({ unique: day }), heldBy(id))
    await s.store.prune(10)
    assert.deepEqual(await s.enqueue({ unique: day }), heldBy(id), 'after another prune')
    await s.advance(day.forMs - policy.keepResultMs)
    await take(s, day, 'after its time')
  },

  'for a time: a job that outlives it leaves the key to the next': async (s) => {
    const worker = await s.worker()
    const long = await s.add({ unique: { ...forWindow, forMs: leaseMs / 2 } })
    const claimed = await worker.claimOne()
    await s.advance(leaseMs / 2)
    const next = await take(s, forWindow, 'after its time')
    await s.act('cancel', long)
    await worker.settle(complete(claimed))
    assert.deepEqual(await s.enqueue({ unique: forWindow }), heldBy(next))
    await s.act('delete', long)
    assert.deepEqual(await s.enqueue({ unique: forWindow }), heldBy(next))
  },

  'for a time: what finds it held does not prolong it': async (s) => {
    await s.add({ unique: forWindow })
    await s.advance(windowMs - 1)
    await s.enqueue({ unique: forWindow })
    await s.enqueue({ unique: { ...forWindow, onConflict: 'replace' } })
    await s.advance(1)
    await take(s, forWindow, 'after its time')
  },

  'for a time: a retry by hand takes it for its time anew': async (s) => {
    const worker = await s.worker()
    const id = await s.add({ unique: forWindow })
    await worker.settle(bury(await worker.claimOne()))
    await s.advance(windowMs / 2)
    assert.equal((await s.act('retry', id)).done, true, 'while it holds the key itself')
    await s.advance(windowMs - 1)
    assert.deepEqual(await s.enqueue({ unique: forWindow }), heldBy(id))
    await worker.settle(bury(await worker.claimOne()))
    await s.advance(1)
    const holder = await take(s, forWindow, 'after its time')
    assert.deepEqual(await s.act('retry', id), { id, done: false, code: 'UNIQUE_CONFLICT', holder })
    await s.advance(windowMs)
    assert.equal((await s.act('retry', id)).done, true, 'after the time of another')
    assert.deepEqual(await s.enqueue({ unique: forWindow }), heldBy(id))
  },

  'how long it is held is said by who holds it': async (s) => {
    const worker = await s.worker()
    const id = await s.add({ unique: key })
    assert.deepEqual(await s.enqueue({ unique: untilStart }), heldBy(id))
    assert.deepEqual(await s.enqueue({ unique: { ...forWindow, forMs: 1 } }), heldBy(id))
    const claimed = await worker.claimOne()
    await s.advance(1)
    assert.deepEqual(await s.enqueue({ unique: key }), heldBy(id))
    await worker.settle(complete(claimed))
    await take(s, forWindow, 'after the end of its holder')
  },
})
