// Ordered keys: one job of a key at a time, and the next only when it has ended, however long it waits between two tries.
import assert from 'node:assert/strict'
import type { KeyLimits } from '../core/limit.ts'
import { area } from './area.ts'
import type { Case } from './case.ts'
import { bury, cancel, complete, crash, release, retry, snooze } from './endings.ts'
import { freeLine, type Scene } from './scene.ts'
import type { ScriptedWorker } from './scripted-worker.ts'

const inOrder: KeyLimits = { concurrency: null, rate: null, ordered: true }

/** Two jobs of a key, the first of them claimed. */
async function pair(s: Scene): Promise<readonly [ScriptedWorker, first: string, second: string]> {
  await s.limit({ perKey: inOrder })
  const [first, second] = await s.addMany(2, { key: 'k' })
  const worker = await s.worker()
  assert.deepEqual(await worker.claimIds(9), [first])
  return [worker, first!, second!]
}

export const orderedCases: readonly Case[] = area('ordered', {
  'jobs of an ordered key run one after the other, those of others beside them': async (s) => {
    await s.limit({ perKey: { ...inOrder, concurrency: 1 } })
    const k = await s.addMany(3, { key: 'k' })
    const l = await s.addMany(1, { key: 'l' })
    const free = await s.addMany(2)
    const worker = await s.worker()
    const first = await worker.claim(9)
    assert.deepEqual(
      first.map(({ job }) => job),
      [k[0], ...l, ...free],
    )
    for (const next of k.slice(1)) {
      await worker.settle(complete({ job: k[k.indexOf(next) - 1]!, claim: 1 }))
      assert.deepEqual(await worker.claimIds(9), [next])
    }
  },

  'a job keeps its turn while it waits for a retry or sleeps': async (s) => {
    for (const ending of [retry, snooze]) {
      const [worker, first, second] = await pair(s)
      await worker.settle(ending({ job: first, claim: 1 }, 5000))
      assert.deepEqual(await worker.claimIds(9), [], ending.name)
      assert.deepEqual(await s.line(second), { ...freeLine, isNext: false, turnOf: first })
      await s.advance(5000)
      await s.promote()
      assert.deepEqual(await s.line(first), freeLine)
      assert.deepEqual(await worker.claimIds(9), [first], ending.name)
      await worker.settle(complete({ job: first, claim: 2 }))
      assert.deepEqual(await worker.claimIds(9), [second], ending.name)
      await worker.settle(complete({ job: second, claim: 1 }))
    }
  },

  'a job that comes back at once goes on before any better one of its key': async (s) => {
    for (const ending of [release, retry, snooze, crash]) {
      const [worker, first, second] = await pair(s)
      const better = await s.add({ key: 'k', priority: 0 })
      await worker.settle(ending({ job: first, claim: 1 }))
      // Who has the turn is next, whatever the line holds.
      assert.deepEqual(await s.line(first), freeLine, ending.name)
      assert.deepEqual(await worker.claimIds(9), [first], ending.name)
      await worker.settle(complete({ job: first, claim: 2 }))
      assert.deepEqual(await worker.claimIds(9), [better], ending.name)
      await worker.settle(complete({ job: better, claim: 1 }))
      await s.act('cancel', second)
    }
  },

  'a job keeps its turn when its worker dies': async (s) => {
    const [worker, first, second] = await pair(s)
    await worker.vanish()
    await s.rescue()
    const other = await s.worker()
    assert.deepEqual(await other.claimIds(9), [first])
    await other.settle(complete({ job: first, claim: 2 }))
    assert.deepEqual(await other.claimIds(9), [second])
  },

  'however a job ends, the next of its key has the turn': async (s) => {
    for (const ending of [complete, bury, cancel]) {
      const [worker, first, second] = await pair(s)
      await worker.settle(ending({ job: first, claim: 1 }))
      assert.deepEqual(await worker.claimIds(9), [second], ending.name)
      await worker.settle(crash({ job: second, claim: 1 }, 'poison'))
    }
  },

  'a job that waits for its retry can be cancelled or deleted, and gives its turn away': async (s) => {
    for (const action of ['cancel', 'delete'] as const) {
      const [worker, first, second] = await pair(s)
      await worker.settle(retry({ job: first, claim: 1 }, 60_000))
      await s.act(action, first)
      assert.deepEqual(await worker.claimIds(9), [second], action)
      await worker.settle(complete({ job: second, claim: 1 }))
    }
  },

  'a running job that is cancelled keeps its turn until it has ended': async (s) => {
    const [worker, first, second] = await pair(s)
    await s.act('cancel', first)
    assert.deepEqual(await worker.claimIds(9), [])
    await worker.settle(retry({ job: first, claim: 1 }, 5000))
    assert.deepEqual(await worker.claimIds(9), [second])
  },

  'a job that stands aside keeps its key': async (s) => {
    await s.limit({ perKey: inOrder })
    const strange = await s.add({ key: 'k', type: 'strange' })
    const next = await s.add({ key: 'k', priority: 0, delayMs: 1000 })
    const worker = await s.worker()
    assert.deepEqual(await worker.claimIds(9), [])
    await s.advance(1000)
    await s.promote()
    assert.deepEqual(await worker.claimIds(9), [])
    assert.equal((await s.line(next))?.turnOf, strange)
    assert.equal(await s.line(strange), undefined)
    const expert = await s.worker({ types: ['work', 'strange'] })
    assert.deepEqual(await expert.claimIds(9), [strange])
    await expert.settle(complete({ job: strange, claim: 1 }))
    assert.deepEqual(await worker.claimIds(9), [next])
  },

  'a job that stands aside gives its turn away when it is cancelled, deleted or expires': async (s) => {
    await s.limit({ perKey: inOrder })
    const worker = await s.worker()
    for (const way of ['cancel', 'delete', 'expire'] as const) {
      const strange = await s.add({ key: 'k', type: 'strange', expireMs: 1000 })
      const next = await s.add({ key: 'k' })
      assert.deepEqual(await worker.claimIds(9), [], way)
      if (way === 'expire') await s.advance(1000)
      else await s.act(way, strange)
      await s.promote()
      assert.deepEqual(await worker.claimIds(9), [next], way)
      await worker.settle(complete({ job: next, claim: 1 }))
    }
  },

  'a job that is retried by hand has no turn: it waits for who has': async (s) => {
    const [worker, first, second] = await pair(s)
    await worker.settle(bury({ job: first, claim: 1 }))
    assert.deepEqual(await worker.claimIds(9), [second])
    await s.act('retry', first)
    await worker.settle(retry({ job: second, claim: 1 }, 5000))
    assert.deepEqual(await worker.claimIds(9), [])
    assert.equal((await s.line(first))?.turnOf, second)
    await s.act('cancel', second)
    assert.deepEqual(await worker.claimIds(9), [first])
  },

  'without order the next job of a key goes on while one waits for its retry': async (s) => {
    await s.limit({ perKey: { ...inOrder, concurrency: 1, ordered: false } })
    const [first, second] = await s.addMany(2, { key: 'k' })
    const worker = await s.worker()
    await worker.settle(retry(await worker.claimOne(), 5000))
    assert.deepEqual(await worker.claimIds(9), [second])
    assert.equal((await s.job(first!)).state, 'scheduled')
  },

  'when order is no longer asked for, turns are forgotten': async (s) => {
    const [worker, first, second] = await pair(s)
    await worker.settle(retry({ job: first, claim: 1 }, 5000))
    await s.limit({ perKey: null })
    await s.promote()
    assert.equal((await s.line(second))?.turnOf, null)
    await s.limit({ perKey: inOrder })
    await s.promote()
    assert.deepEqual(await worker.claimIds(9), [second])
  },

  'a job that runs when order is set has the turn from when it comes back, and no other starts before': async (s) => {
    const [a, b, c] = await s.addMany(3, { key: 'k' })
    const worker = await s.worker()
    assert.deepEqual(await worker.claimIds(2), [a, b])
    await s.limit({ perKey: inOrder })
    assert.deepEqual(await worker.claimIds(9), [])
    await worker.settle(retry({ job: a!, claim: 1 }, 5000))
    assert.deepEqual(await worker.claimIds(9), [])
    await worker.settle(complete({ job: b!, claim: 1 }))
    assert.deepEqual(await worker.claimIds(9), [])
    assert.equal((await s.line(c!))?.turnOf, a)
    await s.advance(5000)
    await s.promote()
    assert.deepEqual(await worker.claimIds(9), [a])
    await worker.settle(complete({ job: a!, claim: 2 }))
    assert.deepEqual(await worker.claimIds(9), [c])
  },

  'an ordered key can be closed by its rate too': async (s) => {
    await s.limit({ perKey: { concurrency: null, rate: { max: 1, perMs: 1000 }, ordered: true } })
    const ids = await s.addMany(2, { key: 'k' })
    const worker = await s.worker()
    await worker.settle(release(await worker.claimOne()))
    assert.deepEqual(await worker.claimIds(9), [])
    await s.advance(1000)
    await s.promote()
    assert.deepEqual(await worker.claimIds(9), [ids[0]])
  },
})
