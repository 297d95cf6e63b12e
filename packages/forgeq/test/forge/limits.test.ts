// Limits as users of the library see them: what is set, what it does to the jobs of a queue, and what is said about it.
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { defineJob, RateLimited, typed, type Handler, type Job, type Limits } from 'forgeq'
import { testForge, type TestForge } from 'forgeq/testing'

interface Scene {
  readonly forge: TestForge
  /** Inputs in the order in which their handler was called. */
  readonly started: string[]
  readonly job: Handler & Job<string>
}

function scene(t: TestContext): Scene {
  const forge = testForge()
  t.after(() => forge.close())
  const started: string[] = []
  const job = defineJob('job', { input: typed<string>() }, ({ input }) => void started.push(input))
  return { forge, started, job }
}

const letters = (n: number): string[] => Array.from({ length: n }, (_, i) => String.fromCharCode(97 + i))

test('a key goes with its job, is shown, and is checked', async (t) => {
  const { forge, job } = scene(t)
  const { id } = await forge.enqueue(job, 'a', { key: 'tenant:7' })
  assert.equal((await forge.admin.job(id))?.key, 'tenant:7')
  const plain = await forge.enqueue(job, 'b')
  assert.equal((await forge.admin.job(plain.id))?.key, undefined)
  await assert.rejects(forge.enqueue(job, 'c', { key: '' }), { code: 'INVALID_OPTION' })
})

test('limits are set one by one, shown, and taken away', async (t) => {
  const { forge } = scene(t)
  assert.equal(await forge.admin.queue('mail'), undefined)
  await forge.admin.limit('mail', { rate: { max: 100, per: '1m' }, ratePerPriority: { high: '10/s' }, concurrency: 5 })
  await forge.admin.limit('mail', { perKey: { concurrency: 2, rate: '5/30s' }, maxDepth: 1000 })
  const queue = await forge.admin.queue('mail')
  assert.deepEqual(queue?.limits, {
    concurrency: 5,
    rate: '100/m',
    ratePerPriority: { high: '10/s' },
    perKey: { concurrency: 2, rate: '5/30s', ordered: false },
    maxDepth: 1000,
  })
  assert.deepEqual(queue.fill, { rate: { left: 100 }, ratePerPriority: { high: { left: 10 } } })
  await forge.admin.limit('letters', queue.limits)
  assert.deepEqual((await forge.admin.queue('letters'))?.limits, queue.limits)
  await forge.admin.limit('mail', {
    rate: null,
    perKey: { ordered: true, concurrency: null },
    ratePerPriority: { high: null },
  })
  assert.deepEqual((await forge.admin.queue('mail'))?.limits, {
    concurrency: 5,
    rate: null,
    ratePerPriority: {},
    perKey: { concurrency: null, rate: '5/30s', ordered: true },
    maxDepth: 1000,
  })
})

test('what is out of range is refused, and nothing is set', async (t) => {
  const { forge } = scene(t)
  const wrong: [string, Limits, string][] = [
    ['mail', { concurrency: 5, rate: '0/s' }, 'rate'],
    ['mail', { perKey: { ordered: true, concurrency: 2 } }, 'perKey.concurrency'],
    ['no name', { concurrency: 5 }, 'queue'],
  ]
  for (const [queue, limits, path] of wrong) {
    await assert.rejects(forge.admin.limit(queue, limits), (error: { code: string; problems: { path: string }[] }) => {
      assert.deepEqual([error.code, error.problems[0]?.path], ['INVALID_OPTION', path])
      return true
    })
  }
  assert.deepEqual(await forge.admin.queues(), [])
})

test('a rate: never more starts in any window, and why says when it opens', async (t) => {
  const { forge, started, job } = scene(t)
  await forge.admin.limit('default', { rate: { max: 2, per: '10s' } })
  const handles = await forge.enqueueMany(job, letters(5))
  await forge.drain([job])
  assert.deepEqual(started, ['a', 'b'])
  const why = await forge.admin.why(handles[2]!.id)
  assert.equal(why?.reason, 'queue-rate')
  assert.match(why.text, /rate of 2\/10s and opens in 10s: /)
  await forge.clock.advance(9_999)
  await forge.drain([job])
  assert.equal(started.length, 2)
  await forge.clock.advance(1)
  await forge.drain([job])
  assert.deepEqual(started, ['a', 'b', 'c', 'd'])
})

test('the rate of a priority does not hold up those below it', async (t) => {
  const { forge, started, job } = scene(t)
  await forge.admin.limit('default', { ratePerPriority: { high: '1/m' } })
  const [, second] = await forge.enqueueMany(job, ['high 1', 'high 2'], { priority: 'high' })
  await forge.enqueueMany(job, ['low 1', 'low 2'], { priority: 'low' })
  await forge.drain([job])
  assert.deepEqual(started, ['high 1', 'low 1', 'low 2'])
  assert.equal((await forge.admin.why(second!.id))?.reason, 'level-rate')
})

test('keys take turns, and a job without a key is a party of its own', async (t) => {
  const { forge, started, job } = scene(t)
  await forge.admin.limit('default', { concurrency: 1 })
  for (const input of ['a1', 'a2', 'a3']) await forge.enqueue(job, input, { key: 'a' })
  for (const input of ['b1', 'b2']) await forge.enqueue(job, input, { key: 'b' })
  await forge.enqueue(job, 'plain')
  await forge.drain([job])
  assert.deepEqual(started, ['a1', 'b1', 'plain', 'a2', 'b2', 'a3'])
})

test('concurrency of keys: as many of each as may run, others beside them', async (t) => {
  const { forge } = scene(t)
  await forge.admin.limit('default', { perKey: { concurrency: 1 } })
  const running = new Map<string, number>()
  let most = 0
  const busy = defineJob('busy', { input: typed<string>() }, async ({ input }) => {
    running.set(input, (running.get(input) ?? 0) + 1)
    assert.equal(running.get(input), 1)
    most = Math.max(most, [...running.values()].filter((n) => n > 0).length)
    await new Promise((resolve) => setImmediate(resolve))
    running.set(input, running.get(input)! - 1)
  })
  for (const key of ['a', 'b']) await forge.enqueueMany(busy, [key, key, key], { key })
  assert.deepEqual(await forge.drain([busy]), { completed: 6, failed: 0, dead: 0 })
  assert.equal(most, 2)
})

test('ordered: a job that waits for its retry keeps its key, and why names it', async (t) => {
  const { forge, started } = scene(t)
  await forge.admin.limit('default', { perKey: { ordered: true } })
  const flaky = defineJob(
    'flaky',
    { input: typed<string>(), backoff: { type: 'fixed', delay: '1m', jitter: false } },
    ({ input, job }) => {
      if (input === 'a1' && job.attempt === 1) throw new Error('not yet')
      started.push(input)
    },
  )
  const [first, second] = await forge.enqueueMany(flaky, ['a1', 'a2'], { key: 'a' })
  await forge.enqueue(flaky, 'b1', { key: 'b' })
  await forge.drain([flaky])
  assert.deepEqual(started, ['b1'])
  const why = await forge.admin.why(second!.id)
  assert.equal(why?.reason, 'key-turn')
  assert.ok(why.text.includes(`jobs why ${first!.id}`))
  await forge.clock.advance('1m')
  await forge.drain([flaky])
  assert.deepEqual(started, ['b1', 'a1', 'a2'])
})

for (const [scope, runs, reason] of [
  ['type', ['other a', 'other b'], 'type-held'],
  ['key', ['b', 'other b'], 'key-held'],
  ['queue', [], 'queue-held'],
] as const) {
  test(`RateLimited: nothing of the same ${scope} starts until its time is over, and no attempt is used up`, async (t) => {
    const { forge, started } = scene(t)
    let isBusy = true
    const ask = defineJob('ask', { input: typed<string>() }, ({ input, job }) => {
      if (isBusy && input === 'first') throw new RateLimited('30s', scope)
      assert.equal(job.attempt, 1)
      started.push(input)
    })
    const other = defineJob('other', { input: typed<string>() }, ({ input }) => void started.push(input))
    await forge.enqueue(ask, 'first', { key: 'a' })
    assert.deepEqual(await forge.drain([ask, other]), { completed: 0, failed: 0, dead: 0 })
    isBusy = false
    const second = await forge.enqueue(ask, 'a', { key: 'a' })
    await forge.enqueue(ask, 'b', { key: 'b' })
    await forge.enqueue(other, 'other a', { key: 'a' })
    await forge.enqueue(other, 'other b', { key: 'b' })
    await forge.drain([ask, other])
    assert.deepEqual(started.toSorted(), [...runs])
    assert.equal((await forge.admin.why(second.id))?.reason, reason)
    await forge.clock.advance('30s')
    await forge.drain([ask, other])
    assert.deepEqual(started.toSorted(), ['a', 'b', 'first', 'other a', 'other b'])
  })
}

test('a full queue and a closed one refuse jobs, but not the follow-ups of those they have', async (t) => {
  const { forge, started, job } = scene(t)
  const parent = defineJob('parent', { input: typed<void>() }, ({ enqueue }) => void enqueue(job, 'follow-up'))
  await forge.admin.limit('default', { maxDepth: 2 })
  await forge.enqueue(parent)
  const later = await forge.enqueue(job, 'later', { delay: '1h' })
  await assert.rejects(forge.enqueue(job, 'more'), { code: 'QUEUE_FULL' })
  await assert.rejects(forge.enqueueMany(job, ['more']), { code: 'QUEUE_FULL', message: /^\[0\]: / })
  const again = await forge.enqueue(job, 'later', { id: later.id })
  assert.equal(again.duplicate, true)
  await forge.admin.limit('default', { maxDepth: null, accepting: false })
  await assert.rejects(forge.enqueue(job, 'more'), { code: 'QUEUE_CLOSED' })
  await forge.drain([parent, job])
  assert.deepEqual(started, ['follow-up'])
  await forge.admin.limit('default', { accepting: true })
  await forge.enqueue(job, 'more')
})
