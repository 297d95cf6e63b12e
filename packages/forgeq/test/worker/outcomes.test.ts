import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import {
  defineJob,
  Discard,
  ForgeError,
  RetryIn,
  typed,
  type EnqueueOptions,
  type Handler,
  type Job,
  type JobView,
} from 'forgeq'
import { testForge } from 'forgeq/testing'
import { z } from 'zod'

const exact = { backoff: { type: 'fixed', delay: '10s', jitter: false } } as const

/** Runs one job until it has ended, moving time as its retries need, and shows it with its attempts. */
async function runToEnd(
  t: TestContext,
  handler: Handler & Job,
  input: unknown,
  options?: EnqueueOptions,
): Promise<JobView> {
  const forge = testForge()
  t.after(() => forge.close())
  const { id } = await forge.enqueue(handler, input, options)
  for (;;) {
    await forge.drain([handler])
    const job = await forge.admin.job(id, ['attempts', 'logs'])
    assert.ok(job)
    if (job.finishedAt !== undefined) return job
    await forge.clock.advance('10s')
  }
}

const outcomes = (job: JobView): unknown =>
  job.attempts?.map(({ attempt, outcome, error }) => [attempt, outcome, error?.code])

type Then = (resolve: (value: unknown) => void, reject: (error: unknown) => void) => void

/** A promise of somebody else's making. */
const thenable = (then: Then): unknown => Object.fromEntries(new Map([['then', then]]))

test('a handler returns: the job completes with its result', async (t) => {
  const job = await runToEnd(
    t,
    defineJob('add', { input: typed<{ a: number }>() }, ({ input }) => ({ sum: input.a + 1 })),
    { a: 1 },
  )
  assert.equal(job.state, 'completed')
  assert.deepEqual(job.result, { sum: 2 })
  assert.deepEqual(outcomes(job), [[1, 'complete', undefined]])
})

test('a handler throws: tried again after the backoff, dead after the last try, every error kept', async (t) => {
  let tries = 0
  const fail = defineJob('fail', { input: typed<void>(), retries: 2, ...exact }, () => {
    tries += 1
    throw new TypeError(`no ${tries}`)
  })
  const job = await runToEnd(t, fail, undefined)
  assert.equal(tries, 3)
  assert.equal(job.state, 'dead')
  assert.equal(job.reason, 'exhausted')
  assert.deepEqual(
    job.attempts?.map(({ attempt, error }) => [attempt, error?.name, error?.message]),
    [
      [1, 'TypeError', 'no 1'],
      [2, 'TypeError', 'no 2'],
      [3, 'TypeError', 'no 3'],
    ],
  )
})

test('an output schema makes what is stored, and a result that does not match is a failed try', async (t) => {
  const output = z.object({ when: z.date().transform((date) => date.getTime()) })
  const job = defineJob('dated', { input: typed<{ when: string }>(), output, retries: 0 })
  const handler = { ...job, ...job.handler(({ input }) => ({ when: new Date(input.when) })) }
  const done = await runToEnd(t, handler, { when: '2026-01-01T00:00:00Z' })
  assert.deepEqual(done.result, { when: 1767225600000 })
  const failed = await runToEnd(t, handler, { when: 'no date' })
  assert.equal(failed.state, 'dead')
  assert.equal(failed.error?.code, 'INVALID_INPUT')
  assert.match(failed.error?.message ?? '', /result does not match its schema: when/)
})

test('Discard: dead at once', async (t) => {
  const job = await runToEnd(
    t,
    defineJob('discard', { input: typed<void>() }, () => {
      throw new Discard('bounces')
    }),
    undefined,
  )
  assert.equal(job.reason, 'discarded')
  assert.equal(job.error?.message, 'bounces')
  assert.equal(job.attempt, 1)
})

test('RetryIn: runs again after its delay, with countAttempt false as the same attempt', async (t) => {
  let tries = 0
  const wait = defineJob('wait', { input: typed<void>(), ...exact }, ({ job }) => {
    tries += 1
    if (tries <= 2) throw new RetryIn('10s', { countAttempt: tries === 2 })
    return job.attempt
  })
  const job = await runToEnd(t, wait, undefined)
  assert.equal(job.result, 2)
  assert.deepEqual(outcomes(job), [
    [1, 'snooze', 'RETRY_IN'],
    [1, 'retry', 'RETRY_IN'],
    [2, 'complete', undefined],
  ])
})

test('a backoff function is asked in the worker', async (t) => {
  const asked: unknown[] = []
  const fail = defineJob(
    'fail',
    {
      input: typed<void>(),
      retries: 2,
      backoff: (attempt, error) => (asked.push([attempt, (error as Error).message]), '10s'),
    },
    ({ job }) => {
      throw new Error(`try ${job.attempt}`)
    },
  )
  await runToEnd(t, fail, undefined)
  assert.deepEqual(asked, [
    [1, 'try 1'],
    [2, 'try 2'],
  ])
})

test('the stored input is parsed when the job runs: the handler gets what the schema makes of it', async (t) => {
  const when = defineJob('when', { input: z.object({ at: z.coerce.date() }) }, ({ input }) => input.at.getTime())
  const job = await runToEnd(t, when, { at: new Date(5) })
  assert.deepEqual(job.payload, { at: '1970-01-01T00:00:00.005Z' })
  assert.equal(job.result, 5)
})

test('an input that the schema of the worker refuses: dead at once, with the problems', async (t) => {
  const lax = defineJob('strict', { input: typed<unknown>() })
  const strict = defineJob('strict', { input: z.object({ to: z.string() }) }, () => 1)
  const forge = testForge()
  t.after(() => forge.close())
  const { id } = await forge.enqueue(lax, { to: 5 })
  assert.deepEqual(await forge.drain([strict]), { completed: 0, failed: 0, dead: 1 })
  const job = await forge.admin.job(id)
  assert.equal(job?.reason, 'invalid')
  assert.equal(job?.error?.problems?.[0]?.path, 'to')
})

test('the input of another job that a handler enqueues wrongly is a failure, not an invalid job', async (t) => {
  const other = defineJob('other', { input: z.object({ n: z.number() }) })
  const job = await runToEnd(
    t,
    defineJob('faulty', { input: typed<void>(), retries: 0 }, ({ enqueue }) => {
      enqueue(other, { n: 'x' } as never)
    }),
    undefined,
  )
  assert.equal(job.reason, 'exhausted')
  assert.equal(job.error?.code, 'INVALID_INPUT')
})

test('odd results and odd errors each end their job and nothing else', async (t) => {
  const forge = testForge()
  t.after(() => forge.close())
  const cycle: { self?: unknown } = {}
  cycle.self = cycle
  const odd: Record<string, () => unknown> = {
    bigint: () => 1n,
    cycle: () => cycle,
    huge: () => 'x'.repeat(2_000_000),
    nan: () => Number.NaN,
    'throws-null': () => {
      throw null as unknown as Error
    },
    'throws-proxy': () => {
      throw new Proxy(new Error('x'), {
        get() {
          throw new Error('trap')
        },
        getPrototypeOf() {
          throw new Error('trap')
        },
      })
    },
    'throws-5mb': () => {
      throw new Error('x'.repeat(5_000_000))
    },
    'thenable-throws': () =>
      thenable(() => {
        throw new Error('then')
      }),
    'thenable-twice': () =>
      thenable((resolve, reject) => {
        resolve(1)
        reject(new Error('second'))
        resolve(2)
      }),
    'rejects-late': async () => {
      await Promise.resolve()
      throw undefined as unknown as Error
    },
  }
  const handlers = Object.entries(odd).map(([name, fn]) => defineJob(name, { input: typed<void>(), retries: 0 }, fn))
  const made = await forge.enqueueMany(handlers.map((job) => job.with(undefined)))
  const good = defineJob('good', { input: typed<void>() }, () => 'fine')
  await forge.enqueue(good)
  const counts = await forge.drain([...handlers, good])
  assert.deepEqual(counts, { completed: 2, failed: 0, dead: Object.keys(odd).length - 1 })
  const codes = await Promise.all(made.map(async ({ id }) => (await forge.admin.job(id))?.error?.code ?? 'completed'))
  assert.deepEqual(Object.fromEntries(Object.keys(odd).map((name, i) => [name, codes[i]])), {
    bigint: 'INVALID_JSON',
    cycle: 'INVALID_JSON',
    huge: 'TOO_LARGE',
    nan: 'INVALID_JSON',
    'throws-null': 'HANDLER_ERROR',
    'throws-proxy': 'HANDLER_ERROR',
    'throws-5mb': 'HANDLER_ERROR',
    'thenable-throws': 'HANDLER_ERROR',
    'thenable-twice': 'completed',
    'rejects-late': 'HANDLER_ERROR',
  })
})

test('use: wraps every handler, the first outermost, and may change the result or throw', async (t) => {
  const forge = testForge()
  t.after(() => forge.close())
  const seen: string[] = []
  forge
    .use(async ({ job }, next) => {
      seen.push(`outer ${job.attempt}`)
      const value = await next()
      seen.push('outer end')
      return value
    })
    .use(async (_, next) => {
      seen.push('inner')
      return [await next()]
    })
  const job = defineJob('wrapped', { input: typed<number>() }, ({ input }) => input)
  const handle = await forge.enqueue(job, 7)
  await forge.drain([job])
  assert.deepEqual((await forge.admin.job(handle.id))?.result, [7])
  assert.deepEqual(seen, ['outer 1', 'inner', 'outer end'])
  forge.use(() => Promise.reject(new ForgeError('FORBIDDEN', 'not today')))
  await assert.rejects(forge.run(job, 1), { code: 'JOB_DEAD', message: 'not today' })
})
