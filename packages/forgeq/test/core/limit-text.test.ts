import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ForgeError } from '#src/core/errors.js'
import { changeLimits, noLimits } from '#src/core/limit.js'
import { formatRate, readLimits, readRate, type Limits } from '#src/core/limit-text.js'

const day = 86_400_000

test('a rate is starts per time', () => {
  const texts: [string, number, number][] = [
    ['1000/m', 1000, 60_000],
    ['10/s', 10, 1000],
    ['5/30s', 5, 30_000],
    ['100/h', 100, 3_600_000],
    ['2000/d', 2000, day],
    ['1/ms', 1, 1],
    ['1/250ms', 1, 250],
    ['100000/30d', 100_000, 30 * day],
    ['3/1.5s', 3, 1500],
  ]
  for (const [text, max, perMs] of texts) assert.deepEqual(readRate(text, 'rate'), { max, perMs }, text)
  assert.equal(readRate('none', 'rate'), null)
  assert.equal(readRate(null, 'rate'), null)
  assert.deepEqual(readRate({ max: 5, per: '30s' }, 'rate'), { max: 5, perMs: 30_000 })
  assert.deepEqual(readRate({ max: 5, per: 250 }, 'rate'), { max: 5, perMs: 250 })
  assert.deepEqual(readRate({ max: 5, perMs: 250 }, 'rate', 'perMs'), { max: 5, perMs: 250 })
})

test('a rate is written as people write it, and read back as it was', () => {
  const rates: [number, number, string][] = [
    [1000, 60_000, '1000/m'],
    [5, 30_000, '5/30s'],
    [1, 1, '1/ms'],
    [2, 1500, '2/1500ms'],
    [7, 90_000, '7/90s'],
    [7, 7 * day, '7/7d'],
  ]
  for (const [max, perMs, text] of rates) {
    assert.equal(formatRate({ max, perMs }), text)
    assert.deepEqual(readRate(text, 'rate'), { max, perMs })
  }
})

test('limits become settings; what is left out stays out', () => {
  assert.deepEqual(readLimits({}), {})
  assert.deepEqual(readLimits({ rate: undefined, perKey: undefined }), {})
  const limits: Limits = {
    accepting: false,
    concurrency: 10_000,
    rate: { max: 100, per: '1m' },
    ratePerPriority: { high: '1000/m', 5: { max: 1, per: 1000 }, low: null, 9: 'none' },
    perKey: { concurrency: 2, rate: '10/s' },
    maxDepth: 1_000_000_000,
  }
  assert.deepEqual(readLimits(limits), {
    accepting: false,
    concurrency: 10_000,
    rate: { max: 100, perMs: 60_000 },
    rates: { 2: { max: 1000, perMs: 60_000 }, 5: { max: 1, perMs: 1000 }, 8: null, 9: null },
    perKey: { concurrency: 2, rate: { max: 10, perMs: 1000 } },
    maxDepth: 1_000_000_000,
  })
})

test('null takes limits away', () => {
  const all = { concurrency: null, rate: null, ratePerPriority: { high: null }, perKey: null, maxDepth: null }
  const settings = readLimits(all)
  assert.deepEqual(settings, { concurrency: null, rate: null, rates: { 2: null }, perKey: null, maxDepth: null })
  const limited = changeLimits(noLimits, readLimits({ concurrency: 5, rate: '1/s', ratePerPriority: { high: '1/s' } }))
  assert.deepEqual(changeLimits(limited, settings), noLimits)
})

test('of keys only what is named is set', () => {
  assert.deepEqual(readLimits({ perKey: { ordered: true } }).perKey, { ordered: true })
  assert.deepEqual(readLimits({ perKey: { ordered: true, concurrency: 1 } }).perKey, { ordered: true, concurrency: 1 })
  assert.deepEqual(readLimits({ perKey: { rate: null, concurrency: null } }).perKey, { rate: null, concurrency: null })
  assert.deepEqual(readLimits({ perKey: {} }).perKey, {})
})

test('what is out of range is refused under its path', () => {
  const wrong: [unknown, string?][] = [
    [null],
    [5],
    [{ concurency: 5 }, 'concurency'],
    [{ accepting: 'no' }, 'accepting'],
    [{ concurrency: 0 }, 'concurrency'],
    [{ concurrency: 1.5 }, 'concurrency'],
    [{ concurrency: 10_001 }, 'concurrency'],
    [{ concurrency: '5' }, 'concurrency'],
    [{ rate: '100' }, 'rate'],
    [{ rate: '0/s' }, 'rate'],
    [{ rate: '100001/s' }, 'rate'],
    [{ rate: '1/0s' }, 'rate'],
    [{ rate: '1/31d' }, 'rate'],
    [{ rate: '1/.s' }, 'rate'],
    [{ rate: '1/week' }, 'rate'],
    [{ rate: '-1/s' }, 'rate'],
    [{ rate: 5 }, 'rate'],
    [{ rate: { max: 5 } }, 'rate.per'],
    [{ rate: { max: 5, per: 0 } }, 'rate.per'],
    [{ rate: { max: 5, per: '31d' } }, 'rate.per'],
    [{ rate: { max: 0, per: 1 } }, 'rate.max'],
    [{ rate: { max: '5', per: 1 } }, 'rate.max'],
    [{ rate: { max: 5, per: 1, perMs: 1 } }, 'rate.perMs'],
    [{ ratePerPriority: '5/s' }, 'ratePerPriority'],
    [{ ratePerPriority: { urgent: '5/s' } }, 'ratePerPriority.urgent'],
    [{ ratePerPriority: { 10: '5/s' } }, 'ratePerPriority.10'],
    [{ ratePerPriority: { 2: '5/s', high: '6/s' } }, 'ratePerPriority.high'],
    [{ ratePerPriority: { low: { max: 5, per: 'x' } } }, 'ratePerPriority.low.per'],
    [{ perKey: 5 }, 'perKey'],
    [{ perKey: { concurrency: 1001 } }, 'perKey.concurrency'],
    [{ perKey: { ordered: true, concurrency: 2 } }, 'perKey.concurrency'],
    [{ perKey: { ordered: 1 } }, 'perKey.ordered'],
    [{ perKey: { rate: 'x' } }, 'perKey.rate'],
    [{ perKey: { maxDepth: 5 } }, 'perKey.maxDepth'],
    [{ maxDepth: 0 }, 'maxDepth'],
    [{ maxDepth: 1_000_000_001 }, 'maxDepth'],
  ]
  for (const [limits, path] of wrong) {
    assert.throws(
      () => readLimits(limits as Limits),
      (error) => ForgeError.is(error, 'INVALID_OPTION') && error.problems?.[0]?.path === path,
      JSON.stringify(limits),
    )
  }
})

test('where a window is a number, its name and its rule say so', () => {
  for (const rate of [
    { max: 5, per: 1 },
    { max: 5, perMs: 0 },
    { max: 5, perMs: 2_592_000_001 },
  ]) {
    assert.throws(
      () => readLimits({ rate }, 'perMs'),
      /^ForgeError: rate\.per(Ms must be a whole number of milliseconds from 1 to 2592000000| is not known)/,
    )
  }
})
