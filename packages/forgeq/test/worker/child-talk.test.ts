// Errors between a worker and its children: what steers the job crosses whole.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Discard, ForgeError, RateLimited, RetryIn } from 'forgeq'
import { packError, unpackError } from '#src/worker/child-talk.js'

/** As messages travel: structured clones, without classes. */
const across = (error: unknown): Error => unpackError(structuredClone(packError(error)))

test('a decision arrives as the decision it was', () => {
  for (const scope of ['key', 'type', 'queue'] as const) {
    const error = across(new RateLimited('90s', scope, { message: 'slow down' }))
    assert.ok(error instanceof RateLimited)
    assert.deepEqual([error.retryAfterMs, error.scope, error.message], [90_000, scope, 'slow down'])
  }
  const retry = across(new RetryIn('5m', { countAttempt: false }))
  assert.ok(retry instanceof RetryIn)
  assert.deepEqual([retry.delayMs, retry.countAttempt], [300_000, false])
  assert.ok(across(new Discard('bounces')) instanceof Discard)
  assert.ok(ForgeError.is(across(new ForgeError('NOT_FOUND', 'gone')), 'NOT_FOUND'))
})
