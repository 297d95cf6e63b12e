import assert from 'node:assert/strict'
import { randomFillSync } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { ForgeError } from '#src/core/errors.js'
import { checkId, idSource, idTime, isId } from '#src/core/id.js'

const random = (bytes: Uint8Array): void => {
  randomFillSync(bytes)
}

test('ids rise strictly whatever the clock does', () => {
  const clock = fc.array(fc.tuple(fc.integer({ min: 0, max: 2 ** 47 }), fc.integer({ min: 1, max: 20 })), {
    minLength: 1,
  })
  fc.assert(
    fc.property(clock, (readings) => {
      let now = 0
      const next = idSource(() => now, random)
      let last = ''
      for (const [at, count] of readings) {
        now = at
        for (let i = 0; i < count; i++) {
          const id = next()
          assert(id > last, `${id} after ${last}`)
          assert(isId(id))
          last = id
        }
      }
    }),
  )
})

test('a hundred thousand ids of one millisecond are distinct, in order, and carry into the time', () => {
  const startAt = Date.UTC(2026, 0, 1)
  const next = idSource(() => startAt + 0.7, random)
  const ids = Array.from({ length: 100_000 }, next)
  assert.equal(new Set(ids).size, ids.length)
  assert.deepEqual(ids.toSorted(), ids)
  assert.equal(idTime(ids[0]!), startAt)
  // 4096 ids at most per millisecond, 2048 at least in the first.
  assert(idTime(ids.at(-1)!) - startAt >= 24 && idTime(ids.at(-1)!) - startAt <= 25)
})

test('every bit that may vary does, and no other', () => {
  let now = 0
  const next = idSource(() => (now += 1_234_567), random)
  const ids = Array.from({ length: 5000 }, () => BigInt(`0x${next().replaceAll('-', '')}`))
  const ever = ids.reduce((bits, id) => bits | id)
  const always = ids.reduce((bits, id) => bits & id)
  const varying = (1n << 128n) - 1n - always - ((1n << 128n) - 1n - ever)
  const expected = BigInt('0x00000000000007ff3fffffffffffffff')
  assert.equal(varying & BigInt('0x000000000000ffffffffffffffffffff'), expected)
  assert.equal(always & BigInt('0x000000000000f000c000000000000000'), BigInt('0x00000000000070008000000000000000'))
})

test('two sources at the same instant do not meet', () => {
  const sources = [idSource(() => 5, random), idSource(() => 5, random)]
  const ids = sources.flatMap((next) => Array.from({ length: 5000 }, next))
  assert.equal(new Set(ids).size, 10_000)
})

test('the time of an id is the one it was made at', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2 ** 48 - 1 }), (at) =>
      assert.equal(idTime(idSource(() => at, random)()), at),
    ),
  )
})

test('only a UUIDv7 in lower case is an id', () => {
  const good = '018f4e3a-7c00-7abc-8def-0123456789ab'
  assert(isId(good))
  checkId(good)
  const wrong = [
    good.toUpperCase(),
    good.replace('-7abc', '-4abc'),
    good.replace('-8def', '-7def'),
    `${good}\n`,
    ` ${good}`,
    good.replaceAll('-', ''),
    `${good}0`,
    'x',
    '',
    7,
    null,
    undefined,
  ]
  for (const id of wrong)
    assert.throws(
      () => checkId(id),
      (error) => ForgeError.is(error, 'INVALID_ID'),
      String(id),
    )
})
