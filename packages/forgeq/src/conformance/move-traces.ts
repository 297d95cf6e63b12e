// What moves beside jobs: keys that are held for a time, what limits remember, what workers announced.
import assert from 'node:assert/strict'
import { area } from './area.ts'
import type { Case } from './case.ts'
import { complete, snooze } from './endings.ts'
import { dumpAll, look, reload } from './reload.ts'
import { policy } from './scene.ts'

export const moveTracesCases: readonly Case[] = area('move traces', {
  'a key that is held for a time is held on, also without its job': async (s) => {
    const unique = { key: 'u', forMs: 90_000_000, onConflict: 'keep' } as const
    const id = await s.add({ unique, keepResultMs: 0 })
    const worker = await s.worker()
    await worker.settle(complete(await worker.claimOne()))
    await s.advance(3_600_000)
    await s.store.prune(100)
    assert.equal(await s.exists(id), false)
    const { traces } = await dumpAll(s)
    const held = traces.filter(({ trace }) => trace === 'unique')
    assert.deepEqual(held, [{ trace: 'unique', type: 'work', key: 'u', job: id, until: s.now() + 86_400_000 }])
    await s.store.load({ jobs: [], traces })
    assert.deepEqual(await s.enqueue({ unique }), { id, duplicate: true })
    const other = { trace: 'unique', type: 'work', key: 'v', job: id, until: s.now() + 1000 } as const
    await s.store.load({ jobs: [], traces: [other] })
    assert.deepEqual(await s.enqueue({ unique: { ...unique, key: 'v' } }), { id, duplicate: true })
    await s.advance(1000)
    await s.add({ unique: { ...unique, key: 'v' } })
  },

  'an enqueue that replaced another job is still known': async (s) => {
    const holder = await s.add({ unique: 'u', delayMs: 1000 })
    const replacing = s.newJob({
      unique: { key: 'u', until: 'done', onConflict: 'replace' },
      payload: '2',
      delayMs: 2000,
    })
    assert.deepEqual(await s.send(replacing), { id: holder, duplicate: true, replaced: true })
    const { traces } = await reload(s)
    assert.ok(traces.some(({ trace }) => trace === 'replacement'))
    const before = await look(s)
    assert.deepEqual(await s.send(replacing), { id: holder, duplicate: true, replaced: true })
    assert.deepEqual(await look(s), before)
  },

  'what a rate has counted and what is held back is known': async (s) => {
    await s.limit({ rate: { max: 2, perMs: 10_000 } })
    const worker = await s.worker({ types: ['work', 'mail'] })
    await s.addMany(3)
    const [first] = await worker.claim(1)
    await s.advance(4000)
    await worker.settle(complete(first!), complete(await worker.claimOne()))
    await s.add({ queue: 'held' })
    await worker.settle(snooze(await worker.claimOne('held'), 7000, null, 'queue'))
    await s.add({ queue: 'types', type: 'mail' })
    await worker.settle(snooze(await worker.claimOne('types'), 3000, null, 'type'))
    const { traces } = await reload(s)
    const counts = traces.flatMap((one) => (one.trace === 'starts' ? [[one.on, one.n, one.total]] : []))
    assert.deepEqual(counts, [
      ['q', 1, 1],
      ['q', 1, 2],
    ])
    const held = traces.flatMap((one) => (one.trace === 'hold' ? [[one.queue, one.on, one.until - s.now()]] : []))
    assert.deepEqual(
      held.toSorted(([a], [b]) => (a! < b! ? -1 : 1)),
      [
        ['held', 'q', 7000],
        ['types', 'tmail', 3000],
      ],
    )
    assert.deepEqual((await s.queue()).fill.rate, { left: 0, opensAt: s.now() + 6000 })
    assert.equal((await s.queue('held')).heldUntil, s.now() + 7000)
    assert.deepEqual((await s.queue('types')).heldTypes, { mail: s.now() + 3000 })
    assert.equal((await s.store.promote(10)).nextDueAt, s.now() + 3000)
  },

  'traces that are loaded again change nothing, and set what was changed': async (s) => {
    await s.limit({ rate: { max: 2, perMs: 10_000 } })
    const worker = await s.worker()
    await s.add()
    await worker.settle(complete(await worker.claimOne()))
    const { traces } = await dumpAll(s)
    await s.store.load({ jobs: [], traces })
    assert.deepEqual((await s.queue()).fill.rate, { left: 1, opensAt: null })
    const hold = { trace: 'hold', queue: 'default', on: 'q', until: s.now() + 1000 } as const
    for (const one of [{ ...hold, until: s.now() + 5000 }, hold]) await s.store.load({ jobs: [], traces: [one] })
    assert.equal((await s.queue()).heldUntil, s.now() + 1000)
    const alarm = { trace: 'alarm', queue: 'default', on: 'h', at: s.now() + 1000 } as const
    await s.store.load({ jobs: [], traces: [alarm] })
    assert.equal((await s.store.promote(10)).nextDueAt, s.now() + 1000)
  },

  'what workers announced of types comes along': async (s) => {
    await s.worker({ types: ['work', 'mail'] })
    const { traces } = await dumpAll(s, 1)
    const records = traces.flatMap((one) => (one.trace === 'type' ? [one.record] : []))
    assert.deepEqual(
      records.toSorted((a, b) => (a.type < b.type ? -1 : 1)),
      ['mail', 'work'].map((type) => ({ type, policy, inputSchema: null })),
    )
    const record = { type: 'new', policy: { ...policy, priority: 1, maxAttempts: 2 }, inputSchema: '{"type":"null"}' }
    await s.store.load({ jobs: [], traces: [{ trace: 'type', record }] })
    assert.deepEqual(await s.store.types(['new']), [record])
  },
})
