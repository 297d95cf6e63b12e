import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defineJob, ForgeError, typed } from 'forgeq'
import type { NewJob } from '#src/store/records.js'
import * as v from 'valibot'
import { z } from 'zod'
import { bench } from '../worker/bench.ts'

const mail = defineJob('mail', { input: z.object({ to: z.email(), copies: z.number().max(5) }) })
const plain = defineJob('plain', { input: typed<unknown>() })
const away = (): Promise<never> => Promise.reject(new ForgeError('STORE_UNAVAILABLE', 'away'))

test('the job is stored with its payload as it came and its policy resolved', async (t) => {
  const { forge, close } = bench()
  t.after(close)
  const job = defineJob('job', { input: z.object({ n: z.coerce.number() }), queue: 'q', retries: 2, timeout: '3s' })
  const handle = await forge.enqueue(job, { n: '7' }, { priority: 'high', tags: ['a', 'b'], unique: 'u', delay: '1m' })
  assert.equal(handle.duplicate, false)
  const shown = await forge.admin.job(handle.id)
  assert.deepEqual(
    { ...shown, id: 0, createdAt: 0, runAt: shown?.runAt.toISOString() },
    {
      id: 0,
      type: 'job',
      queue: 'q',
      priority: 2,
      state: 'scheduled',
      attempt: 1,
      maxAttempts: 3,
      crashes: 0,
      payload: { n: '7' },
      payloadJson: '{"n":"7"}',
      createdAt: 0,
      runAt: '2026-01-01T00:01:00.000Z',
      cancelRequested: false,
      tags: ['a', 'b'],
      unique: { key: 'u', until: 'done' },
    },
  )
})

test('a bad payload is refused with the path of each problem, and nothing is stored', async (t) => {
  const { forge, tapped, close } = bench()
  t.after(close)
  await assert.rejects(forge.enqueue(mail, { to: 'nobody', copies: 9 }), (error: ForgeError) => {
    assert.equal(error.code, 'INVALID_INPUT')
    assert.deepEqual(error.problems?.map(({ path }) => path).toSorted(), ['copies', 'to'])
    return true
  })
  const late = defineJob('late', {
    input: v.pipeAsync(
      v.number(),
      v.checkAsync(async (n) => Promise.resolve(n > 0)),
    ),
  })
  await assert.rejects(forge.enqueue(late, -1), { code: 'INVALID_INPUT' })
  await assert.rejects(forge.enqueue(plain, { big: 1n }), { code: 'INVALID_JSON' })
  await assert.rejects(forge.enqueue(plain, 'x'.repeat(1_100_000)), { code: 'TOO_LARGE' })
  await assert.rejects(forge.enqueue(plain, 1, { id: 'mine' }), { code: 'INVALID_ID' })
  await assert.rejects(forge.enqueue(plain, 1, { delay: '10 parsecs' as never }), { code: 'INVALID_OPTION' })
  assert.equal(tapped.count('enqueue'), 0)
})

test('the same id again is a duplicate, with another payload a conflict', async (t) => {
  const { forge, close } = bench()
  t.after(close)
  const { id } = await forge.enqueue(plain, 1)
  const again = await forge.enqueue(plain, 1, { id })
  assert.deepEqual([again.id, again.duplicate], [id, true])
  await assert.rejects(forge.enqueue(plain, 2, { id }), { code: 'ID_CONFLICT', id })
})

test('a unique key answers with its holder', async (t) => {
  const { forge, close } = bench()
  t.after(close)
  const first = await forge.enqueue(plain, 1, { unique: 'k' })
  const second = await forge.enqueue(plain, 2, { unique: 'k' })
  assert.deepEqual([second.id, second.duplicate], [first.id, true])
})

test('a unique key that is held: the holder is replaced while it waits, or the error names it', async (t) => {
  const { forge, close } = bench()
  t.after(close)
  const first = await forge.enqueue(plain, 1, { unique: { key: 'k', until: 'start' }, delay: '1h' })
  assert.deepEqual([first.duplicate, first.replaced], [false, false])
  const second = await forge.enqueue(plain, 2, { unique: { key: 'k', onConflict: 'replace' }, delay: '2h' })
  assert.deepEqual([second.id, second.duplicate, second.replaced], [first.id, true, true])
  const { payload, unique } = (await forge.admin.job(first.id))!
  assert.deepEqual([payload, unique], [2, { key: 'k', until: 'start' }])
  const third = forge.enqueue(plain, 3, { unique: { key: 'k', onConflict: 'error' } })
  await assert.rejects(third, { code: 'UNIQUE_CONFLICT', id: first.id, holder: first.id })
})

test('a replacement whose answer was lost replaces once, and says that it did', async (t) => {
  const { forge, tapped, advance, close } = bench()
  t.after(close)
  const unique = { key: 'k', onConflict: 'replace' } as const
  const { id } = await forge.enqueue(plain, 1, { unique })
  let calls = 0
  tapped.tap('enqueue', async (next) => {
    const answer = await next()
    calls += 1
    if (calls > 1) return answer
    await next()
    throw new ForgeError('OUTCOME_UNKNOWN', 'the connection broke')
  })
  const enqueued = forge.enqueue(plain, 2, { unique })
  await advance(1_000)
  const { duplicate, replaced, ...handle } = await enqueued
  assert.deepEqual([calls, handle.id, duplicate, replaced], [2, id, true, true])
})

test('enqueues of one turn of the event loop go in one call; one alone goes at once', async (t) => {
  const { forge, tapped, close } = bench()
  t.after(close)
  await forge.ready()
  await forge.enqueue(plain, 0)
  assert.equal(tapped.count('enqueue'), 1)
  const handles = await Promise.all(Array.from({ length: 2_500 }, (_, i) => forge.enqueue(plain, i)))
  const sizes = tapped.calls
    .filter(({ method }) => method === 'enqueue')
    .map(({ args }) => (args[0] as readonly NewJob[]).length)
  assert.deepEqual(sizes, [1, 1000, 1000, 500])
  assert.equal(new Set(handles.map(({ id }) => id)).size, 2_500)
  const [last] = await forge.store.jobs([handles[2_499]!.id])
  assert.equal(last?.payload, '2499')
})

test('a refused job fails alone, those that went with it are stored', async (t) => {
  const { forge, close } = bench()
  t.after(close)
  const { id } = await forge.enqueue(plain, 1)
  const answers = await Promise.allSettled([
    forge.enqueue(plain, 'a'),
    forge.enqueue(plain, 2, { id }),
    forge.enqueue(plain, 'c'),
  ])
  assert.deepEqual(
    answers.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled'],
  )
})

test('a lost answer is repeated with the same id: one job', async (t) => {
  const { forge, tapped, advance, close } = bench()
  t.after(close)
  let calls = 0
  tapped.tap('enqueue', async (next) => {
    const answer = await next()
    calls += 1
    if (calls < 4) throw new ForgeError('OUTCOME_UNKNOWN', 'the connection broke')
    return answer
  })
  const enqueued = forge.enqueue(plain, 1)
  await advance(1_000)
  const { id, duplicate } = await enqueued
  assert.deepEqual([calls, duplicate], [4, false])
  assert.deepEqual(
    (await forge.admin.jobs()).jobs.map((job) => job.id),
    [id],
  )
})

test('the same id again is a duplicate although the first call failed, when that had stored nothing', async (t) => {
  const { forge, tapped, advance, close } = bench()
  t.after(close)
  const { id } = await forge.enqueue(plain, 1)
  let calls = 0
  tapped.tap('enqueue', (next) => ((calls += 1) === 1 ? away() : next()))
  const enqueued = forge.enqueue(plain, 1, { id })
  await advance(1_000)
  assert.deepEqual([(await enqueued).duplicate, calls], [true, 2])
})

test('a store that stays away: STORE_UNAVAILABLE after the deadline, and nothing is stored', async (t) => {
  const { forge, tapped, advance, close } = bench({ enqueueDeadline: '2s' })
  t.after(close)
  tapped.tap('enqueue', away)
  const enqueued = assert.rejects(forge.enqueue(plain, 1), { code: 'STORE_UNAVAILABLE' })
  await advance(1_000)
  assert.ok(tapped.count('enqueue') > 2)
  await advance(1_000)
  await enqueued
})

test('once an answer was lost, the end is OUTCOME_UNKNOWN with the id, and the same id makes it safe', async (t) => {
  const { forge, tapped, advance, close } = bench()
  t.after(close)
  let calls = 0
  tapped.tap('enqueue', async (next) => {
    calls += 1
    if (calls > 1) return away()
    await next()
    throw new ForgeError('OUTCOME_UNKNOWN', 'the connection broke')
  })
  const enqueued = forge.enqueue(plain, 1).catch((error: unknown) => error)
  await advance(2_000)
  const error = await enqueued
  assert.ok(ForgeError.is(error, 'OUTCOME_UNKNOWN'))
  assert.ok(error.id)
  // Whoever sees only the text can go on, too.
  assert.ok(error.message.includes(`enqueue it again with id ${error.id}`), error.message)
  tapped.tap('enqueue')
  const again = await forge.enqueue(plain, 1, { id: error.id })
  assert.deepEqual([again.id, again.duplicate], [error.id, true])
})

test('of many jobs whose answer was lost it is said how many are stored, and how to make the call so that it can be repeated', async (t) => {
  const { forge, tapped, advance, close } = bench()
  t.after(close)
  let calls = 0
  tapped.tap('enqueue', (next) => {
    calls += 1
    return calls === 1 ? next() : Promise.reject(new ForgeError('OUTCOME_UNKNOWN', 'the connection broke'))
  })
  const inputs = Array.from({ length: 1_500 }, (_, i) => i)
  const enqueued = forge.enqueueMany(plain, inputs).catch((error: unknown) => error)
  await advance(4_000)
  const error = await enqueued
  assert.ok(ForgeError.is(error, 'OUTCOME_UNKNOWN'))
  assert.match(error.message, /^1000 of the 1500 jobs are stored, of the others it is not known; .* ids of their own/)
})

test('an id carries the time of the store, however wrong the clock of this process is', async (t) => {
  const { forge, advance, close } = bench()
  t.after(close)
  const first = await forge.enqueue(plain, 1)
  await advance(30 * 86_400_000)
  const second = await forge.enqueue(plain, 2)
  assert.ok(first.id < second.id)
})

test('a backoff function behind every job is refused: workers look for it in the definition', () => {
  const backoff = (() => '1s') as never
  assert.throws(() => bench({ defaults: { backoff } }), {
    code: 'INVALID_OPTION',
    problems: [{ path: 'backoff', message: "cannot be a function here: put it into the job's definition" }],
  })
})

test('explain: the policy with every default, those of the forge too', async (t) => {
  const { forge, close } = bench({ defaults: { retries: 1, queue: 'mine' } })
  t.after(close)
  const job = defineJob('job', { input: typed<void>(), timeout: '90s' })
  const { id } = await forge.enqueue(job)
  const stored = (await forge.store.jobs([id]))[0]?.policy
  assert.deepEqual([stored?.queue, stored?.maxAttempts, stored?.timeoutMs], ['mine', 2, 90_000])
  assert.deepEqual(forge.explain(job, { priority: 'high' }), {
    queue: 'mine',
    priority: 'high',
    retries: 1,
    backoff: { type: 'exponential', base: '1s', factor: 2, max: '1h', jitter: true },
    timeout: '1.5m',
    keepResult: '1h',
    delivery: 'at-least-once',
    isolation: 'inline',
  })
})

test('a store that does not open says so at the first use, and is tried again at the next', async (t) => {
  const { forge, tapped, close } = bench()
  t.after(close)
  tapped.tap('open', () => Promise.reject(new ForgeError('STORE_UNSAFE', 'a network file system')))
  await assert.rejects(forge.enqueue(plain, 1), { code: 'STORE_UNSAFE' })
  tapped.tap('open')
  assert.equal((await forge.enqueue(plain, 1)).duplicate, false)
})

test('a store that is away when the first job comes is given the same time', async (t) => {
  const { forge, tapped, advance, close } = bench()
  t.after(close)
  let calls = 0
  tapped.tap('open', (next) => ((calls += 1) < 4 ? away() : next()))
  const enqueued = forge.enqueue(plain, 1)
  await advance(1_000)
  assert.equal((await enqueued).duplicate, false)
})

test('a name instead of a job is refused with what to use', async (t) => {
  const { forge, close } = bench()
  t.after(close)
  await assert.rejects(forge.enqueue('hello' as never, {}), { code: 'INVALID_OPTION', message: /what defineJob gave/ })
})
