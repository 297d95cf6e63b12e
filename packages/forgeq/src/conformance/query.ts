// What people see: jobs, pages, queues, workers, types. All of it agrees with what a recount finds.
import assert from 'node:assert/strict'
import { states } from '../core/states.ts'
import type { JobFilter } from '../store/records.ts'
import { pageChars } from '../store/store.ts'
import { area } from './area.ts'
import type { Case } from './case.ts'
import { bury, complete, retry } from './endings.ts'
import { leaseMs, policy, type Scene } from './scene.ts'

/** Jobs of two queues, two types, some tags, in every state there is. */
async function populate(s: Scene): Promise<readonly string[]> {
  const ids: string[] = []
  const worker = await s.worker({ types: ['work', 'mail'] })
  for (let i = 0; i < 40; i++) {
    const queue = i % 2 === 0 ? 'even' : 'odd'
    const delayMs = i % 8 === 7 ? 60_000 : 0
    ids.push(
      await s.add({ queue, delayMs, type: i % 3 === 0 ? 'mail' : 'work', tags: i % 5 === 0 ? ['five', 'x'] : ['x'] }),
    )
    if (i % 8 < 4) {
      const claimed = await worker.claimOne(queue)
      const endings = [complete(claimed), bury(claimed), retry(claimed, 60_000)]
      const ending = endings[i % 8]
      if (ending) await worker.settle(ending)
    } else if (i % 8 === 4) {
      await s.act('cancel', ids[i]!)
    }
  }
  return ids
}

const sorted = (ids: readonly string[]): readonly string[] => [...ids].sort()

export const queryCases: readonly Case[] = area('query', {
  'jobs come in the order asked for, unknown ones are left out': async (s) => {
    const [a, b, c] = await s.addMany(3)
    const jobs = await s.store.jobs([c!, s.newJob().id, a!, 'nonsense', b!])
    assert.deepEqual(
      jobs.map(({ id }) => id),
      [c, a, b],
    )
    assert.deepEqual(await s.store.jobs([]), [])
  },

  'each filter finds exactly its jobs, each once, on pages of any size': async (s) => {
    const ids = await populate(s)
    const all = await s.store.jobs(ids)
    const filters: JobFilter[] = [
      {},
      ...states.map((state) => ({ state })),
      { queue: 'even' },
      { type: 'mail' },
      { tag: 'five' },
      { queue: 'odd', type: 'work' },
      { state: 'ready', queue: 'even' },
      { state: 'dead', tag: 'five' },
      { state: 'scheduled', type: 'work', tag: 'x', queue: 'odd' },
      { queue: 'nowhere' },
      { type: 'nothing' },
      { tag: 'FIVE' },
    ]
    for (const filter of filters) {
      const expected = all.filter(
        (job) =>
          (filter.state ?? job.state) === job.state &&
          (filter.queue ?? job.policy.queue) === job.policy.queue &&
          (filter.type ?? job.type) === job.type &&
          (filter.tag === undefined || job.tags.includes(filter.tag)),
      )
      for (const limit of [1, 3, 7, 1000]) {
        const found = await s.findAll(filter, limit)
        assert.deepEqual(
          sorted(found.map(({ id }) => id)),
          sorted(expected.map(({ id }) => id)),
          `${JSON.stringify(filter)} on pages of ${limit}`,
        )
      }
    }
  },

  'nothing is found by what no job can have': async (s) => {
    await s.add()
    for (const filter of [
      { type: 'a\0' },
      { queue: '\0' },
      { tag: '\0' },
      { type: '\ud800' },
      { queue: 'x'.repeat(10_000) },
    ]) {
      assert.deepEqual((await s.store.find(filter, null, 10)).jobs, [])
    }
    assert.deepEqual(await s.store.jobs(['\0', '\ud800', '']), [])
  },

  'a page with the last job has no cursor': async (s) => {
    await s.addMany(3)
    for (const filter of [{}, { state: 'ready' }] as const) {
      const whole = await s.store.find(filter, null, 3)
      assert.deepEqual([whole.jobs.length, whole.cursor], [3, null])
      const part = await s.store.find(filter, null, 2)
      assert.equal(part.jobs.length, 2)
      const rest = await s.store.find(filter, part.cursor, 1)
      assert.deepEqual([rest.jobs.length, rest.cursor], [1, null])
    }
  },

  'a page of large jobs ends early, and the next one goes on': async (s) => {
    const payload = JSON.stringify('x'.repeat(1024 * 1024 - 2))
    const ids = await s.addMany(12, { payload })
    const page = await s.store.find({}, null, 12)
    const chars = page.jobs.reduce((sum, job) => sum + job.payload.length, 0)
    assert.ok(chars > 0 && chars <= pageChars, `a page of ${chars} characters`)
    assert.deepEqual(sorted((await s.findAll({}, 12)).map(({ id }) => id)), sorted(ids))
  },

  'what is found is the whole job': async (s) => {
    await populate(s)
    for (const found of await s.findAll({}, 10)) {
      assert.deepEqual([found], await s.store.jobs([found.id]))
    }
  },

  'jobs that are stepped over are found as ready': async (s) => {
    const strange = await s.add({ type: 'strange' })
    const known = await s.add()
    const worker = await s.worker()
    await worker.claim(2)
    const more = await s.addMany(3)
    const found = await s.findAll({ state: 'ready' }, 2)
    assert.deepEqual(sorted(found.map(({ id }) => id)), sorted([strange, ...more]))
    assert.equal((await s.job(known)).state, 'running')
  },

  'jobs that do not change are found once while others come and go': async (s) => {
    const ids = await s.addMany(30)
    const leaving = new Set(ids.filter((_, i) => i % 3 === 0))
    const seen: string[] = []
    let cursor: string | null = null
    do {
      const page = await s.store.find({ state: 'ready' }, cursor, 4)
      seen.push(...page.jobs.map(({ id }) => id))
      cursor = page.cursor
      await s.add()
      const [next] = leaving
      if (next) {
        leaving.delete(next)
        await s.act('cancel', next)
      }
    } while (cursor !== null)
    for (const [i, id] of ids.entries()) {
      if (i % 3 !== 0) assert.equal(seen.filter((other) => other === id).length, 1)
    }
  },

  'queues count what a recount counts': async (s) => {
    const ids = await populate(s)
    const recount = async (): Promise<void> => {
      const jobs = await s.store.jobs(ids)
      for (const { queue, counts } of await s.store.queues()) {
        const mine = jobs.filter((job) => job.policy.queue === queue)
        const counted = states.map((state) => [state, mine.filter((job) => job.state === state).length])
        assert.deepEqual(counts, Object.fromEntries(counted), queue)
      }
    }
    await recount()
    await s.advance(60_000)
    await s.store.promote(100)
    await recount()
    await s.store.act({ action: 'retry', ids })
    await recount()
    await s.store.act({ action: 'delete', ids: ids.slice(0, 20) })
    await recount()
  },

  'a queue says since when its oldest job is ready': async (s) => {
    await s.add({ delayMs: 1000 })
    assert.equal((await s.queue()).oldestReadyAt, null)
    const since = s.now()
    const first = await s.add()
    await s.advance(500)
    await s.add()
    assert.equal((await s.queue()).oldestReadyAt, since)
    const worker = await s.worker()
    assert.equal((await worker.claimOne()).job, first)
    assert.equal((await s.queue()).oldestReadyAt, since + 500)
  },

  'workers are listed with what they said and what they hold': async (s) => {
    await s.addMany(3)
    const startedAt = s.now()
    const worker = await s.worker({
      types: ['work', 'mail'],
      queues: ['default', 'b'],
      slots: 7,
      pid: 4711,
      pidSpace: 'boot 1',
      host: 'höst',
    })
    await worker.claim(2)
    await s.advance(5000)
    const vitals = { slots: 5, busy: 2, rssBytes: 1e9, loopLagMs: 1.5, stuck: 0 }
    await s.store.beat(worker.id, vitals, [])
    const [record, ...others] = await s.store.workers()
    assert.deepEqual(others, [])
    assert.ok(record)
    assert.deepEqual(
      { ...record, types: sorted(record.types) },
      {
        id: worker.id,
        host: 'höst',
        pid: 4711,
        pidSpace: 'boot 1',
        version: '1.0.0',
        queues: ['default', 'b'],
        types: ['mail', 'work'],
        slots: 7,
        leaseMs,
        startedAt,
        beatAt: s.now(),
        expiresAt: s.now() + leaseMs,
        closed: false,
        held: 2,
        cancelling: [],
        facts: vitals,
      },
    )
  },

  'the record of a worker names the jobs it holds that are being cancelled, and no others': async (s) => {
    const [first, second] = [await s.worker(), await s.worker()]
    await s.addMany(3)
    const [cancelled, ended] = await first.claim(2)
    const other = await second.claimOne()
    for (const { job } of [cancelled!, ended!, other]) await s.act('cancel', job)
    await first.settle(complete(ended!))
    const records = await s.store.workers()
    assert.deepEqual(
      [first, second].map(({ id }) => records.find((record) => record.id === id)?.cancelling),
      [[cancelled!.job], [other.job]],
    )
  },

  'a beat without facts keeps the last ones': async (s) => {
    const worker = await s.worker()
    const facts = { slots: 4, busy: 1, rssBytes: 2, loopLagMs: 3, stuck: 0 }
    await s.store.beat(worker.id, facts, [])
    await s.store.beat(worker.id, null, [])
    assert.deepEqual((await s.store.workers())[0]?.facts, facts)
  },

  'a closed worker is listed until it holds nothing': async (s) => {
    await s.add()
    const [holder, idle] = [await s.worker(), await s.worker()]
    await holder.claimOne()
    await s.store.leave(holder.id)
    await s.store.leave(idle.id)
    const workers = await s.store.workers()
    assert.deepEqual(
      workers.map(({ id, closed, held }) => [id, closed, held]),
      [[holder.id, true, 1]],
    )
    await s.rescue()
    assert.deepEqual(await s.store.workers(), [])
  },

  'types are known by what workers announced last': async (s) => {
    assert.deepEqual(await s.store.types(), [])
    const first = { type: 'mail', policy, inputSchema: null }
    const then = {
      type: 'mail',
      policy: { ...policy, queue: 'm', priority: 2, maxAttempts: 1 },
      inputSchema: '{"a": 1}',
    }
    const other = { type: 'other', policy: { ...policy, delivery: 'at-most-once' as const }, inputSchema: null }
    const facts = { host: 'h', pid: 1, pidSpace: null, version: '1', queues: [], slots: 1, leaseMs, keepAlive: false }
    await s.store.register({ ...facts, id: 'a', types: [first, other] })
    await s.store.register({ ...facts, id: 'b', types: [then] })
    await s.store.leave('b')
    const all = [...(await s.store.types())].sort((x, y) => (x.type < y.type ? -1 : 1))
    assert.deepEqual(all, [then, other])
    assert.deepEqual(await s.store.types(['mail', 'unheard-of']), [then])
  },

  'a type that was only enqueued is not announced': async (s) => {
    await s.add({ type: 'mail' })
    assert.deepEqual(await s.store.types(), [])
  },
})
