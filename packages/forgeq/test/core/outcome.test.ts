import assert from 'node:assert/strict'
import { test } from 'node:test'
import { planBackoff, type BackoffPlan } from '#src/core/backoff.js'
import { Discard, RateLimited, RetryIn } from '#src/core/decisions.js'
import type { Duration } from '#src/core/duration.js'
import { ForgeError } from '#src/core/errors.js'
import {
  afterChildDeath,
  afterFailure,
  afterLoss,
  afterNoStart,
  afterSuccess,
  type FailureContext,
} from '#src/core/outcome.js'
import { defaultPolicy } from '#src/core/policy.js'
import type { Claimed, LostJob, Settlement, StoredPolicy } from '#src/store/records.js'
import type { Stuck } from '#src/store/worker-record.js'

const hold = { job: '018f4e3a-7c00-7abc-8def-0123456789ab', claim: 7 }

function claimed(over: Partial<Claimed> = {}, policy: Partial<StoredPolicy> = {}): Claimed {
  const backoff: BackoffPlan = planBackoff({ type: 'exponential', base: 1000, jitter: false })
  return {
    ...hold,
    type: 'send-email',
    payload: '{}',
    attempt: 1,
    attemptBase: 0,
    crashes: 0,
    createdAt: 0,
    policy: { ...defaultPolicy, backoff, ...policy },
    ...over,
  }
}

const context: FailureContext = { random: () => 0.5 }
const fail = (job: Claimed, error: unknown, more: Partial<FailureContext> = {}): Settlement =>
  afterFailure(job, error, { ...context, ...more })

/** A settlement without what an error looks like. */
function decision(settlement: Settlement): unknown {
  const { error, ...rest } = settlement as Settlement & { error?: { code: string } | null }
  return error ? { ...rest, code: error.code } : rest
}

test('a success completes with its result, and with what the handler enqueued', () => {
  assert.deepEqual(afterSuccess(claimed(), '5', []), { ...hold, outcome: 'complete', result: '5' })
  const followUp = { id: 'x', type: 'next', payload: '1', policy: defaultPolicy }
  const expected = { ...hold, outcome: 'complete', result: null, followUps: [followUp] }
  assert.deepEqual(afterSuccess(claimed(), null, [followUp]), expected)
})

test('a failure runs again after its backoff until its tries are used up', () => {
  const ends = [1, 2, 3, 4].map((attempt) => decision(fail(claimed({ attempt }, { maxAttempts: 4 }), new Error('x'))))
  assert.deepEqual(ends, [
    { ...hold, outcome: 'retry', delayMs: 1000, code: 'HANDLER_ERROR' },
    { ...hold, outcome: 'retry', delayMs: 2000, code: 'HANDLER_ERROR' },
    { ...hold, outcome: 'retry', delayMs: 4000, code: 'HANDLER_ERROR' },
    { ...hold, outcome: 'bury', reason: 'exhausted', code: 'HANDLER_ERROR' },
  ])
})

test('after a retry by hand backoff starts over', () => {
  const job = claimed({ attempt: 8, attemptBase: 6 }, { maxAttempts: 12 })
  assert.deepEqual(decision(fail(job, null)), { ...hold, outcome: 'retry', delayMs: 2000, code: 'HANDLER_ERROR' })
})

test('a timeout is a failure with its own code', () => {
  const end = fail(claimed(), new Error('aborted'), { aborted: 'timeout' })
  assert.deepEqual(decision(end), { ...hold, outcome: 'retry', delayMs: 1000, code: 'TIMEOUT' })
})

test('a discarded job is dead at once, even when the worker had aborted it', () => {
  for (const aborted of [undefined, 'timeout', 'shutdown'] as const) {
    const end = fail(claimed(), new Discard('address bounces'), { aborted })
    assert.deepEqual(decision(end), { ...hold, outcome: 'bury', reason: 'discarded', code: 'DISCARDED' })
  }
})

test('RetryIn names the delay, and counts as an attempt unless it says otherwise', () => {
  const counted = new RetryIn('5m')
  const free = new RetryIn(20, { countAttempt: false, cause: new Error('busy') })
  const last = claimed({ attempt: 6 })
  assert.deepEqual(decision(fail(claimed(), counted)), {
    ...hold,
    outcome: 'retry',
    delayMs: 300_000,
    code: 'RETRY_IN',
  })
  assert.deepEqual(decision(fail(last, counted)), { ...hold, outcome: 'bury', reason: 'exhausted', code: 'RETRY_IN' })
  assert.deepEqual(decision(fail(last, free)), { ...hold, outcome: 'snooze', delayMs: 20, code: 'RETRY_IN' })
})

test('RetryIn refuses a bad delay where it is made', () => {
  assert.throws(
    () => new RetryIn('soon' as Duration),
    (error) => ForgeError.is(error, 'INVALID_OPTION'),
  )
})

test('input that does not parse is dead at once, but only if it is its own', () => {
  const own = new ForgeError('INVALID_INPUT', 'bad', { id: hold.job, problems: [{ path: 'to', message: 'x' }] })
  const others = new ForgeError('INVALID_INPUT', 'bad')
  assert.deepEqual(decision(fail(claimed(), own)), {
    ...hold,
    outcome: 'bury',
    reason: 'invalid',
    code: 'INVALID_INPUT',
  })
  assert.deepEqual(decision(fail(claimed(), others)), {
    ...hold,
    outcome: 'retry',
    delayMs: 1000,
    code: 'INVALID_INPUT',
  })
})

test('a cancelled job ends cancelled whatever its handler threw', () => {
  const aborted = 'cancel' as const
  const told = new ForgeError('CANCELLED', 'cancelled by an operator')
  assert.deepEqual(fail(claimed(), told, { aborted }), { ...hold, outcome: 'cancel', error: null })
  for (const error of [new Error('half done'), new Discard('x'), new RetryIn(5)]) {
    assert.equal(fail(claimed({ attempt: 6 }), error, { aborted }).outcome, 'cancel')
  }
})

test('a job that the shutdown aborted is handed back and no attempt is used up', () => {
  assert.deepEqual(fail(claimed({ attempt: 6 }), new Error('aborted'), { aborted: 'shutdown' }), {
    ...hold,
    outcome: 'release',
  })
  const asked = fail(claimed(), new RetryIn('1m'), { aborted: 'shutdown' })
  assert.deepEqual(decision(asked), { ...hold, outcome: 'retry', delayMs: 60_000, code: 'RETRY_IN' })
})

test('at-most-once never starts again by itself', () => {
  const once = claimed({}, { delivery: 'at-most-once', maxAttempts: 1 })
  const ends = [fail(once, new Error('x')), fail(once, new Error('x'), { aborted: 'timeout' })].map(decision)
  assert.deepEqual(ends, [
    { ...hold, outcome: 'bury', reason: 'exhausted', code: 'HANDLER_ERROR' },
    { ...hold, outcome: 'bury', reason: 'exhausted', code: 'TIMEOUT' },
  ])
  const stopped = fail(once, new Error('x'), { aborted: 'shutdown' })
  assert.deepEqual(decision(stopped), { ...hold, outcome: 'bury', reason: 'lost', code: 'SHUTDOWN' })
  for (const countAttempt of [true, false]) {
    for (const aborted of [undefined, 'timeout', 'shutdown'] as const) {
      const asked = fail(once, new RetryIn('1m', { countAttempt }), { aborted })
      assert.deepEqual(decision(asked), { ...hold, outcome: 'bury', reason: 'lost', code: 'RETRY_IN' })
    }
  }
  // As another producer may have stored it.
  const more = claimed({}, { delivery: 'at-most-once', maxAttempts: 6 })
  assert.deepEqual(decision(fail(more, new Error('x'))), {
    ...hold,
    outcome: 'bury',
    reason: 'lost',
    code: 'HANDLER_ERROR',
  })
  assert.deepEqual(decision(fail(more, new Discard('x'))), {
    ...hold,
    outcome: 'bury',
    reason: 'discarded',
    code: 'DISCARDED',
  })
})

test('a job that was rate limited waits, uses up no attempt, and holds others back', () => {
  const busy = claimed({ attempt: 6 })
  for (const scope of ['key', 'type', 'queue'] as const) {
    for (const aborted of [undefined, 'timeout', 'shutdown'] as const) {
      const end = fail(busy, new RateLimited('1m', scope), { aborted })
      const expected = {
        ...hold,
        outcome: 'snooze',
        delayMs: 60_000,
        holdBack: { scope, forMs: 60_000 },
        code: 'RATE_LIMITED',
      }
      assert.deepEqual(decision(end), expected)
    }
  }
  assert.equal(fail(busy, new RateLimited(5), { aborted: 'cancel' }).outcome, 'cancel')
  const once = claimed({}, { delivery: 'at-most-once', maxAttempts: 1 })
  assert.deepEqual(decision(fail(once, new RateLimited(5))), {
    ...hold,
    outcome: 'bury',
    reason: 'lost',
    holdBack: { scope: 'type', forMs: 5 },
    code: 'RATE_LIMITED',
  })
})

test('RateLimited says for how long and whom it holds back', () => {
  const cause = new Error('429')
  const error = new RateLimited('1.5s', 'queue', { cause })
  assert.deepEqual(
    [error.name, error.message, error.retryAfterMs, error.scope, error.cause],
    ['RateLimited', 'rate limited, retry in 1.5s', 1500, 'queue', cause],
  )
  assert.equal(new RateLimited(5).scope, 'type')
  assert.equal(new RateLimited(5, 'key', { message: 'slow down' }).message, 'slow down')
  assert.throws(() => new RateLimited(-1), { code: 'INVALID_OPTION' })
  assert.throws(() => new RateLimited(5, 'job' as never), { code: 'INVALID_OPTION' })
})

test('a backoff function is asked with the count of failures and the error', () => {
  const job = claimed({ attempt: 9, attemptBase: 6 }, { backoff: { type: 'function' }, maxAttempts: 12 })
  const thrown = new Error('x')
  const asked: unknown[] = []
  const end = fail(job, thrown, {
    backoff: (...args) => {
      asked.push(args)
      return '7s'
    },
  })
  assert.deepEqual(decision(end), { ...hold, outcome: 'retry', delayMs: 7000, code: 'HANDLER_ERROR' })
  assert.deepEqual(asked, [[3, thrown]])
})

test('a backoff function that fails is named in the error, and the default is used', () => {
  const job = claimed({}, { backoff: { type: 'function' } })
  const broken = (): Duration => {
    throw new Error('division by zero')
  }
  for (const [backoff, said] of [
    [broken, 'division by zero'],
    [() => 'soon' as Duration, "'soon'"],
  ] as const) {
    const end = fail(job, new Error('the real one'), { backoff })
    assert(end.outcome === 'retry')
    assert.equal(end.delayMs, 750)
    assert(end.error.message.includes(said), end.error.message)
    assert.match(end.error.stack ?? '', /Caused by: Error: the real one/)
  }
})

test('a hostile proxy is a failure like any other', () => {
  const trap = (): never => {
    throw new Error('trapped')
  }
  const proxy: unknown = new Proxy({}, { get: trap, getPrototypeOf: trap })
  for (const aborted of [undefined, 'timeout', 'shutdown', 'cancel'] as const) {
    assert(fail(claimed(), proxy, { aborted }))
  }
})

const lost: LostJob = {
  ...hold,
  type: 't',
  worker: 'w',
  crashes: 0,
  attempt: 1,
  attemptBase: 0,
  policy: defaultPolicy,
  startedAt: 1000,
  host: 'h',
  pid: 5,
  rssBytes: null,
  end: null,
}

const after = (over: Partial<LostJob> = {}, storeNow = 0): unknown =>
  decision(afterLoss({ ...lost, ...over }, storeNow, () => 0.5))
const messageOf = (settlement: Settlement): string => ('error' in settlement && settlement.error?.message) || ''

test('a crash goes on until the third, which is poison', () => {
  const crash = { ...hold, worker: 'w', outcome: 'crash', code: 'WORKER_LOST' }
  assert.deepEqual(
    [0, 1, 2, 3].map((crashes) => after({ crashes })),
    [crash, crash, { ...crash, bury: 'poison' }, { ...crash, bury: 'poison' }],
  )
  const policy = { ...defaultPolicy, delivery: 'at-most-once' } as const
  assert.deepEqual(after({ policy }), { ...crash, bury: 'lost' })
})

test('a crash says how the process ended, as far as that is known', () => {
  const ends: [Partial<LostJob>, string][] = [
    [{}, 'worker w (process 5 on h) died, or stalled for longer than its lease, while it ran this job'],
    [
      { end: { exitCode: null, signal: 'SIGSEGV', stuck: null }, rssBytes: 120_400_000 },
      'process 5 on h died with SIGSEGV while it ran this job (last memory 120 MB)',
    ],
    [
      { end: { exitCode: 7, signal: null, stuck: null } },
      'process 5 on h ended with exit code 7 while it ran this job',
    ],
    [{ end: { exitCode: null, signal: null, stuck: null } }, 'process 5 on h died while it ran this job'],
  ]
  for (const [over, message] of ends) {
    const settlement = afterLoss({ ...lost, ...over }, 0, () => 0)
    assert.equal(messageOf(settlement), message)
    const { end, rssBytes } = { ...lost, ...over }
    assert.deepEqual(
      'error' in settlement && settlement.error?.process,
      end ? { exitCode: end.exitCode, signal: end.signal, rssBytes } : undefined,
    )
  }
})

/** Ended because of `blocker`, by default the lost job itself. */
const endedFor = (blocker: string | null = lost.job, over: Stuck['over'] = 'limit'): Pick<LostJob, 'end'> => ({
  end: { exitCode: null, signal: 'SIGVTALRM', stuck: { over, blocker } },
})

test('of a worker that stood still, the job that blocked it has failed if it was past its timeout', () => {
  const backoff = planBackoff({ type: 'exponential', base: 1000, jitter: true })
  const policy = { ...defaultPolicy, timeoutMs: 60_000, maxAttempts: 4, backoff }
  const stuck = { ...endedFor(), policy, startedAt: 1000 }
  const late = 1000 + 60_000
  const own = { ...hold, worker: 'w' }
  assert.deepEqual(after(stuck, late - 1), { ...own, outcome: 'release' })
  assert.deepEqual(after(stuck, late), { ...own, outcome: 'retry', delayMs: 750, code: 'TIMEOUT' })
  assert.deepEqual(after({ ...stuck, ...endedFor(lost.job, 'deadline') }, late - 1), { ...own, outcome: 'release' })
  const again = { ...stuck, attempt: 8, attemptBase: 6, policy: { ...policy, maxAttempts: 10 } }
  assert.deepEqual(after(again, late), { ...own, outcome: 'retry', delayMs: 1500, code: 'TIMEOUT' })
  const last = { ...own, outcome: 'bury', reason: 'exhausted', code: 'TIMEOUT' }
  assert.deepEqual(after({ ...stuck, attempt: 4 }, late), last)
  assert.deepEqual(after({ ...stuck, policy: { ...policy, timeoutMs: 0 } }, late), { ...own, outcome: 'release' })
  assert.match(messageOf(afterLoss({ ...lost, ...stuck }, late, () => 0)), /did not end within its timeout of 1m/)
})

test('of a worker that stood still, what waited beside the one that blocked it is handed back, however late it is', () => {
  const policy = { ...defaultPolicy, timeoutMs: 1_000 }
  const released = { ...hold, worker: 'w', outcome: 'release' }
  assert.deepEqual(after({ ...endedFor('another'), policy }, 3_600_000), released)
  assert.deepEqual(after({ ...endedFor(null, 'deadline'), policy }, 3_600_000), released)
})

test('of a worker that stood still, and nobody knows by whom, all jobs are suspects', () => {
  const crash = { ...hold, worker: 'w', outcome: 'crash', code: 'WORKER_LOST' }
  assert.deepEqual(after(endedFor(null), 3_600_000), crash)
  assert.deepEqual(after({ ...endedFor(null), crashes: 2 }, 3_600_000), { ...crash, bury: 'poison' })
  assert.match(
    messageOf(afterLoss({ ...lost, ...endedFor(null) }, 0, () => 0)),
    /did not let it go on, perhaps this one/,
  )
})

test('of a worker that stood still, what may start only once is lost', () => {
  const policy = { ...defaultPolicy, timeoutMs: 60_000, delivery: 'at-most-once' } as const
  const bury = { ...hold, worker: 'w', outcome: 'bury', reason: 'lost' }
  assert.deepEqual(after({ ...endedFor('another'), policy }, 3_600_000), { ...bury, code: 'WORKER_LOST' })
  assert.deepEqual(after({ ...endedFor(), policy }, 3_600_000), { ...bury, code: 'TIMEOUT' })
  const only = { ...endedFor(), policy: { ...policy, maxAttempts: 1 } }
  assert.deepEqual(after(only, 3_600_000), { ...bury, reason: 'exhausted', code: 'TIMEOUT' })
})

test('the death of the child that ran a job is a crash like that of a worker', () => {
  const end = { exitCode: 1, signal: null, rssBytes: null }
  const crash = { ...hold, outcome: 'crash', code: 'CHILD_LOST' }
  assert.deepEqual(
    [0, 1, 2, 3].map((crashes) => decision(afterChildDeath(claimed({ crashes }), 'exit code 1', end))),
    [crash, crash, { ...crash, bury: 'poison' }, { ...crash, bury: 'poison' }],
  )
  const once = claimed({}, { delivery: 'at-most-once' })
  assert.deepEqual(decision(afterChildDeath(once, 'exit code 1', end)), { ...crash, bury: 'lost' })
})

test('a job for which no child could be started waits, and nothing is counted, for it was not started', () => {
  const once = claimed({ attempt: 6 }, { delivery: 'at-most-once' })
  for (const job of [claimed({ attempt: 6 }), once]) {
    const snooze = { ...hold, outcome: 'snooze', delayMs: 500, code: 'CHILD_UNAVAILABLE' }
    assert.deepEqual(decision(afterNoStart(job, 'EMFILE', 500)), snooze)
  }
})
