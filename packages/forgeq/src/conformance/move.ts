// Jobs that move: what one store dumps and another one loads goes on as if nothing had happened. Here a store takes in what
// it has dumped itself, after all its jobs were deleted.
import assert from 'node:assert/strict'
import type { JobImage } from '../store/moved.ts'
import type { Enqueued } from '../store/records.ts'
import { pageChars } from '../store/store.ts'
import { area } from './area.ts'
import type { Case } from './case.ts'
import { bury, complete, crash, failure, release, retry } from './endings.ts'
import { dumpAll, look, reload } from './reload.ts'
import type { Scene } from './scene.ts'

/** Jobs of every state but running, some with a past. */
const populate = async (s: Scene): Promise<void> => {
  const worker = await s.worker({ types: ['work', 'mail'] })
  const add = { tags: ['a', 'b'], key: 'k', unique: 'u', expireMs: 90_000 }
  await s.add(add)
  const first = await worker.claimOne()
  await worker.exchange({
    notes: [
      { ...first, progress: { done: 1, total: 2, label: 'half' }, logs: [{ level: 'warn', message: 'ä', ageMs: 3 }] },
    ],
  })
  await s.advance(5)
  await worker.settle(retry(first, 1000, failure('late')))
  for (const ending of [complete, bury, retry, release, crash]) {
    await s.add({ payload: `"${ending.name}"`, queue: 'other', maxAttempts: 3, keepResultMs: 60_000 })
    const claimed = await worker.claimOne('other')
    await worker.settle(ending === complete ? complete(claimed, '{"r": 1}') : ending(claimed))
    if (ending === bury) await s.act('retry', claimed.job)
    if (ending === bury) await worker.settle(bury(await worker.claimOne('other'), 'discarded'))
    await s.advance(5)
  }
  await s.add({ type: 'mail', delayMs: 30_000, priority: 2 })
  await s.act('cancel', await s.add({ unique: { key: 'w', forMs: 50_000, onConflict: 'keep' } }))
  await s.addMany(3, { key: 'l' })
  await s.addMany(2)
}

export const moveCases: readonly Case[] = area('move', {
  'all that is known of jobs comes along': async (s) => {
    await populate(s)
    const before = await look(s)
    const dumped = await reload(s)
    assert.deepEqual(await look(s), before)
    const again = await dumpAll(s, 100)
    const sorted = (jobs: readonly JobImage[]): JobImage[] => jobs.toSorted((a, b) => (a.id < b.id ? -1 : 1))
    assert.deepEqual(sorted(again.jobs), sorted(dumped.jobs))
  },

  'what is loaded again is the same, and is not doubled': async (s) => {
    await populate(s)
    const dumped = await reload(s)
    const before = await look(s)
    const verdicts = await s.store.load(dumped)
    assert.deepEqual(new Set(verdicts), new Set(['same']))
    assert.deepEqual(await look(s), before)
  },

  'a job that is not the same is left as it is': async (s) => {
    const id = await s.add()
    const { jobs } = await dumpAll(s)
    const [job] = jobs
    assert.ok(job)
    const before = await look(s)
    for (const change of [{ payload: '1' }, { attempt: 2 }, { tags: ['x'] }, { arrival: job.arrival + 1 }]) {
      assert.deepEqual(await s.store.load({ jobs: [{ ...job, ...change }], traces: [] }), ['other'])
    }
    assert.deepEqual(await look(s), before)
    const worker = await s.worker()
    await worker.claimOne()
    assert.deepEqual(await s.store.load({ jobs: [job], traces: [] }), ['other'])
    assert.equal((await s.job(id)).state, 'running')
  },

  'running jobs are not dumped': async (s) => {
    const [, waiting] = await s.addMany(2)
    const worker = await s.worker()
    await worker.claimOne()
    const { jobs } = await dumpAll(s)
    assert.deepEqual(
      jobs.map(({ id }) => id),
      [waiting],
    )
  },

  'a page with large jobs ends early': async (s) => {
    const payload = JSON.stringify('x'.repeat(1_000_000))
    const ids: string[] = []
    for (let i = 0; i < 12; i++) ids.push(await s.add({ payload }))
    const { jobs, cursor } = await s.store.dump(null, 100)
    assert.ok(jobs.length < 12 && jobs.length * payload.length >= pageChars, `${jobs.length} jobs`)
    assert.notEqual(cursor, null)
    const all = await dumpAll(s)
    assert.deepEqual(all.jobs.map(({ id }) => id).sort(), ids.sort())
  },

  'they start in the order in which they would have, and new ones after them': async (s) => {
    const worker = await s.worker()
    const [released, retried] = await s.addMany(2)
    await worker.settle(
      ...(await worker.claim(2)).map((held) => (held.job === released ? release(held) : retry(held, 10))),
    )
    const fresh = await s.addMany(2)
    const urgent = await s.add({ priority: 0 })
    await s.advance(10)
    await s.promote()
    await reload(s)
    const last = await s.add()
    const order = [urgent, released, retried, ...fresh, last]
    for (const id of order) assert.deepEqual(await worker.claimIds(1), [id])
  },

  'what comes later comes after jobs of a store that has counted further': async (s) => {
    await s.addMany(2)
    const { jobs } = await dumpAll(s)
    const ids = jobs.map(({ id }) => id)
    await s.store.act({ action: 'delete', ids })
    const further = jobs.map(({ arrival, place, ...job }): JobImage => {
      assert.ok(place.state === 'ready')
      return { ...job, arrival: arrival + 100_000, place: { ...place, order: place.order + 100_000 } }
    })
    await s.store.load({ jobs: further, traces: [] })
    const worker = await s.worker()
    const late = await s.add()
    assert.deepEqual(await worker.claimIds(5), [...ids, late])
  },

  'jobs that are due at one instant become ready in the order in which they would have': async (s) => {
    const ids = [await s.add({ delayMs: 1000 }), await s.add({ delayMs: 1000 }), await s.add({ delayMs: 1000 })]
    await reload(s)
    ids.push(await s.add({ delayMs: 1000 }))
    await s.advance(1000)
    await s.promote()
    const worker = await s.worker()
    assert.deepEqual(await worker.claimIds(5), ids)
  },

  'keys take turns as before': async (s) => {
    await s.limit({ perKey: { concurrency: 1 } })
    const [k1, l1, free] = [await s.add({ key: 'k' }), await s.add({ key: 'l' }), await s.add()]
    const [k2, l2] = [await s.add({ key: 'k' }), await s.add({ key: 'l' })]
    const worker = await s.worker()
    await worker.settle(complete(await worker.claimOne()))
    await reload(s)
    const order: string[] = []
    for (let i = 0; i < 4; i++) {
      const claimed = await worker.claimOne()
      order.push(claimed.job)
      await worker.settle(complete(claimed))
    }
    assert.deepEqual(order, [l1, free, k2, l2])
    assert.equal((await s.job(k1)).state, 'completed')
  },

  'a job that waits for a retry keeps its turn in a queue of ordered keys': async (s) => {
    await s.limit({ perKey: { ordered: true } })
    const [first, second] = await s.addMany(2, { key: 'k' })
    const worker = await s.worker()
    await worker.settle(retry(await worker.claimOne(), 1000))
    await reload(s)
    assert.deepEqual(await worker.claim(5), [])
    assert.equal((await s.line(second!))?.turnOf, first)
    await s.advance(1000)
    await s.promote()
    const claimed = await worker.claimOne()
    assert.equal(claimed.job, first)
    await worker.settle(complete(claimed))
    assert.deepEqual(await worker.claimIds(5), [second])
  },

  'what stood aside is found by a worker that knows it, and in its place': async (s) => {
    const strange = [await s.add({ type: 'strange' }), await s.add({ type: 'strange', key: 'k' })]
    const id = await s.add()
    const worker = await s.worker()
    await worker.settle(release(await worker.claimOne()))
    await reload(s)
    assert.deepEqual(await worker.claimIds(5), [id])
    const expert = await s.worker({ types: ['work', 'strange'] })
    assert.deepEqual((await expert.claimIds(5)).toSorted(), strange.toSorted())
  },

  'claim numbers and tries go on': async (s) => {
    const worker = await s.worker()
    await s.add({ maxAttempts: 3 })
    await worker.settle(retry(await worker.claimOne()))
    await worker.settle(bury(await worker.claimOne()))
    const [job] = (await dumpAll(s)).jobs
    await s.act('retry', job!.id)
    await reload(s)
    const { claim, attempt, attemptBase, policy: given } = await worker.claimOne()
    assert.deepEqual([claim, attempt, attemptBase, given.maxAttempts], [3, 3, 2, 5])
  },

  'a job whose payload was changed still answers for its id': async (s) => {
    const job = s.newJob()
    await s.send(job)
    await s.act('cancel', job.id)
    await s.store.act({ action: 'retry', ids: [job.id], payload: '"new"' })
    await reload(s)
    assert.deepEqual(await s.send(job), { id: job.id, duplicate: true })
    assert.equal((await s.job(job.id)).payload, '"new"')
  },

  'a suspect is still one': async (s) => {
    const worker = await s.worker()
    const id = await s.add()
    await worker.settle(crash(await worker.claimOne()))
    await reload(s)
    const careful = await worker.exchange({ wants: [{ queue: 'default', slots: 1 }], suspects: 'skip' })
    assert.deepEqual(careful.claimed, [])
    const [claimed] = await worker.claim(1)
    assert.deepEqual([claimed?.job, claimed?.crashes], [id, 1])
  },

  'a unique key is held until its job frees it': async (s) => {
    const [done, start] = [
      await s.add({ unique: 'done' }),
      await s.add({ unique: { key: 'start', until: 'start', onConflict: 'keep' } }),
    ]
    await reload(s)
    const again = async (): Promise<readonly Enqueued[]> => [
      await s.enqueue({ unique: { key: 'done', until: 'done', onConflict: 'error' }, queue: 'x' }),
      await s.enqueue({ unique: { key: 'start', until: 'start', onConflict: 'keep' }, queue: 'x' }),
    ]
    const [refused, kept] = await again()
    assert.ok(refused && 'refused' in refused && refused.refused.holder === done)
    assert.deepEqual(kept, { id: start, duplicate: true })
    const worker = await s.worker()
    const claimed = await worker.claim(2)
    const claimable = await s.enqueue({ unique: { key: 'start', until: 'start', onConflict: 'keep' } })
    assert.ok('duplicate' in claimable && !claimable.duplicate)
    await reload(s)
    await worker.settle(...claimed.map((held) => complete(held)))
    assert.ok(!('refused' in (await again())[0]!))
  },

  'a job that does not hold its key any more does not take it': async (s) => {
    const worker = await s.worker()
    const unique = { key: 'u', until: 'start', onConflict: 'keep' } as const
    await s.add({ unique })
    await worker.settle(retry(await worker.claimOne(), 1000))
    const second = await s.add({ unique })
    await reload(s)
    assert.deepEqual(await s.enqueue({ unique }), { id: second, duplicate: true })
  },

  'a job that has not started in time ends, and one that has not': async (s) => {
    const [late, started] = [await s.add({ expireMs: 1000 }), await s.add({ expireMs: 1000, queue: 'other' })]
    const worker = await s.worker()
    await worker.settle(retry(await worker.claimOne('other'), 5000))
    await reload(s)
    await s.advance(1000)
    await s.promote()
    const job = await s.job(late)
    assert.deepEqual([job.state, job.reason], ['cancelled', 'expired'])
    assert.equal((await s.job(started)).state, 'scheduled')
  },

  'ended jobs are kept as long as they would have been': async (s) => {
    const [short, long] = [await s.add({ keepResultMs: 1_200_000 }), await s.add({ keepResultMs: 1_800_000 })]
    const worker = await s.worker()
    await worker.settle(...(await worker.claim(2)).map((held) => complete(held, '1')))
    await s.advance(600_000)
    await reload(s)
    await s.advance(599_999)
    await s.store.prune(100)
    assert.equal((await s.job(short)).result, '1')
    await s.advance(1)
    await s.store.prune(100)
    assert.deepEqual([await s.exists(short), await s.exists(long)], [false, true])
    await s.advance(600_000)
    await s.store.prune(100)
    assert.equal(await s.exists(long), false)
    assert.equal((await s.store.queues()).find(({ queue }) => queue === 'default')?.counts.completed ?? 0, 0)
  },
})
