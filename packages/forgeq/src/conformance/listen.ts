// Hints: they may be late or come twice, but a store that promises them does hint.
import assert from 'node:assert/strict'
import type { Topic } from '../store/store.ts'
import { area } from './area.ts'
import type { Case } from './case.ts'
import { complete, release, snooze } from './endings.ts'
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

    'a queue hints when its rate, a level, a key or what was held back opens': async (s) => {
      const rate = { max: 1, perMs: 1000 }
      const perKey = { concurrency: null, rate, ordered: false }
      for (const limits of [{ rate }, { rates: { 5: rate } }, { perKey }]) {
        await s.limit({ rate: null, rates: { 5: null }, perKey: null, ...limits })
        await s.promote()
        await s.addMany(2, { key: 'k' })
        const worker = await s.worker()
        await worker.claimOne()
        await s.advance(1000)
        await hintOf(s, 'ready:default', () => s.store.promote(10))
      }
      await s.limit({ perKey: null })
      for (const scope of ['type', 'queue'] as const) {
        await s.promote()
        await s.add({ priority: 0 })
        const worker = await s.worker()
        await worker.settle(snooze(await worker.claimOne(), 1000, null, scope))
        await s.act('cancel', (await s.findAll({ state: 'scheduled' }, 10))[0]!.id)
        await s.advance(1000)
        await hintOf(s, 'ready:default', () => s.store.promote(10))
      }
    },

    'a queue whose limits change hints': async (s) => {
      await s.add()
      for (const settings of [{ rate: null }, { concurrency: 5 }, { perKey: null }, { paused: false, maxDepth: 3 }]) {
        await hintOf(s, 'ready:default', () => s.limit(settings))
      }
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
