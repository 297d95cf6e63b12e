import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { defaultBackoff, delayAfter, planBackoff, type Backoff, type BackoffRule } from '#src/core/backoff.js'
import { ForgeError } from '#src/core/errors.js'

const failures = fc.integer({ min: 1, max: 5000 })
const ms = fc.integer({ min: 0, max: 10 ** 8 })
const rule = fc.oneof(
  fc.record({
    type: fc.constant('exponential' as const),
    base: ms,
    factor: fc.double({ min: 1, max: 100, noNaN: true }),
    max: ms,
  }),
  fc.record({ type: fc.constant('fixed' as const), delay: ms }),
  fc.record({ type: fc.constant('list' as const), delays: fc.array(ms, { minLength: 1, maxLength: 100 }) }),
)

/** Multiplies failure by failure, as one would by hand. */
function byHand(given: BackoffRule, failure: number): number {
  if (given.type === 'fixed') return given.delay as number
  if (given.type === 'list') return (given.delays[failure - 1] ?? given.delays.at(-1)) as number
  const max = given.max as number
  let delay = given.base as number
  for (let i = 1; i < failure && delay > 0 && delay < max; i++) delay *= given.factor!
  return Math.min(delay, max)
}

test('without jitter the delay is what one computes by hand', () => {
  fc.assert(
    fc.property(rule, failures, (given, failure) => {
      const delay = delayAfter(planBackoff({ ...given, jitter: false }), failure, () =>
        assert.fail('asked for randomness'),
      )
      const expected = byHand(given, failure)
      assert(Number.isInteger(delay))
      assert(Math.abs(delay - expected) <= 1 + expected * 1e-9, `${delay}, by hand ${expected}`)
    }),
    { numRuns: 1000 },
  )
})

test('jitter takes away up to half of the delay, evenly', () => {
  fc.assert(
    fc.property(
      rule,
      failures,
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      (given, failure, random) => {
        const full = delayAfter(planBackoff({ ...given, jitter: false }), failure, () => 0)
        const delay = delayAfter(planBackoff(given), failure, () => random)
        assert(Math.abs(delay - full * (0.5 + random / 2)) <= 2, `${delay} of ${full}`)
        assert(delay <= full)
      },
    ),
  )
})

test('the default doubles from one second to one hour', () => {
  const plan = planBackoff({ type: 'exponential', jitter: false })
  assert.deepEqual(
    [1, 2, 3, 4, 12, 13, 10_000].map((n) => delayAfter(plan, n, () => 0) / 1000),
    [1, 2, 4, 8, 2048, 3600, 3600],
  )
  assert.deepEqual(planBackoff({ type: 'exponential' }), defaultBackoff)
})

test('a base above the default maximum raises it', () => {
  assert.equal(
    delayAfter(planBackoff({ type: 'exponential', base: '2h', jitter: false }), 3, () => 0),
    7_200_000,
  )
})

test('a function out of reach waits as the default does', () => {
  const plan = planBackoff(() => '5m')
  assert.deepEqual(plan, { type: 'function' })
  assert.equal(
    delayAfter(plan, 2, () => 1),
    2000,
  )
})

test('a backoff out of range is refused with the path of what is wrong', () => {
  const wrong: [unknown, string][] = [
    [{ type: 'linear' }, 'backoff.type'],
    [{}, 'backoff.type'],
    [null, 'backoff'],
    ['1s', 'backoff'],
    [{ type: 'exponential', factor: 0.5 }, 'backoff.factor'],
    [{ type: 'exponential', factor: Number.NaN }, 'backoff.factor'],
    [{ type: 'exponential', factor: '2' }, 'backoff.factor'],
    [{ type: 'exponential', base: '1x' }, 'backoff.base'],
    [{ type: 'exponential', max: -1 }, 'backoff.max'],
    [{ type: 'exponential', jitter: 1 }, 'backoff.jitter'],
    [{ type: 'fixed' }, 'backoff.delay'],
    [{ type: 'list', delays: [] }, 'backoff.delays'],
    [{ type: 'list', delays: '1s' }, 'backoff.delays'],
    [{ type: 'list', delays: Array.from({ length: 101 }, () => 1) }, 'backoff.delays'],
    [{ type: 'list', delays: [1, '2s', 'soon'] }, 'backoff.delays.2'],
  ]
  for (const [backoff, path] of wrong) {
    assert.throws(
      () => planBackoff(backoff as Backoff),
      (error) => ForgeError.is(error, 'INVALID_OPTION') && error.problems?.[0]?.path === path,
      JSON.stringify(backoff),
    )
  }
})
