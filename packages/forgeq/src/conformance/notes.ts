// Progress and logs: written under the fence, bounded, kept in order.
import assert from 'node:assert/strict'
import { caps } from '../core/caps.ts'
import type { LogLine } from '../store/records.ts'
import { area } from './area.ts'
import type { Case } from './case.ts'
import { complete, release } from './endings.ts'

const line = (message: string, ageMs = 0): LogLine => ({ level: 'info', message, ageMs })

export const notesCases: readonly Case[] = area('notes', {
  'progress and logs come by beat and by exchange': async (s) => {
    const id = await s.add()
    const worker = await s.worker()
    const { job, claim } = await worker.claimOne()
    await s.store.beat(worker.id, null, [
      { job, claim, progress: { done: 1, total: 4, label: 'ü' }, logs: [line('a')] },
    ])
    assert.deepEqual((await s.job(id)).progress, { done: 1, total: 4, label: 'ü' })
    await worker.exchange({ notes: [{ job, claim, progress: { done: 2 }, logs: [line('b'), line('c')] }] })
    const { progress, logs = [] } = await s.job(id)
    assert.deepEqual(progress, { done: 2 })
    assert.deepEqual(
      logs.map(({ message }) => message),
      ['a', 'b', 'c'],
    )
  },

  'a line has its level, its claim and its instant': async (s) => {
    const id = await s.add()
    const worker = await s.worker()
    await worker.settle(release(await worker.claimOne()))
    const { job, claim } = await worker.claimOne()
    await s.advance(1000)
    const logs: LogLine[] = [
      { level: 'error', message: 'line 1\nline 2 👎', ageMs: 400 },
      { level: 'debug', message: '', ageMs: 0 },
    ]
    await worker.exchange({ notes: [{ job, claim, logs }] })
    assert.deepEqual((await s.job(id)).logs, [
      { at: s.now() - 400, claim: 2, level: 'error', message: 'line 1\nline 2 👎' },
      { at: s.now(), claim: 2, level: 'debug', message: '' },
    ])
  },

  'a line may hold any character, but NUL becomes U+FFFD': async (s) => {
    const id = await s.add()
    const worker = await s.worker()
    const { job, claim } = await worker.claimOne()
    const progress = { done: 1, label: 'a\0b' }
    await s.store.beat(worker.id, null, [{ job, claim, progress, logs: [line('a\0b'), line('{"\\,\u2028"}')] }])
    await worker.exchange({ notes: [{ job, claim, logs: [line('\0')] }] })
    const { logs = [], progress: kept } = await s.job(id)
    assert.deepEqual(kept, progress)
    assert.deepEqual(
      logs.map(({ message }) => message),
      ['a\uFFFDb', '{"\\,\u2028"}', '\uFFFD'],
    )
  },

  'what a try says in the exchange that ends it is kept': async (s) => {
    const id = await s.add()
    const worker = await s.worker()
    const claimed = await worker.claimOne()
    const note = { job: id, claim: claimed.claim, progress: { done: 9 }, logs: [line('last words')] }
    await worker.exchange({ settlements: [complete(claimed)], notes: [note] })
    const { progress, logs = [] } = await s.job(id)
    assert.deepEqual([progress, logs.map(({ message }) => message)], [{ done: 9 }, ['last words']])
  },

  'a repeated turn writes its notes once': async (s) => {
    const id = await s.add()
    const worker = await s.worker()
    const claimed = await worker.claimOne()
    await s.add()
    const notes = [{ job: id, claim: claimed.claim, logs: [line('once')] }]
    const request = worker.request({ notes, wants: [{ queue: 'default', slots: 1 }] })
    await worker.send(request)
    await worker.send(request)
    assert.equal((await s.job(id)).logs?.length, 1)
  },

  'notes of a stale claim and of another worker are dropped': async (s) => {
    const id = await s.add()
    const [worker, other] = [await s.worker(), await s.worker()]
    const stale = await worker.claimOne()
    await worker.settle(release(stale))
    const held = await worker.claimOne()
    const note = { job: id, progress: { done: 1 }, logs: [line('stale')] }
    await worker.exchange({ notes: [{ ...note, claim: stale.claim }] })
    await s.store.beat(worker.id, null, [{ ...note, claim: stale.claim }])
    await other.exchange({ notes: [{ ...note, claim: held.claim }] })
    await s.store.beat(other.id, null, [{ ...note, claim: held.claim }])
    await worker.settle(complete(held))
    await worker.exchange({ notes: [{ ...note, claim: held.claim }] })
    await worker.exchange({ notes: [{ ...note, job: s.newJob().id, claim: 1 }] })
    const { progress, logs } = await s.job(id)
    assert.deepEqual([progress, logs], [null, []])
  },

  'logs have a greatest number of lines': async (s) => {
    const id = await s.add()
    const worker = await s.worker()
    const { job, claim } = await worker.claimOne()
    for (let i = 0; i < 3; i++) {
      const logs = Array.from({ length: 400 }, (_, n) => line(`${i}-${n}`))
      await s.store.beat(worker.id, null, [{ job, claim, logs }])
    }
    const { logs = [] } = await s.job(id)
    assert.equal(logs.length, caps.logLines)
    const all = Array.from({ length: 1200 }, (_, n) => `${Math.floor(n / 400)}-${n % 400}`).join()
    assert.ok(all.includes(logs.map(({ message }) => message).join()), 'a line in the middle is missing')
  },

  'logs have a greatest size': async (s) => {
    const id = await s.add()
    const worker = await s.worker()
    const { job, claim } = await worker.claimOne()
    const tenKiB = 'ü'.repeat(5 * 1024)
    await s.store.beat(worker.id, null, [{ job, claim, logs: Array.from({ length: 100 }, () => line(tenKiB)) }])
    const { logs = [] } = await s.job(id)
    const bytes = logs.length * 10 * 1024
    assert.ok(bytes <= caps.logBytes && bytes > caps.logBytes / 2, `${bytes} bytes are kept`)
  },
})
