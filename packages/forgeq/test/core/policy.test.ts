import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ForgeError } from '#src/core/errors.js'
import { defaultPolicy, explainPolicy, resolvePolicy, type Policy, type PolicyOverrides } from '#src/core/policy.js'

test('nothing said is the default', () => {
  assert.deepEqual(resolvePolicy({}), {
    queue: 'default',
    priority: 5,
    maxAttempts: 6,
    timeoutMs: 300_000,
    backoff: { type: 'exponential', baseMs: 1000, factor: 2, maxMs: 3_600_000, jitter: true },
    keepResultMs: 3_600_000,
    delivery: 'at-least-once',
  })
})

test('options go over the definition, the definition over the base', () => {
  const base = { ...defaultPolicy, queue: 'announced', timeoutMs: 7, keepResultMs: 9 }
  const resolved = resolvePolicy({ queue: 'mail', retries: 1, timeout: '1m' }, { retries: 0, priority: 'high' }, base)
  assert.deepEqual(resolved, { ...base, queue: 'mail', maxAttempts: 1, timeoutMs: 60_000, priority: 2 })
  assert.deepEqual(resolvePolicy({}, {}, base), base)
})

test('jobs of one definition share one policy object', () => {
  const policy: Policy = Object.freeze({ queue: 'mail' })
  assert.equal(resolvePolicy(policy), resolvePolicy(policy))
  assert.equal(resolvePolicy(policy, { id: 'x', delay: '5m', tags: ['a'] } as PolicyOverrides), resolvePolicy(policy))
  assert.notEqual(resolvePolicy(policy, { retries: 1 }), resolvePolicy(policy))
})

test('a shared policy is not the one of another base', () => {
  const policy: Policy = { queue: 'mail' }
  assert.equal(resolvePolicy(policy, undefined, { ...defaultPolicy, priority: 1 }).priority, 1)
  assert.equal(resolvePolicy(policy).priority, 5)
})

test('priorities have names and numbers', () => {
  const levels = (['high', 'normal', 'low', 0, 9] as const).map((priority) => resolvePolicy({ priority }).priority)
  assert.deepEqual(levels, [2, 5, 8, 0, 9])
})

test('at-most-once has no second try to count', () => {
  assert.equal(resolvePolicy({ delivery: 'at-most-once', retries: 5 }).maxAttempts, 1)
  assert.equal(explainPolicy({ delivery: 'at-most-once' }).retries, 0)
})

test('what is out of range is refused under the name of its option', () => {
  const wrong: [string, unknown[]][] = [
    ['queue', ['', 'a b', 'ä', 'x'.repeat(129), 5, null]],
    ['priority', ['urgent', -1, 10, 1.5, null, 'toString']],
    ['retries', [-1, 0.5, 10_001, '3', Infinity, null]],
    ['timeout', ['soon', -1]],
    ['keepResult', ['1w', Number.NaN]],
    ['delivery', ['exactly-once', null]],
    ['backoff.type', [{ type: 'none' }]],
  ]
  for (const [path, values] of wrong) {
    for (const value of values) {
      const policy = { [path.split('.')[0]!]: value } as Policy
      const refused = (error: unknown): boolean =>
        ForgeError.is(error, 'INVALID_OPTION') && error.problems?.[0]?.path === path
      assert.throws(() => resolvePolicy(policy), refused, `${path}: ${JSON.stringify(value)}`)
      assert.throws(() => resolvePolicy({}, policy as PolicyOverrides), refused, `${path}: ${JSON.stringify(value)}`)
    }
  }
})

test('isolation belongs to the definition, and is not stored', () => {
  assert.deepEqual(resolvePolicy({ isolation: 'process' }), resolvePolicy({}))
  assert.equal(explainPolicy({ isolation: 'process' }).isolation, 'process')
  for (const isolation of ['docker', '', null]) {
    assert.throws(
      () => resolvePolicy({ isolation } as unknown as Policy),
      (error) => ForgeError.is(error, 'INVALID_OPTION') && error.problems?.[0]?.path === 'isolation',
    )
  }
})

test('a backoff function belongs to the definition, where the worker finds it', () => {
  const backoff = (): number => 5
  assert.deepEqual(resolvePolicy({ backoff }).backoff, { type: 'function' })
  assert.throws(
    () => resolvePolicy({}, { backoff } as unknown as PolicyOverrides),
    (error) => ForgeError.is(error, 'INVALID_OPTION') && error.problems?.[0]?.path === 'backoff',
  )
})

test('an explained policy is in the words one writes it in', () => {
  assert.deepEqual(explainPolicy({ queue: 'mail', timeout: 90_000 }, { priority: 'high', retries: 2 }), {
    queue: 'mail',
    priority: 'high',
    retries: 2,
    backoff: { type: 'exponential', base: '1s', factor: 2, max: '1h', jitter: true },
    timeout: '1.5m',
    keepResult: '1h',
    delivery: 'at-least-once',
    isolation: 'inline',
  } satisfies Required<Policy>)
})

test('an explained policy means the same policy', () => {
  const policies: Policy[] = [
    {},
    { priority: 3, timeout: 1234, keepResult: 86_400_001, backoff: { type: 'fixed', delay: 1 } },
    { delivery: 'at-most-once', backoff: { type: 'list', delays: ['1s', 2345], jitter: false } },
    { retries: 0, backoff: { type: 'exponential', base: '2h', factor: 1.5 } },
    { backoff: () => 5 },
  ]
  for (const policy of policies) assert.deepEqual(resolvePolicy(explainPolicy(policy)), resolvePolicy(policy))
})
