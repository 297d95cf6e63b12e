import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defineJob, Discard, typed } from 'forgeq'
import { testForge } from 'forgeq/testing'
import { z } from 'zod'

const plain = defineJob('plain', { input: typed<unknown>() })

test('jobs: by filter, in pages', async (t) => {
  const forge = testForge()
  t.after(() => forge.close())
  await forge.enqueueMany(plain, [1, 2, 3, 4, 5], { tags: ['odd'] })
  await forge.enqueue(plain, 6)
  const seen: unknown[] = []
  let cursor: string | undefined
  do {
    const page = await forge.admin.jobs({ tag: 'odd' }, { limit: 2, ...(cursor !== undefined && { cursor }) })
    seen.push(...page.jobs.map(({ payload }) => payload))
    cursor = page.cursor
  } while (cursor !== undefined)
  assert.deepEqual(new Set(seen), new Set([1, 2, 3, 4, 5]))
  assert.equal(seen.length, 5)
})

test('jobs: a page that holds the last job found has no cursor, whatever is looked for', async (t) => {
  const forge = testForge()
  t.after(() => forge.close())
  const good = defineJob('good', { input: typed<number>() }, () => 1)
  const bad = defineJob('bad', { input: typed<number>(), retries: 0 }, () => Promise.reject(new Error('no')))
  await forge.enqueueMany(good, [1, 2, 3], { tags: ['x'] })
  await forge.enqueueMany(bad, [1, 2, 3])
  await forge.drain([good, bad])
  for (const job of [plain, good]) await forge.enqueueMany(job, [1, 2, 3])
  await forge.enqueueMany(bad, [1, 2, 3], { delay: '1h' })
  // Steps over what it does not know, which is then ready all the same.
  await forge.drain([bad])
  const filters = [
    { state: 'completed' },
    { state: 'dead' },
    { state: 'scheduled' },
    { tag: 'x' },
    { type: 'plain' },
  ] as const
  for (const filter of filters) {
    const { jobs, cursor } = await forge.admin.jobs(filter, { limit: 3 })
    assert.deepEqual([jobs.length, cursor], [3, undefined], JSON.stringify(filter))
    assert.notEqual((await forge.admin.jobs(filter, { limit: 2 })).cursor, undefined)
  }
  assert.equal((await forge.admin.jobs({ state: 'ready' }, { limit: 6 })).cursor, undefined)
})

test('jobs: a limit out of range is refused', async (t) => {
  const forge = testForge()
  t.after(() => forge.close())
  for (const limit of [0, -1, 1.5, 1_001, Number.NaN]) {
    await assert.rejects(forge.admin.jobs({}, { limit }), {
      code: 'INVALID_OPTION',
      problems: [{ path: 'limit', message: 'must be a whole number from 1 to 1000' }],
    })
  }
})

test('retry: a dead job runs again, with another payload where one is given', async (t) => {
  const forge = testForge()
  t.after(() => forge.close())
  const picky = defineJob('picky', { input: z.object({ ok: z.boolean() }) }, ({ input }) => {
    if (!input.ok) throw new Discard('not ok')
    return 'fine'
  })
  const { id } = await forge.enqueue(picky, { ok: false })
  await forge.drain([picky])
  assert.equal((await forge.admin.job(id))?.state, 'dead')
  assert.deepEqual(await forge.admin.retry([id], { payload: { ok: true } }), [{ id, done: true, state: 'ready' }])
  await forge.drain([picky])
  const job = await forge.admin.job(id, ['attempts'])
  assert.deepEqual([job?.state, job?.result, job?.payload], ['completed', 'fine', { ok: true }])
  assert.deepEqual(
    job?.attempts?.map(({ outcome }) => outcome),
    ['bury', 'complete'],
  )
})

test('job: every instant is a Date, those of attempts and logs too', async (t) => {
  const forge = testForge()
  t.after(() => forge.close())
  const flaky = defineJob(
    'flaky',
    { input: typed<void>(), retries: 1, backoff: { type: 'fixed', delay: 0 } },
    (context) => {
      context.log.info('trying')
      if (context.job.attempt === 1) throw new Error('not yet')
    },
  )
  const { id } = await forge.enqueue(flaky)
  await forge.drain([flaky])
  const { attempts = [], logs = [], createdAt } = (await forge.admin.job(id, ['attempts', 'logs']))!
  assert.deepEqual(
    attempts.map(({ outcome, startedAt, endedAt, error }) => [outcome, startedAt, endedAt, error?.message]),
    [
      ['retry', createdAt, createdAt, 'not yet'],
      ['complete', createdAt, createdAt, undefined],
    ],
  )
  assert.deepEqual(
    logs.map(({ at, message }) => [at, message]),
    [
      [createdAt, 'trying'],
      [createdAt, 'trying'],
    ],
  )
})

test('retry: a payload is checked before any job is touched; a text keeps its digits', async (t) => {
  const forge = testForge()
  t.after(() => forge.close())
  const { id } = await forge.enqueue(plain, 1)
  await forge.admin.cancel([id])
  const deep = `${'['.repeat(200)}${']'.repeat(200)}`
  for (const [options, code] of [
    [{ payload: new Map() }, 'INVALID_JSON'],
    [{ payload: 'x'.repeat(1_100_000) }, 'TOO_LARGE'],
    [{ payloadJson: '{"ok":' }, 'INVALID_JSON'],
    [{ payloadJson: deep }, 'INVALID_JSON'],
    [{ payloadJson: `"${'x'.repeat(1_100_000)}"` }, 'TOO_LARGE'],
    [{ payload: 1, payloadJson: '1' }, 'INVALID_OPTION'],
  ] as const) {
    await assert.rejects(forge.admin.retry([id], options), { code })
  }
  assert.equal((await forge.admin.job(id))?.state, 'cancelled')
  await forge.admin.retry([id], { payload: 'a text' })
  assert.equal((await forge.admin.job(id))?.payload, 'a text')
  await forge.admin.cancel([id])
  await forge.admin.retry([id], { payloadJson: '9007199254740993' })
  assert.equal((await forge.admin.job(id))?.payloadJson, '9007199254740993')
})

test('acts answer for each id', async (t) => {
  const forge = testForge()
  t.after(() => forge.close())
  const later = await forge.enqueue(plain, 1, { delay: '1h' })
  const unknown = '019b76da-a800-7022-8d3c-c67c76232090'
  assert.deepEqual(await forge.admin.promote([later.id, unknown]), [
    { id: later.id, done: true, state: 'ready' },
    { id: unknown, done: false, code: 'NOT_FOUND' },
  ])
  assert.deepEqual(await forge.admin.retry([later.id]), [
    { id: later.id, done: false, code: 'STATE_CONFLICT', state: 'ready' },
  ])
  assert.deepEqual(await forge.admin.cancel([later.id]), [{ id: later.id, done: true, state: 'cancelled' }])
  assert.deepEqual(await forge.admin.remove([later.id]), [{ id: later.id, done: true, state: 'gone' }])
  assert.equal(await forge.admin.job(later.id), undefined)
})

test('pause: nothing is claimed until the queue is resumed', async (t) => {
  const forge = testForge()
  t.after(() => forge.close())
  const job = defineJob('job', { input: typed<void>() }, () => 1)
  await forge.enqueue(job)
  await forge.admin.pause('default')
  assert.equal((await forge.drain([job])).completed, 0)
  assert.equal((await forge.admin.queues())[0]?.paused, true)
  await forge.admin.resume('default')
  assert.equal((await forge.drain([job])).completed, 1)
})

test('why: a sentence with what to do', async (t) => {
  const forge = testForge()
  t.after(() => forge.close())
  const { id } = await forge.enqueue(plain, 1)
  assert.equal((await forge.admin.why(id))?.reason, 'no-worker')
  await forge.admin.pause('default')
  assert.equal((await forge.admin.why(id))?.reason, 'queue-paused')
  assert.equal(await forge.admin.why('019b76da-a800-7022-8d3c-c67c76232090'), undefined)
})

test('types: what a worker announced, with policy and JSON Schema', async (t) => {
  const forge = testForge()
  t.after(() => forge.close())
  const job = defineJob('typed', { input: z.object({ n: z.number() }), queue: 'q', retries: 1 }, () => 1)
  await forge.drain([job])
  const [record] = await forge.admin.types()
  assert.deepEqual([record?.type, record?.policy.queue, record?.policy.maxAttempts], ['typed', 'q', 2])
  assert.equal((JSON.parse(record?.inputSchema ?? 'null') as { type: string }).type, 'object')
})

test('wait: the job once it ended', async (t) => {
  const forge = testForge()
  t.after(() => forge.close())
  const job = defineJob('job', { input: typed<void>() }, () => 7)
  const { id } = await forge.enqueue(job)
  const waiting = forge.admin.wait(id)
  await forge.drain([job])
  assert.equal((await waiting)?.result, 7)
  assert.equal(await forge.admin.wait('019b76da-a800-7022-8d3c-c67c76232090'), undefined)
})
