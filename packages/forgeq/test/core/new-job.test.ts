import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ForgeError, type ErrorCode } from '#src/core/errors.js'
import { newJob } from '#src/core/new-job.js'
import { defaultPolicy, type EnqueueOptions } from '#src/core/policy.js'
import type { NewJob } from '#src/store/records.js'

const id = '018f4e3a-7c00-7abc-8def-0123456789ab'
const make = (options: EnqueueOptions): NewJob => newJob('send-email', '{}', defaultPolicy, options, () => id)

test('without options a job is its type, payload and policy', () => {
  assert.deepEqual(make({}), { id, type: 'send-email', payload: '{}', policy: defaultPolicy })
})

test('options become numbers and plain texts', () => {
  const own = id.replace('018f', '018e')
  const options: EnqueueOptions = {
    id: own,
    delay: '10m',
    at: new Date(5),
    expire: '1d',
    unique: 'welcome:42',
    key: 'tenant:7 é',
    tags: ['a', 'ü😀', 'a'],
  }
  assert.deepEqual(make(options), {
    id: own,
    type: 'send-email',
    payload: '{}',
    policy: defaultPolicy,
    delayMs: 600_000,
    runAt: 5,
    expireMs: 86_400_000,
    unique: { key: 'welcome:42', until: 'done', onConflict: 'keep' },
    key: 'tenant:7 é',
    tags: ['a', 'ü😀'],
  })
})

test('a unique key is held until the end of its job, or as it is said', () => {
  const read = (unique: NonNullable<EnqueueOptions['unique']>): unknown => make({ unique }).unique
  const key = 'welcome:42'
  assert.deepEqual(read({ key }), { key, until: 'done', onConflict: 'keep' })
  assert.deepEqual(read({ key, until: 'start' }), { key, until: 'start', onConflict: 'keep' })
  assert.deepEqual(read({ key, for: '10m', onConflict: 'error' }), { key, forMs: 600_000, onConflict: 'error' })
  assert.deepEqual(read({ key, for: 0.5, onConflict: 'replace' }), { key, forMs: 1, onConflict: 'replace' })
})

test('an option that does not exist is refused: it would silently do nothing', () => {
  for (const options of [{ dealy: '1h' }, { tx: {} }, { after: [] }, { isolation: 'process' }]) {
    assert.throws(() => make(options as EnqueueOptions), { code: 'INVALID_OPTION', message: /is no option of enqueue/ })
  }
})

test('tags are a copy', () => {
  const tags = ['a']
  const job = make({ tags })
  tags.push('b')
  assert.deepEqual(job.tags, ['a'])
})

test('what is out of range is refused under the name of its option', () => {
  const wrong: [unknown, ErrorCode, string?][] = [
    [{ id: 'x' }, 'INVALID_ID'],
    [{ id: null }, 'INVALID_ID'],
    [{ delay: '-1s' }, 'INVALID_OPTION', 'delay'],
    [{ at: new Date('never') }, 'INVALID_OPTION', 'at'],
    [{ at: 5 }, 'INVALID_OPTION', 'at'],
    [{ expire: 'never' }, 'INVALID_OPTION', 'expire'],
    [{ unique: '' }, 'INVALID_OPTION', 'unique'],
    [{ unique: 'x'.repeat(257) }, 'INVALID_OPTION', 'unique'],
    [{ unique: 'a\0b' }, 'INVALID_OPTION', 'unique'],
    [{ unique: '\ud800' }, 'INVALID_OPTION', 'unique'],
    [{ unique: 7 }, 'INVALID_OPTION', 'unique'],
    [{ unique: null }, 'INVALID_OPTION', 'unique'],
    [{ unique: ['a'] }, 'INVALID_OPTION', 'unique'],
    [{ unique: {} }, 'INVALID_OPTION', 'unique.key'],
    [{ unique: { key: '' } }, 'INVALID_OPTION', 'unique.key'],
    [{ unique: { key: 'a', untill: 'start' } }, 'INVALID_OPTION', 'unique.untill'],
    [{ unique: { key: 'a', forMs: 5 } }, 'INVALID_OPTION', 'unique.forMs'],
    [{ unique: { key: 'a', until: 'end' } }, 'INVALID_OPTION', 'unique.until'],
    [{ unique: { key: 'a', onConflict: 'drop' } }, 'INVALID_OPTION', 'unique.onConflict'],
    [{ unique: { key: 'a', for: 'ever' } }, 'INVALID_OPTION', 'unique.for'],
    [{ unique: { key: 'a', for: 0 } }, 'INVALID_OPTION', 'unique.for'],
    [{ unique: { key: 'a', for: '1m', until: 'start' } }, 'INVALID_OPTION', 'unique.for'],
    [{ key: '' }, 'INVALID_OPTION', 'key'],
    [{ key: 'x'.repeat(257) }, 'INVALID_OPTION', 'key'],
    [{ key: 'a\0b' }, 'INVALID_OPTION', 'key'],
    [{ key: '\udc00' }, 'INVALID_OPTION', 'key'],
    [{ key: 7 }, 'INVALID_OPTION', 'key'],
    [{ tags: 'a' }, 'INVALID_OPTION', 'tags'],
    [{ tags: Array.from({ length: 11 }, (_, i) => `t${i}`) }, 'INVALID_OPTION', 'tags'],
    [{ tags: ['a', 'x'.repeat(65)] }, 'INVALID_OPTION', 'tags.1'],
    [{ tags: ['a', 5] }, 'INVALID_OPTION', 'tags.1'],
  ]
  for (const [options, code, path] of wrong) {
    assert.throws(
      () => make(options as EnqueueOptions),
      (error) => ForgeError.is(error, code) && error.problems?.[0]?.path === path,
      JSON.stringify(options),
    )
  }
})
