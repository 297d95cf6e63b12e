import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatMs, toMs, type Duration } from '#src/core/duration.js'
import { ForgeError } from '#src/core/errors.js'

const units = { ms: 1n, s: 1000n, m: 60_000n, h: 3_600_000n, d: 86_400_000n } as const

test('a duration with a unit is exact, in whole milliseconds rounded up', () => {
  const parts = fc.record({
    whole: fc.integer({ min: 0, max: 3649 }),
    decimals: fc.stringMatching(/^\d{0,4}$/),
    unit: fc.constantFrom('ms', 's', 'm', 'h', 'd'),
  })
  fc.assert(
    fc.property(parts, ({ whole, decimals, unit }) => {
      const scale = 10n ** BigInt(decimals.length)
      const scaledMs = BigInt(`${whole}${decimals}`) * units[unit]
      const text = decimals === '' ? `${whole}${unit}` : `${whole}.${decimals}${unit}`
      assert.equal(toMs(text as Duration, 'delay'), Number((scaledMs + scale - 1n) / scale))
    }),
    { numRuns: 2000 },
  )
})

test('numbers are milliseconds, rounded up', () => {
  assert.equal(toMs(0, 'delay'), 0)
  assert.equal(toMs(1.2, 'delay'), 2)
  assert.equal(toMs('.5s', 'delay'), 500)
  assert.equal(toMs('3650d', 'delay'), 3650 * 86_400_000)
})

test('what is no duration is refused under the name of its option', () => {
  const wrong = [
    -1,
    Number.NaN,
    Infinity,
    '10 parsecs',
    '-5s',
    '1.s',
    '1e3s',
    '5',
    '',
    's',
    ' 5s',
    '3651d',
    null,
    {},
    [5],
  ]
  for (const value of wrong) {
    assert.throws(
      () => toMs(value as Duration, 'timeout'),
      (error) => {
        assert(ForgeError.is(error, 'INVALID_OPTION'))
        assert.deepEqual(
          error.problems?.map(({ path }) => path),
          ['timeout'],
        )
        return error.message.startsWith('timeout must be')
      },
      JSON.stringify(value),
    )
  }
})

test('people read the largest unit that fits, with at most one decimal', () => {
  const written = [0, 7, 999, 1000, 1500, 1234, 90_000, 600_000, 3_600_000, 172_800_000].map(formatMs)
  assert.deepEqual(written, ['0ms', '7ms', '999ms', '1s', '1.5s', '1.2s', '1.5m', '10m', '1h', '2d'])
})

test('what people read is close to the truth and is itself a duration', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 10 ** 11 }), (ms) => {
      assert(Math.abs(toMs(formatMs(ms), 'delay') - ms) <= ms * 0.051)
    }),
  )
})
