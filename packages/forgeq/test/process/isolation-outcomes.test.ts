// Isolated handlers in real threads and processes: what they return, throw, write down and enqueue counts as if they ran
// inline.
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { defineJob, typed, type Job } from 'forgeq'
import { bench } from '../worker/bench.ts'
import { kinds } from './handlers/faults.ts'
import { able, isolations, odd, oddities } from './handlers/odd.ts'
import { isolatedScene, jobOf, moduleOf, tryOnce } from './isolated-scene.ts'

suite('odd handlers', () => {
  const codes: Readonly<Record<string, string>> = {
    'throws-null': 'dead HANDLER_ERROR',
    'throws-undefined': 'dead HANDLER_ERROR',
    'throws-proxy': 'dead HANDLER_ERROR',
    'throws-lying-error': 'dead HANDLER_ERROR',
    'throws-5mb': 'dead HANDLER_ERROR',
    'throws-a-text': 'dead HANDLER_ERROR',
    'throws-with-causes': 'dead HANDLER_ERROR',
    'rejects-late': 'dead HANDLER_ERROR',
    'returns-bigint': 'dead INVALID_JSON',
    'returns-cycle': 'dead INVALID_JSON',
    'returns-10mb': 'dead TOO_LARGE',
    'returns-instance': 'completed {"x":1}',
    'returns-function': 'dead INVALID_JSON',
    'returns-undefined': 'completed null',
    'returns-hostile': 'dead HANDLER_ERROR',
    'returns-nul-and-surrogate': 'completed "a\\u0000b\\ud800c"',
    'settles-twice': 'completed 1',
    'then-throws': 'dead HANDLER_ERROR',
    'goes-on-after-its-end': 'completed "done"',
    'makes-noise': 'completed "heard"',
    discards: 'dead DISCARDED',
    'retries-in': 'scheduled RETRY_IN',
    'is-rate-limited': 'scheduled RATE_LIMITED',
    'throws-a-code': 'dead NOT_FOUND',
    'throws-cancelled': 'dead CANCELLED',
  }
  /** Text and first frame of an error as it is kept, to be compared between isolations. */
  const records = new Map<string, unknown[]>()

  for (const isolation of isolations) {
    test(`${isolation}: each has its outcome and a bounded record, and the worker goes on`, async (t) => {
      assert.deepEqual(Object.keys(oddities), Object.keys(codes))
      const here = isolatedScene(t, 'odd')
      for (const [name, expected] of Object.entries(codes)) {
        const id = await tryOnce(here, jobOf(odd, `${isolation}:${name}`))
        const job = await here.forge.admin.job(id, ['attempts', 'logs'])
        assert.ok(job)
        const { error } = job
        const outcome = `${job.state} ${error?.code ?? JSON.stringify(job.result)}`
        assert.equal(outcome, expected, `${isolation}:${name}`)
        assert.deepEqual(job.logs, [])
        assert.ok(Buffer.byteLength(JSON.stringify(error ?? null)) <= 16_384)
        const [head, frame] = error?.stack?.split('\n') ?? []
        const causes = error?.stack?.match(/Caused by: .*/g)
        const seen = {
          ...error,
          stack: undefined,
          head,
          frame,
          causes,
          reason: job.reason,
          runAt: job.runAt,
          attempt: job.attempt,
        }
        records.set(name, [...(records.get(name) ?? []), seen])
      }
    })
  }

  test('what is kept of an error is the same in each', () => {
    for (const [name, [inline, ...others]] of records) for (const other of others) assert.deepEqual(other, inline, name)
    assert.equal(records.get('throws-with-causes')?.length, isolations.length)
  })
})

suite('what handlers can do', () => {
  for (const isolation of isolations) {
    const named = (name: string): Job => jobOf(able, `${isolation}:${name}`)

    test(`${isolation}: log and progress`, async (t) => {
      const here = isolatedScene(t, 'odd')
      const job = await here.forge.admin.job(await tryOnce(here, named('talks')), ['logs'])
      assert.deepEqual(
        job?.logs?.map(({ level, message }) => [level, message.slice(0, 25), message.length > 16_300]),
        [
          ['info', 'sent 1 of { all: 2 }', false],
          ['error', 'x'.repeat(25), true],
        ],
      )
      assert.deepEqual(job?.progress, { done: 3, total: 4, label: 'almost' })
    })

    test(`${isolation}: input and output go through their schemas, the job is known`, async (t) => {
      const here = isolatedScene(t, 'odd')
      const id = await tryOnce(here, named('knows'), [1])
      const job = await here.forge.admin.job(id)
      assert.deepEqual(job?.result, { id, attempt: 1, claim: 1, enqueuedAt: '2026-01-01T00:00:00.000Z', input: [1] })
      const dated = await here.forge.admin.job(await tryOnce(here, named('dated'), { at: new Date(5) }))
      assert.deepEqual(dated?.result, { at: 5 })
    })

    test(`${isolation}: an input that the schema refuses`, async (t) => {
      const here = isolatedScene(t, 'odd')
      const lax = defineJob(`${isolation}:strict`, { input: typed<unknown>() })
      const job = await here.forge.admin.job(await tryOnce(here, lax, { to: 5 }))
      assert.deepEqual(
        [job?.reason, job?.error?.code, job?.error?.problems?.[0]?.path],
        ['invalid', 'INVALID_INPUT', 'to'],
      )
    })

    test(`${isolation}: follow-ups are stored with the completion, and only with it`, async (t) => {
      const here = isolatedScene(t, 'odd')
      const good = await here.forge.admin.job(await tryOnce(here, named('enqueues'), 1))
      const { jobs } = await here.forge.admin.jobs({ queue: 'elsewhere' })
      assert.deepEqual(jobs.map(({ type, tags }) => `${type} ${tags.join()}`).toSorted(), ['after made', 'late '])
      assert.ok(jobs.some(({ id }) => id === good?.result))
      const bad = await here.forge.admin.job(await tryOnce(here, named('enqueues'), -1))
      assert.deepEqual([bad?.state, bad?.error?.code], ['dead', 'INVALID_INPUT'])
      assert.equal((await here.forge.admin.jobs({ queue: 'elsewhere' })).jobs.length, 2)
    })

    test(`${isolation}: a backoff function gets the error that was thrown`, async (t) => {
      const here = isolatedScene(t, 'odd')
      const asked = await here.forge.admin.job(await tryOnce(here, named('asks-backoff')))
      assert.deepEqual([asked?.error?.name, asked?.runAt?.getTime()], ['Refusal', asked!.createdAt.getTime() + 7_000])
      const broken = await here.forge.admin.job(await tryOnce(here, named('breaks-backoff')))
      assert.match(broken?.error?.message ?? '', /backoff function failed, so the default was used: oops/)
      assert.match(broken?.error?.stack ?? '', /Caused by: Error: not now\n    at /)
    })
  }

  for (const isolation of kinds) {
    test(`${isolation}: use gets input and result as they are stored, and may change the result`, async (t) => {
      const here = bench()
      t.after(here.close)
      const inputs: unknown[] = []
      here.forge.use(async ({ input, log }, next) => {
        inputs.push(input)
        log.info('around')
        return [await next()]
      })
      const dated = jobOf(able, `${isolation}:dated`)
      const { id } = await here.forge.enqueue(dated, { at: new Date(5) })
      await here.forge.worker({ handlers: [moduleOf('odd')], drain: true, signals: false }).run()
      const job = await here.forge.admin.job(id, ['logs'])
      assert.deepEqual([job?.result, job?.logs?.length], [[{ at: 5 }], 1])
      assert.deepEqual(inputs, [{ at: '1970-01-01T00:00:00.005Z' }])
    })
  }
})
