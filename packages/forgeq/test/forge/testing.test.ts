import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defineJob, RetryIn, typed } from 'forgeq'
import { testForge } from 'forgeq/testing'
import { z } from 'zod'

const mail = defineJob('mail', { input: z.object({ to: z.string() }), queue: 'mail', retries: 1 })

test('a job is enqueued, becomes due when the clock says so, and is drained', async (t) => {
  const forge = testForge()
  t.after(() => forge.close())
  const sent: string[] = []
  const deliver = mail.handler(({ input }) => sent.push(input.to))
  assert.deepEqual(forge.enqueued(mail), [])
  const { id } = await forge.enqueue(mail, { to: 'a' }, { delay: '1h' })
  assert.deepEqual(forge.enqueued(mail), [{ id, input: { to: 'a' }, runAt: new Date('2026-01-01T01:00:00Z') }])
  assert.deepEqual(await forge.drain([deliver]), { completed: 0, failed: 0, dead: 0 })
  await forge.clock.advance('1h')
  assert.equal(forge.clock.now().toISOString(), '2026-01-01T01:00:00.000Z')
  assert.deepEqual(await forge.drain([deliver]), { completed: 1, failed: 0, dead: 0 })
  assert.deepEqual([sent, forge.enqueued(mail)], [['a'], []])
})

test('drain: serves every queue, counts tries that failed and jobs that died, leaves other types alone', async (t) => {
  const forge = testForge()
  t.after(() => forge.close())
  const other = defineJob('other', { input: typed<void>() })
  await forge.enqueue(other)
  await forge.enqueueMany(mail, [{ to: 'a' }, { to: 'b' }, { to: 'later' }], { queue: 'elsewhere' })
  const deliver = mail.handler(({ input }) => {
    if (input.to === 'later') throw new RetryIn('1h', { countAttempt: false })
    if (input.to !== 'a') throw new Error('bounced')
  })
  assert.deepEqual(await forge.drain([deliver]), { completed: 1, failed: 1, dead: 0 })
  await forge.clock.advance('10s')
  assert.deepEqual(await forge.drain([deliver]), { completed: 0, failed: 0, dead: 1 })
  assert.equal(forge.enqueued(mail).length, 1)
  assert.equal(forge.enqueued(other).length, 1)
})

test('drain: goes on with what handlers enqueue', async (t) => {
  const forge = testForge()
  t.after(() => forge.close())
  const count = defineJob('count', { input: typed<number>() })
  const down = count.handler(({ input, enqueue }) => {
    if (input > 0) enqueue(count, input - 1)
  })
  await forge.enqueue(count, 20)
  assert.equal((await forge.drain([down])).completed, 21)
})

test('run: one job through the store, its result or its error, and nothing is left of it', async (t) => {
  const forge = testForge()
  t.after(() => forge.close())
  const half = defineJob('half', { input: z.object({ n: z.number() }) }, ({ input, job }) => {
    if (input.n % 2 === 1) throw new RangeError(`${input.n} is odd, attempt ${job.attempt}`)
    return input.n / 2
  })
  await forge.enqueue(half, { n: 100 })
  assert.equal(await forge.run(half, { n: 8 }), 4)
  await assert.rejects(forge.run(half, { n: 7 }), { name: 'RangeError', message: '7 is odd, attempt 1' })
  await assert.rejects(forge.run(half, { n: 'x' } as never), { code: 'INVALID_INPUT' })
  assert.deepEqual(
    (await forge.admin.jobs()).jobs.map(({ payload, state }) => [payload, state]),
    [[{ n: 100 }, 'ready']],
  )
})

test('run: a result that cannot be stored is an error', async (t) => {
  const forge = testForge()
  t.after(() => forge.close())
  const big = defineJob('big', { input: typed<void>() }, () => 1n)
  await assert.rejects(forge.run(big, undefined), { code: 'JOB_DEAD', message: /bigint/ })
})

test('a worker of a test forge times out by the clock of the test', async (t) => {
  const forge = testForge({ defaults: { retries: 0 } })
  t.after(() => forge.close())
  const stuck = defineJob('stuck', { input: typed<void>(), timeout: '10s' }, ({ signal }) => {
    return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)))
  })
  const handle = await forge.enqueue(stuck)
  const drained = forge.drain([stuck])
  await forge.clock.advance('10s')
  assert.equal((await drained).dead, 1)
  assert.equal((await forge.admin.job(handle.id))?.error?.code, 'TIMEOUT')
})

test('expired and ended jobs go away as time passes', async (t) => {
  const forge = testForge()
  t.after(() => forge.close())
  const { id } = await forge.enqueue(mail, { to: 'a' }, { expire: '1m' })
  await forge.clock.advance('1m')
  assert.deepEqual(forge.enqueued(mail), [])
  assert.equal((await forge.admin.job(id))?.reason, 'expired')
  await forge.clock.advance('2d')
  assert.equal(await forge.admin.job(id), undefined)
})
