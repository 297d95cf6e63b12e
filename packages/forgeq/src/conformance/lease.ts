// Workers are the lease: beats keep it, silence ends it, and what a closed worker held comes back exactly once.
import assert from 'node:assert/strict'
import { area } from './area.ts'
import type { Case } from './case.ts'
import { bury, complete, crash, release, retry } from './endings.ts'
import { leaseMs, policy, type Scene } from './scene.ts'
import type { ScriptedWorker } from './scripted-worker.ts'

const beat = (s: Scene, worker: ScriptedWorker): Promise<unknown> => s.store.beat(worker.id, null, [])

/** Lets time pass while these workers beat, so that the store is never silent for a lease. */
async function passWhileBeating(s: Scene, ms: number, ...workers: readonly ScriptedWorker[]): Promise<void> {
  for (let left = ms; left > 0; left -= 5000) {
    await s.advance(Math.min(left, 5000))
    for (const worker of workers) await beat(s, worker)
  }
}

export const leaseCases: readonly Case[] = area('lease', {
  'a worker that beats keeps what it holds': async (s) => {
    await s.add()
    const worker = await s.worker()
    const claimed = await worker.claimOne()
    for (let i = 0; i < 10; i++) {
      await passWhileBeating(s, leaseMs, worker)
      assert.deepEqual((await s.store.lost(10)).jobs, [])
    }
    assert.deepEqual(await worker.settle(complete(claimed)), ['applied'])
  },

  'a silent worker is closed when its lease is over, not before': async (s) => {
    const [silent, other] = [await s.worker(), await s.worker()]
    const id = await s.add({ delivery: 'at-most-once' })
    const claimed = await silent.claimOne()
    const startedAt = s.now()
    await s.store.beat(silent.id, { slots: 1, busy: 1, rssBytes: 123_456, loopLagMs: 0, stuck: 0 }, [])
    await passWhileBeating(s, leaseMs - 1, other)
    const early = await s.store.lost(10)
    assert.deepEqual(early.jobs, [])
    assert.equal(early.nextExpiryAt, s.now() + 1)
    await s.advance(1)
    assert.deepEqual((await s.store.lost(10)).jobs, [
      {
        job: id,
        type: 'work',
        claim: claimed.claim,
        worker: silent.id,
        crashes: 0,
        attempt: 1,
        attemptBase: 0,
        policy: { ...policy, delivery: 'at-most-once' },
        startedAt,
        host: 'host',
        pid: 1,
        rssBytes: 123_456,
        end: null,
      },
    ])
    assert.equal(await silent.isClosed(), true)
    assert.equal(await other.isClosed(), false)
  },

  'a worker chooses its lease': async (s) => {
    const short = await s.worker({ leaseMs: 5000 })
    const long = await s.worker({ leaseMs: 60_000 })
    await s.advance(4999)
    await beat(s, long)
    await s.store.lost(10)
    await s.advance(1)
    assert.equal((await s.store.workers()).length, 2)
    await s.store.lost(10)
    assert.equal(await short.isClosed(), true)
    await s.advance(4999)
    await s.store.lost(10)
    assert.equal(await long.isClosed(), false)
  },

  'a beat after the lease, before anyone closed it, keeps the worker': async (s) => {
    await s.add()
    const [late, other] = [await s.worker(), await s.worker()]
    await late.claimOne()
    await passWhileBeating(s, leaseMs, other)
    await beat(s, late)
    assert.deepEqual((await s.store.lost(10)).jobs, [])
    assert.equal(await late.isClosed(), false)
  },

  'a worker that leaves gives up what it holds at once': async (s) => {
    const id = await s.add()
    const worker = await s.worker()
    await worker.claimOne()
    const lost = await worker.vanish()
    assert.deepEqual(
      lost.map(({ job }) => job),
      [id],
    )
    // It is held until a rescuer decides, and listed until then.
    assert.equal((await s.job(id)).state, 'running')
    assert.equal((await s.store.lost(10)).jobs.length, 1)
    await s.store.leave(worker.id)
    assert.deepEqual(await s.rescue(), ['applied'])
    assert.deepEqual((await s.store.lost(10)).jobs, [])
    assert.equal((await s.job(id)).state, 'ready')
  },

  'lost lists at most as many as asked': async (s) => {
    await s.addMany(5)
    const worker = await s.worker()
    await worker.claim(5)
    await s.store.leave(worker.id)
    const seen = new Set<string>()
    for (let i = 0; i < 3; i++) {
      const { jobs } = await s.store.lost(2)
      assert.ok(jobs.length <= 2)
      for (const { job } of jobs) seen.add(job)
      await s.store.settle(jobs.map((lost) => ({ ...crash(lost), worker: lost.worker })))
    }
    assert.equal(seen.size, 5)
  },

  'racing rescuers bring a job back once': async (s) => {
    const id = await s.add()
    const worker = await s.worker()
    await worker.claimOne()
    const lost = await worker.vanish()
    const rescue = lost.map((job) => ({ ...crash(job), worker: job.worker }))
    assert.deepEqual(await s.store.settle(rescue), ['applied'])
    assert.notDeepEqual(await s.store.settle(rescue), ['applied'])
    const job = await s.job(id)
    assert.deepEqual([job.state, job.crashes, job.attempts?.length], ['ready', 1, 1])
    assert.equal((await s.queue()).counts.ready, 1)
  },

  'a late rescuer does not touch the next holder': async (s) => {
    const id = await s.add()
    const [first, second] = [await s.worker(), await s.worker()]
    await first.claimOne()
    const rescue = (await first.vanish()).map((job) => ({ ...crash(job), worker: job.worker }))
    await s.store.settle(rescue)
    const held = await second.claimOne()
    assert.deepEqual(await s.store.settle(rescue), ['lost'])
    assert.equal((await s.job(id)).worker, second.id)
    assert.deepEqual(await second.settle(complete(held)), ['applied'])
  },

  'a rescuer that comes after the completion changes nothing': async (s) => {
    const id = await s.add()
    const worker = await s.worker()
    const held = await worker.claimOne()
    await worker.settle(complete(held))
    await s.store.leave(worker.id)
    await s.store.settle([{ ...crash(held), worker: worker.id }])
    const job = await s.job(id)
    assert.deepEqual([job.state, job.crashes], ['completed', 0])
  },

  'nobody settles for a worker that is open': async (s) => {
    const id = await s.add()
    const worker = await s.worker()
    const held = await worker.claimOne()
    assert.deepEqual(await s.store.settle([{ ...crash(held), worker: worker.id }]), ['lost'])
    assert.equal((await s.job(id)).state, 'running')
  },

  'a rescuer may bury': async (s) => {
    const id = await s.add()
    const worker = await s.worker()
    await worker.claimOne()
    await s.store.leave(worker.id)
    await s.rescue((lost) => crash(lost, 'lost'))
    const job = await s.job(id)
    assert.deepEqual([job.state, job.reason, job.crashes], ['dead', 'lost', 1])
  },

  'how the process of a worker ended is known to whoever rescues its jobs, as it was told first': async (s) => {
    await s.addMany(2)
    const end = { exitCode: null, signal: 'SIGSEGV', stuck: null }
    const later = { exitCode: 1, signal: null, stuck: { over: 'limit', blocker: null } } as const
    const [told, quiet] = [await s.worker(), await s.worker()]
    await told.claimOne()
    await quiet.claimOne()
    await s.store.leave(told.id, end)
    for (const again of [later, undefined]) {
      assert.deepEqual(
        (await told.vanish(again)).map((lost) => lost.end),
        [end],
      )
    }
    assert.deepEqual(
      (await quiet.vanish()).map((lost) => lost.end),
      [null],
    )
    assert.deepEqual(
      (await quiet.vanish(later)).map((lost) => lost.end),
      [later],
    )
  },

  'a rescuer may say that a try failed, that it never counted, or that it was the last': async (s) => {
    const [failed, innocent, last] = await s.addMany(3)
    const worker = await s.worker()
    await worker.claim(3)
    assert.equal((await worker.vanish())[0]?.rssBytes, null)
    await s.rescue((lost) =>
      lost.job === failed ? retry(lost, 2000) : lost.job === innocent ? release(lost) : bury(lost),
    )
    const seen = []
    for (const id of [failed!, innocent!, last!]) {
      const { state, attempt, crashes, attempts = [] } = await s.job(id)
      seen.push([state, attempt, crashes, ...attempts.map(({ outcome }) => outcome)])
    }
    assert.deepEqual(seen, [
      ['scheduled', 2, 0, 'retry'],
      ['ready', 1, 0, 'release'],
      ['dead', 1, 0, 'bury'],
    ])
    assert.equal((await s.store.workers()).length, 0)
    await s.advance(2000)
    await s.store.promote(10)
    const next = await s.worker()
    assert.deepEqual(
      (await next.claim(3)).map(({ job, claim, attempt }) => [job, claim, attempt]),
      [
        [innocent, 2, 1],
        [failed, 2, 2],
      ],
    )
  },

  'a job that a rescuer lets fail knows the tries before its last retry by hand': async (s) => {
    const id = await s.add({ maxAttempts: 2 })
    const [first, second] = [await s.worker(), await s.worker()]
    await first.settle(retry(await first.claimOne()))
    await first.settle(bury(await first.claimOne()))
    await s.act('retry', id)
    await second.claimOne()
    const [lost] = await second.vanish()
    assert.deepEqual([lost?.attempt, lost?.attemptBase, lost?.policy.maxAttempts], [3, 2, 4])
  },

  'after a silence longer than a lease nobody is closed for one full lease': async (s) => {
    await s.add()
    const [worker, gone] = [await s.worker(), await s.worker()]
    const claimed = await worker.claimOne()
    await s.advance(leaseMs + 1)
    const { jobs, nextExpiryAt } = await s.store.lost(10)
    assert.deepEqual(jobs, [])
    assert.ok(nextExpiryAt !== null && nextExpiryAt > s.now(), 'a rescuer would look again without a pause')
    await s.advance(1)
    await beat(s, worker)
    await s.advance(leaseMs - 2)
    await s.store.lost(10)
    assert.equal((await s.store.workers()).length, 2)
    await beat(s, worker)
    await s.advance(1)
    await s.store.lost(10)
    assert.equal(await gone.isClosed(), true)
    assert.deepEqual(await worker.settle(complete(claimed)), ['applied'])
  },

  'the first beat after a silence protects the others too': async (s) => {
    const [first, late] = [await s.worker(), await s.worker()]
    await s.advance(10 * leaseMs)
    await beat(s, first)
    await s.store.lost(10)
    await s.advance(5000)
    await s.store.lost(10)
    assert.equal(await late.isClosed(), false)
  },

  'a worker that starts after a silence protects the others too': async (s) => {
    const late = await s.worker()
    await s.advance(10 * leaseMs)
    await s.worker()
    await s.store.lost(10)
    assert.equal(await late.isClosed(), false)
  },

  'a lone worker that died is closed while someone keeps looking': async (s) => {
    const id = await s.add()
    const worker = await s.worker()
    await worker.claimOne()
    for (let ms = 0; ms < 2 * leaseMs + 1000; ms += 1000) {
      await s.advance(1000)
      await s.store.lost(10)
    }
    await s.rescue()
    assert.equal((await s.job(id)).state, 'ready')
  },

  'registering again, as after a lost answer, changes nothing': async (s) => {
    const id = await s.add()
    const worker = await s.worker({ id: 'w' })
    const held = await worker.claimOne()
    await s.worker({ id: 'w' })
    assert.equal((await s.job(id)).worker, 'w')
    assert.deepEqual(await worker.settle(complete(held)), ['applied'])
    await s.store.leave('w')
    await s.worker({ id: 'w' })
    assert.equal(await worker.isClosed(), true)
  },

  'beats and exchanges tell the store time': async (s) => {
    const worker = await s.worker()
    await s.advance(777)
    const reply = await s.store.beat(worker.id, null, [])
    assert.ok(!reply.closed)
    assert.deepEqual([reply.now, (await worker.exchange()).now], [s.now(), s.now()])
  },
})
