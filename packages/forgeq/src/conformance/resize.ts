// Slots that change while a worker works: it is told until it says that it has heard.
import assert from 'node:assert/strict'
import type { Order } from '../store/records.ts'
import type { WorkerFacts } from '../store/worker-record.ts'
import { area } from './area.ts'
import type { Case } from './case.ts'
import type { Scene } from './scene.ts'
import type { ScriptedWorker } from './scripted-worker.ts'

const factsWith = (slots: number): WorkerFacts => ({ slots, busy: 0, rssBytes: 1, loopLagMs: 0, stuck: 0 })

const ordersOf = async (s: Scene, worker: ScriptedWorker, facts: WorkerFacts | null): Promise<readonly Order[]> => {
  const reply = await s.store.beat(worker.id, facts, [])
  assert.ok(!reply.closed)
  return reply.orders
}

export const resizeCases: readonly Case[] = area('resize', {
  'a worker hears of its new slots with every beat until it works with them': async (s) => {
    const worker = await s.worker({ slots: 5 })
    assert.deepEqual(await ordersOf(s, worker, factsWith(5)), [])
    assert.equal(await s.store.setWorker(worker.id, { slots: 8 }), true)
    const resize = [{ order: 'resize', slots: 8 }]
    assert.deepEqual(await ordersOf(s, worker, factsWith(5)), resize)
    assert.deepEqual(await ordersOf(s, worker, factsWith(5)), resize)
    assert.deepEqual(await ordersOf(s, worker, factsWith(8)), [])
  },

  'a beat without facts tells it too': async (s) => {
    const worker = await s.worker({ slots: 5 })
    await ordersOf(s, worker, factsWith(5))
    await s.store.setWorker(worker.id, { slots: 2 })
    assert.deepEqual(await ordersOf(s, worker, null), [{ order: 'resize', slots: 2 }])
  },

  'a worker that never told its slots is not told to change them before it does': async (s) => {
    const worker = await s.worker({ slots: 5 })
    await s.store.setWorker(worker.id, { slots: 2 })
    assert.deepEqual(await ordersOf(s, worker, null), [])
    assert.deepEqual(await ordersOf(s, worker, factsWith(5)), [{ order: 'resize', slots: 2 }])
  },

  'the last word counts, and is what is shown': async (s) => {
    const [worker, other] = [await s.worker({ slots: 5 }), await s.worker({ slots: 5 })]
    await s.store.setWorker(worker.id, { slots: 8 })
    await s.store.setWorker(worker.id, { slots: 3 })
    const records = await s.store.workers()
    assert.deepEqual(
      records.map(({ id, slots }) => [id, slots]),
      [
        [worker.id, 3],
        [other.id, 5],
      ],
    )
    assert.deepEqual(await ordersOf(s, worker, factsWith(5)), [{ order: 'resize', slots: 3 }])
    assert.deepEqual(await ordersOf(s, other, factsWith(5)), [])
  },

  'orders of both kinds come together': async (s) => {
    const id = await s.add()
    const worker = await s.worker({ slots: 5 })
    const { job, claim } = await worker.claimOne()
    await s.act('cancel', id)
    await s.store.setWorker(worker.id, { slots: 6 })
    assert.deepEqual(await ordersOf(s, worker, factsWith(5)), [
      { job, claim, order: 'cancel' },
      { order: 'resize', slots: 6 },
    ])
  },

  'nobody there, nobody told': async (s) => {
    assert.equal(await s.store.setWorker('nobody', { slots: 1 }), false)
    const worker = await s.worker()
    await s.store.leave(worker.id)
    assert.equal(await s.store.setWorker(worker.id, { slots: 1 }), false)
  },
})
