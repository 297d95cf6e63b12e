// How a claim ends: each outcome of the state table, and the fence that keeps stale holders out.
import assert from 'node:assert/strict'
import type { Hold, Settlement } from '../store/records.ts'
import { area } from './area.ts'
import type { Case } from './case.ts'
import { bury, cancel, complete, crash, failure, release, retry, snooze } from './endings.ts'

/** Every way to end a claim, none of which may work for a stale one. */
const endings: readonly ((hold: Hold) => Settlement)[] = [
  (hold) => complete(hold, '"stale"'),
  (hold) => retry(hold, 1000),
  (hold) => snooze(hold, 1000),
  (hold) => release(hold),
  (hold) => bury(hold),
  (hold) => cancel(hold),
  (hold) => crash(hold),
]

export const settleCases: readonly Case[] = area('settle', {
  'complete keeps the result and the instant': async (s) => {
    const id = await s.add({ keepResultMs: 60_000 })
    const worker = await s.worker()
    const claimed = await worker.claimOne()
    await s.advance(250)
    assert.deepEqual(await worker.settle(complete(claimed, '{"ok":true}')), ['applied'])
    const job = await s.job(id)
    assert.deepEqual(
      [job.state, job.result, job.reason, job.worker, job.startedAt, job.finishedAt, job.resultUntil],
      ['completed', '{"ok":true}', null, null, s.now() - 250, s.now(), s.now() + 60_000],
    )
    assert.deepEqual((await s.queue()).counts.completed, 1)
  },

  'a result may be missing': async (s) => {
    const id = await s.add()
    const worker = await s.worker()
    await worker.settle(complete(await worker.claimOne(), null))
    assert.equal((await s.job(id)).result, null)
  },

  'retry counts the attempt and waits': async (s) => {
    const id = await s.add()
    const worker = await s.worker()
    assert.deepEqual(await worker.settle(retry(await worker.claimOne(), 1500, failure('no'))), ['applied'])
    const job = await s.job(id)
    assert.deepEqual(
      [job.state, job.reason, job.attempt, job.crashes, job.claim, job.worker, job.error?.message, job.runAt],
      ['scheduled', null, 2, 0, 1, null, 'no', s.now() + 1500],
    )
    assert.equal(job.finishedAt, null)
  },

  'retry, snooze, release and crash without a delay are ready at once': async (s) => {
    const worker = await s.worker()
    for (const ending of [retry, snooze, release, crash]) {
      const id = await s.add()
      assert.deepEqual(await worker.settle(ending(await worker.claimOne())), ['applied'])
      const job = await s.job(id)
      assert.deepEqual([job.state, job.worker], ['ready', null], ending.name)
      await worker.settle(complete(await worker.claimOne()))
    }
  },

  'snooze waits and counts nothing': async (s) => {
    const id = await s.add()
    const worker = await s.worker()
    await worker.settle(snooze(await worker.claimOne(), 1500))
    const job = await s.job(id)
    assert.deepEqual(
      [job.state, job.attempt, job.crashes, job.error, job.runAt],
      ['scheduled', 1, 0, null, s.now() + 1500],
    )
  },

  'snooze may carry an error': async (s) => {
    const id = await s.add()
    const worker = await s.worker()
    await worker.settle(snooze(await worker.claimOne(), 1500, failure('busy there')))
    assert.equal((await s.job(id)).error?.message, 'busy there')
  },

  'bury ends dead and keeps the attempt number': async (s) => {
    const id = await s.add()
    const worker = await s.worker()
    assert.deepEqual(await worker.settle(bury(await worker.claimOne(), 'exhausted', failure('give up'))), ['applied'])
    const job = await s.job(id)
    assert.deepEqual(
      [job.state, job.reason, job.attempt, job.crashes, job.worker, job.error?.message, job.finishedAt],
      ['dead', 'exhausted', 1, 0, null, 'give up', s.now()],
    )
  },

  'each reason to be dead is kept': async (s) => {
    const worker = await s.worker()
    for (const reason of ['exhausted', 'discarded', 'invalid', 'poison', 'lost'] as const) {
      const id = await s.add()
      await worker.settle(bury(await worker.claimOne(), reason))
      assert.equal((await s.job(id)).reason, reason)
    }
  },

  'crash counts itself and may bury': async (s) => {
    const id = await s.add()
    const worker = await s.worker()
    await worker.settle(crash(await worker.claimOne()))
    await worker.settle(crash(await worker.claimOne(), 'poison'))
    const job = await s.job(id)
    assert.deepEqual([job.state, job.reason, job.crashes, job.attempt], ['dead', 'poison', 2, 1])
    assert.equal(job.error?.code, 'WORKER_LOST')
  },

  'cancel by the holder ends cancelled': async (s) => {
    const id = await s.add()
    const worker = await s.worker()
    assert.deepEqual(await worker.settle(cancel(await worker.claimOne(), failure('aborted'))), ['applied'])
    const job = await s.job(id)
    assert.deepEqual([job.state, job.reason, job.error?.message], ['cancelled', 'cancelled', 'aborted'])
  },

  'a stale claim changes nothing, whatever it says': async (s) => {
    const id = await s.add()
    const [first, second] = [await s.worker(), await s.worker()]
    const stale = await first.claimOne()
    await s.store.leave(first.id)
    await s.rescue()
    const held = await second.claimOne()
    const before = await s.job(id)
    for (const ending of endings) {
      assert.deepEqual(await second.settle(ending({ job: id, claim: stale.claim })), ['lost'])
      assert.deepEqual(await second.settle(ending({ job: id, claim: held.claim + 1 })), ['lost'])
    }
    assert.deepEqual(await s.job(id), before)
    assert.deepEqual(await second.settle(complete(held)), ['applied'])
  },

  'another worker cannot settle a claim': async (s) => {
    const id = await s.add()
    const [holder, other] = [await s.worker(), await s.worker()]
    const held = await holder.claimOne()
    const before = await s.job(id)
    for (const ending of endings) assert.deepEqual(await other.settle(ending(held)), ['lost'])
    assert.deepEqual(await s.job(id), before)
    assert.deepEqual(await holder.settle(complete(held)), ['applied'])
    for (const ending of endings) assert.deepEqual(await other.settle(ending(held)), ['lost'])
    assert.equal((await s.job(id)).state, 'completed')
  },

  'what was never claimed or never existed cannot be settled': async (s) => {
    const id = await s.add()
    const worker = await s.worker()
    const unknown = s.newJob().id
    const verdicts = await worker.settle(complete({ job: id, claim: 0 }), complete({ job: unknown, claim: 1 }))
    assert.deepEqual(verdicts, ['lost', 'lost'])
    assert.equal((await s.job(id)).state, 'ready')
  },

  'the last settled claim again is applied, an older one is lost': async (s) => {
    const id = await s.add()
    const worker = await s.worker()
    const first = await worker.claimOne()
    await worker.settle(release(first))
    assert.deepEqual(await worker.settle(release(first)), ['applied'])
    const second = await worker.claimOne()
    assert.deepEqual(await worker.settle(release(first)), ['applied'])
    assert.equal((await s.job(id)).state, 'running')
    await worker.settle(complete(second, '1'))
    assert.deepEqual(await worker.settle(complete(second, '1'), release(first)), ['applied', 'lost'])
    const job = await s.job(id)
    assert.deepEqual([job.state, job.result, job.attempts?.length], ['completed', '1', 2])
  },

  'the same claim twice in one call is applied once': async (s) => {
    const id = await s.add()
    const worker = await s.worker()
    const claimed = await worker.claimOne()
    assert.deepEqual(await worker.settle(complete(claimed, '1'), complete(claimed, '1')), ['applied', 'applied'])
    const job = await s.job(id)
    assert.deepEqual([job.result, job.attempts?.length], ['1', 1])
    assert.equal((await s.queue()).counts.completed, 1)
  },

  'one stale settlement does not stop the others': async (s) => {
    const ids = await s.addMany(3)
    const worker = await s.worker()
    const [a, b, c] = await worker.claim(3)
    const stale = { ...b!, claim: 7 }
    assert.deepEqual(await worker.settle(complete(a!), complete(stale), complete(c!)), ['applied', 'lost', 'applied'])
    const jobs = await s.store.jobs(ids)
    assert.deepEqual(
      jobs.map((job) => job.state),
      ['completed', 'running', 'completed'],
    )
  },

  'one call settles 1,000 jobs': async (s) => {
    await s.addMany(1000)
    const worker = await s.worker()
    const claimed = await worker.claim(1000)
    const verdicts = await worker.settle(...claimed.map((claim) => complete(claim, `"${claim.job}"`)))
    assert.ok(verdicts.length === 1000 && verdicts.every((verdict) => verdict === 'applied'))
    assert.equal((await s.queue()).counts.completed, 1000)
    const last = claimed.at(-1)!.job
    assert.equal((await s.job(last)).result, `"${last}"`)
  },

  'follow-ups are stored with the completion, once': async (s) => {
    await s.add()
    const worker = await s.worker()
    const claimed = await worker.claimOne()
    const next = [s.newJob({ queue: 'next', payload: '1' }), s.newJob({ queue: 'next', delayMs: 1000 })]
    await worker.settle(complete(claimed, null, next))
    await worker.settle(complete(claimed, null, next))
    const { ready, scheduled } = (await s.queue('next')).counts
    assert.deepEqual([ready, scheduled], [1, 1])
    assert.equal((await s.job(next[0]!.id)).payload, '1')
  },

  'a follow-up with the id of another job refuses the exchange and names the job that brought it': async (s) => {
    await s.addMany(2)
    const worker = await s.worker()
    const [innocent, guilty] = await worker.claim(2)
    const taken = s.newJob({ payload: '1' })
    await s.store.enqueue([taken], { atomic: true })
    const clash = complete(guilty!, null, [{ ...taken, payload: '2' }])
    await assert.rejects(worker.settle(complete(innocent!), clash), { code: 'ID_CONFLICT', id: guilty!.job })
    assert.equal((await s.job(innocent!.job)).state, 'running')
    assert.equal((await s.job(taken.id)).payload, '1')
  },

  'a follow-up may be as old as the job that brings it': async (s) => {
    await s.add()
    const worker = await s.worker()
    const claimed = await worker.claimOne()
    const next = s.newJob()
    for (let hours = 0; hours < 30; hours++) {
      await s.advance(3_600_000)
      await s.store.beat(worker.id, null, [])
    }
    await worker.settle(complete(claimed, null, [next]))
    assert.equal(await s.exists(next.id), true)
  },

  'follow-ups of a stale completion are not stored': async (s) => {
    await s.add()
    const [first, second] = [await s.worker(), await s.worker()]
    const stale = await first.claimOne()
    await s.store.leave(first.id)
    await s.rescue()
    await second.claimOne()
    const next = s.newJob()
    assert.deepEqual(await second.settle(complete(stale, null, [next])), ['lost'])
    assert.equal(await s.exists(next.id), false)
  },
})
