// Hints: they may be late or come twice, but a store that promises them does hint.
import assert from 'node:assert/strict'
import type { Topic } from '../store/store.ts'
import { area } from './area.ts'
import type { Case } from './case.ts'
import { complete, release } from './endings.ts'
import type { Scene } from './scene.ts'

/** Resolves with the first hint of a topic that comes after `act` began. */
const hintOf = async (s: Scene, topic: Topic, act: () => Promise<unknown>): Promise<void> => {
  let stop = (): void => undefined
  const heard = new Promise<Topic>((resolve) => {
    stop = s.store.listen([topic], resolve)
  })
  await act()
  assert.equal(await heard, topic)
  stop()
}

export const listenCases: readonly Case[] = area(
  'listen',
  {
    'a queue that gets work hints': async (s) => {
      await hintOf(s, 'ready:default', () => s.add())
    },

    'a queue hints for a job that comes back': async (s) => {
      await s.add()
      const worker = await s.worker()
      const claimed = await worker.claimOne()
      await hintOf(s, 'ready:default', () => worker.settle(release(claimed)))
    },

    'a queue hints for a job that became due': async (s) => {
      await s.add({ delayMs: 1000 })
      await s.advance(1000)
      await hintOf(s, 'ready:default', () => s.store.promote(10))
    },

    'a queue that is resumed hints': async (s) => {
      await s.add()
      await s.store.setQueue('default', { paused: true })
      await hintOf(s, 'ready:default', () => s.store.setQueue('default', { paused: false }))
    },

    'a job that ends hints, however it ends': async (s) => {
      const worker = await s.worker()
      const done = await s.add()
      const claimed = await worker.claimOne()
      await hintOf(s, `ended:${done}`, () => worker.settle(complete(claimed)))
      const cancelled = await s.add()
      await hintOf(s, `ended:${cancelled}`, () => s.act('cancel', cancelled))
      const expired = await s.add({ expireMs: 1 })
      await s.advance(1)
      await hintOf(s, `ended:${expired}`, () => s.store.promote(10))
    },

    'a cancelled running job hints to its worker': async (s) => {
      const id = await s.add()
      const worker = await s.worker()
      await worker.claimOne()
      await hintOf(s, `orders:${worker.id}`, () => s.act('cancel', id))
    },

    'a worker with other slots to work with hints to it': async (s) => {
      const worker = await s.worker()
      await hintOf(s, `orders:${worker.id}`, () => s.store.setWorker(worker.id, { slots: 1 }))
    },

    'a job that is due earlier than all others hints': async (s) => {
      await s.add({ delayMs: 60_000 })
      await hintOf(s, 'due', () => s.add({ delayMs: 1000 }))
    },

    'one listener hears several topics, several listeners one topic': async (s) => {
      const heard = new Set<string>()
      await new Promise<void>((resolve, reject) => {
        const hear = (who: string) => (topic: Topic) => {
          heard.add(`${who} ${topic}`)
          if (heard.size === 3) resolve()
        }
        s.store.listen(['ready:a', 'ready:b'], hear('one'))
        s.store.listen(['ready:b'], hear('two'))
        Promise.all([s.add({ queue: 'a' }), s.add({ queue: 'b' })]).catch(reject)
      })
      assert.deepEqual([...heard].sort(), ['one ready:a', 'one ready:b', 'two ready:b'])
    },

    'nothing is heard after the end of listening': async (s) => {
      let stale = 0
      const stop = s.store.listen(['ready:default'], () => void stale++)
      stop()
      stop()
      await hintOf(s, 'ready:default', () => s.add())
      assert.equal(stale, 0)
    },
  },
  ['notify'],
)
