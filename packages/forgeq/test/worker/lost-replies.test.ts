// An answer of the store that never arrives, whether the call was not sent, was carried out, or was answered: the call is
// made again and has one effect.
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { defineJob, typed } from 'forgeq'
import { setFailpoints } from '#src/store/failpoint.js'
import { openStore, someJob, someWorker, temporaryFile } from '../sqlite/files.ts'
import { bench, Gate, type Bench } from './bench.ts'

const moments = ['before-send', 'after-commit', 'after-reply'] as const
const plain = defineJob('plain', { input: typed<number>(), retries: 0 })

/** Time goes by until `promise` is settled: repetitions wait for it. */
async function pass<T>(advance: Bench['advance'], promise: Promise<T>): Promise<T> {
  let isOver = false
  const over = (): void => {
    isOver = true
  }
  promise.then(over, over)
  while (!isOver) await advance(50)
  return promise
}

function fault(t: TestContext, text: string): void {
  setFailpoints(text)
  t.after(() => setFailpoints(''))
}

for (const moment of moments) {
  test(`enqueue, lost ${moment}: one job, which is no duplicate`, async (t) => {
    const { forge, advance, close } = bench()
    t.after(close)
    await forge.ready()
    fault(t, `enqueue.${moment}=throw@1`)
    const handle = await pass(advance, forge.enqueue(plain, 1))
    assert.equal(handle.duplicate, false)
    const many = pass(advance, forge.enqueueMany(plain, [2, 3]))
    fault(t, `enqueue.${moment}=throw@1`)
    await many
    const { jobs } = await forge.admin.jobs()
    assert.equal(jobs.length, 3)
    assert.deepEqual(new Set(jobs.map(({ payload }) => payload)), new Set([1, 2, 3]))
  })

  for (const turn of [1, 2, 3]) {
    test(`exchange ${turn}, lost ${moment}: one start, one completion, its follow-up once`, async (t) => {
      const { forge, advance, close } = bench()
      t.after(close)
      let starts = 0
      const child = defineJob('child', { input: typed<void>() }, () => 'child')
      const parent = defineJob('parent', { input: typed<void>(), retries: 0 }, ({ enqueue }) => {
        starts += 1
        return enqueue(child, undefined)
      })
      const handle = await forge.enqueue(parent)
      fault(t, `exchange.${moment}=throw@${turn}`)
      const worker = forge.worker({ handlers: [parent, child], signals: false })
      const running = worker.run()
      const childId = await pass(advance, handle.result())
      assert.equal(await pass(advance, forge.handle(child, childId).result()), 'child')
      assert.equal(starts, 1)
      assert.equal((await forge.admin.jobs()).jobs.length, 2)
      const record = await forge.admin.job(handle.id, ['attempts'])
      assert.deepEqual(
        record?.attempts?.map(({ outcome, claim }) => [outcome, claim]),
        [['complete', 1]],
      )
      await pass(advance, worker.stop())
      await running
    })
  }

  test(`a failed try whose exchange is lost ${moment}: one failure is counted`, async (t) => {
    const { forge, advance, close } = bench()
    t.after(close)
    const job = defineJob('job', { input: typed<void>(), retries: 1 }, ({ job: { attempt } }) => {
      if (attempt === 1) throw new Error('the first time')
      return attempt
    })
    const handle = await forge.enqueue(job)
    // The first brings the job, the second tells how it ended.
    fault(t, `exchange.${moment}=throw@2`)
    const worker = forge.worker({ handlers: [job], signals: false })
    const running = worker.run()
    assert.equal(await pass(advance, handle.result()), 2)
    const record = await forge.admin.job(handle.id, ['attempts'])
    assert.deepEqual(
      record?.attempts?.map(({ outcome }) => outcome),
      ['retry', 'complete'],
    )
    await pass(advance, worker.stop())
    await running
  })

  test(`the rescue of a job, lost ${moment}: one crash is counted`, async (t) => {
    const { forge, advance, next, close } = bench()
    t.after(close)
    const end = new Gate()
    let starts = 0
    const job = defineJob('job', { input: typed<void>(), retries: 0 }, async () => {
      starts += 1
      if (starts === 1) await end.opened
      return starts
    })
    const handle = await forge.enqueue(job)
    const worker = forge.worker({ handlers: [job], signals: false })
    const started = next('job:started')
    const running = worker.run()
    fault(t, `settle.${moment}=throw@1`)
    await forge.store.leave((await started).worker)
    assert.equal(await pass(advance, handle.result()), 2)
    end.open()
    const record = await forge.admin.job(handle.id, ['attempts'])
    assert.equal(record?.crashes, 1)
    assert.deepEqual(
      record?.attempts?.map(({ outcome }) => outcome),
      ['crash', 'complete'],
    )
    await pass(advance, worker.stop())
    await running
  })

  test(`register, beat and leave, lost ${moment}: one record, which is closed when the worker has stopped`, async (t) => {
    const { forge, tapped, advance, next, close } = bench()
    t.after(close)
    fault(t, ['register', 'beat', 'leave'].map((call) => `${call}.${moment}=throw@1`).join(';'))
    const worker = forge.worker({ handlers: [plain.handler(() => 1)], signals: false })
    const started = next('worker:started')
    const running = worker.run()
    await pass(advance, started)
    await advance(20_000)
    assert.equal((await forge.admin.workers()).filter(({ closed }) => !closed).length, 1)
    assert.ok(tapped.count('beat') > 3)
    await pass(advance, worker.stop())
    await running
    assert.equal((await forge.admin.workers()).filter(({ closed }) => !closed).length, 0)
  })
}

test('the thread that writes dies between commit and answer: repeated on its successor, every call has one effect', async (t) => {
  const store = openStore(t, temporaryFile(t))
  const job = someJob()
  const worker = someWorker()
  // A thread takes its environment along when it starts; its successor starts without.
  process.env['FORGEQ_FAILPOINTS'] = 'enqueue.after-commit=exit(1)'
  const opened = store.open()
  await opened.finally(() => delete process.env['FORGEQ_FAILPOINTS'])
  await assert.rejects(store.enqueue([job], { atomic: false }), { code: 'OUTCOME_UNKNOWN' })
  assert.deepEqual(await store.enqueue([job], { atomic: false }), [{ id: job.id, duplicate: true }])
  await store.register(worker)
  const request = { worker: worker.id, settlements: [], wants: [{ queue: 'default', slots: 5 }], slots: 5, notes: [] }
  const reply = await store.exchange({ ...request, turn: 1 })
  assert.equal(reply.closed === false && reply.claimed.length, 1)
})
