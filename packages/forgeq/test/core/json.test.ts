import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ForgeError } from '#src/core/errors.js'
import { checkJson, encodeJson, rawMember } from '#src/core/json.js'

const mebibyte = 1_048_576
const encode = (value: unknown, maxBytes = mebibyte): string => encodeJson(value, 'payload', maxBytes)
const check = (text: string, maxBytes = mebibyte): unknown => checkJson(text, 'payload', maxBytes)

const invalidAt = (path: string) => (error: unknown) =>
  ForgeError.is(error, 'INVALID_JSON') && error.problems?.[0]?.path === path && error.message.startsWith('payload')

const nest = (depth: number): unknown => (depth === 0 ? 1 : [nest(depth - 1)])

// Texts as hostile as the grammar allows: any white space, any escapes, duplicate members, numbers no double can hold.
const space = fc.string({ unit: fc.constantFrom(' ', '\t', '\n', '\r'), maxLength: 3 })
const character = fc.oneof(
  fc.constantFrom(
    'a',
    'b',
    '\\"',
    '\\\\',
    '\\/',
    '\\b',
    '\\n',
    '\\u0061',
    '\\u0000',
    '\\ud800',
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
    ' ',
  ),
  fc.string({ unit: 'grapheme', minLength: 1, maxLength: 1 }).filter((text) => /^[^"\\\p{Cc}]+$/u.test(text)),
)
const string = fc.array(character, { maxLength: 6 }).map((characters) => `"${characters.join('')}"`)
const scalar = fc.oneof(
  string,
  fc.constantFrom('0', '-0', '1.0', '9007199254740993', '1e400', '-2.5E-3', 'true', 'false', 'null'),
)
const wrap = (open: string, items: readonly string[], gap: string, close: string): string =>
  `${open}${gap}${items.join(`${gap},${gap}`)}${gap}${close}`
const { value } = fc.letrec<{ value: string }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    scalar,
    fc.tuple(fc.array(tie('value'), { maxLength: 4 }), space).map(([items, gap]) => wrap('[', items, gap, ']')),
    fc.tuple(fc.array(fc.tuple(string, tie('value')), { maxLength: 4 }), space).map(([members, gap]) =>
      wrap(
        '{',
        members.map(([key, member]) => `${key}${gap}:${gap}${member}`),
        gap,
        '}',
      ),
    ),
  ),
}))
const member = fc.tuple(fc.oneof(fc.constantFrom('"a"', '"\\u0061"', '"b"', '"__proto__"', '""'), string), value)
const object = fc.tuple(fc.array(member, { maxLength: 6 }), space).map(([members, gap]) => ({
  members,
  text:
    gap +
    wrap(
      '{',
      members.map(([key, raw]) => `${key}${gap}:${gap}${raw}`),
      gap,
      '}',
    ) +
    gap,
}))

test('a raw member is the text that stands there, of duplicates the last', () => {
  fc.assert(
    fc.property(object, fc.constantFrom('a', 'b', '__proto__', '', 'missing'), ({ members, text }, key) => {
      const last = members.findLast(([written]) => JSON.parse(written) === key)
      assert.equal(rawMember(text, key), last?.[1])
      if (last !== undefined) {
        const parsed = Object.getOwnPropertyDescriptor(JSON.parse(text), key)?.value
        assert.deepEqual(JSON.parse(last[1]), parsed)
      }
    }),
    { numRuns: 3000 },
  )
})

test('a text that is no object has no members', () => {
  fc.assert(
    fc.property(value, (text) => {
      if (!text.startsWith('{')) assert.equal(rawMember(text, 'a'), undefined)
    }),
  )
})

test('numbers that JavaScript cannot hold come out of a text as they went in', () => {
  const text = '{ "payload" : [9007199254740993, 1.0, 1e400, -0] , "delay": 5 }'
  assert.equal(rawMember(text, 'payload'), '[9007199254740993, 1.0, 1e400, -0]')
  assert.equal(rawMember(text, 'delay'), '5')
})

test('a text is accepted exactly when JSON.parse accepts it', () => {
  const broken = fc
    .tuple(value, fc.nat(), fc.constantFrom('', '"', '{', ']', '\\', ',', '\0'))
    .map(([text, at, insert]) => {
      const cut = at % (text.length + 1)
      return text.slice(0, cut) + insert + text.slice(cut + 1)
    })
  fc.assert(
    fc.property(fc.oneof(value, broken), (text) => {
      let expected: unknown
      try {
        expected = JSON.parse(text)
      } catch {
        assert.throws(() => check(text), invalidAt(''))
        return
      }
      assert.deepEqual(check(text), expected)
    }),
    { numRuns: 3000 },
  )
})

test('64 levels are accepted, the 65th is refused, whether as a value or as a text', () => {
  for (const text of [JSON.stringify(nest(64)), '{"a":'.repeat(64) + '1' + '}'.repeat(64)]) {
    assert.equal(encode(check(text)), text)
  }
  assert.throws(() => encode(nest(65)), invalidAt(Array.from({ length: 64 }, () => '0').join('.')))
  assert.throws(() => check(JSON.stringify(nest(65))), invalidAt(''))
})

test('a hundred thousand levels are refused before anything recurses', () => {
  assert.throws(() => check('['.repeat(100_000)), invalidAt(''))
  assert.throws(() => check(`${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`), invalidAt(''))
  assert.throws(() => check(`[${'[],'.repeat(1000)}${'['.repeat(65)}`), invalidAt(''))
})

test('brackets in strings are not levels', () => {
  const text = JSON.stringify([`${'['.repeat(1000)}\\"${'{'.repeat(1000)}`])
  assert.deepEqual(check(text), JSON.parse(text))
})

test('size counts bytes of UTF-8', () => {
  assert.equal(encode('x'.repeat(98), 100).length, 100)
  assert.equal(encode('é'.repeat(49), 100).length, 51)
  for (const value of ['x'.repeat(99), 'é'.repeat(50), '😀'.repeat(25)]) {
    const tooLarge = (error: unknown): boolean =>
      ForgeError.is(error, 'TOO_LARGE') && error.message.startsWith('payload')
    assert.throws(() => encode(value, 100), tooLarge)
    assert.throws(() => check(JSON.stringify(value), 100), tooLarge)
  }
})

test('what JSON can hold is encoded as JSON.stringify does', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (given) => assert.equal(encode(given), JSON.stringify(given))),
    { numRuns: 1000 },
  )
  const dated = {
    at: new Date(0),
    gone: undefined,
    list: [undefined, '\ud800', -0],
    own: { toJSON: (key: string) => key },
  }
  assert.equal(encode(dated), '{"at":"1970-01-01T00:00:00.000Z","list":[null,"\\ud800",0],"own":"own"}')
  assert.equal(encode(JSON.parse('{"__proto__":1}')), '{"__proto__":1}')
})

test('no input is null', () => {
  assert.equal(encode(undefined), 'null')
  assert.equal(encode({ toJSON: () => undefined }), 'null')
})

test('an object that gives itself as its JSON form is looked into once', () => {
  class Order {
    readonly total: number
    constructor(total: number) {
      this.total = total
    }
    toJSON(): this {
      return this
    }
  }
  assert.equal(encode(new Order(5)), '{"total":5}')
  assert.throws(() => encode({ order: new Order(Number.NaN) }), invalidAt('order.total'))
})

test('a promise is refused with what to do', () => {
  const says = (error: unknown): boolean => ForgeError.is(error) && error.message.includes('await it')
  assert.throws(() => encode({ user: Promise.resolve(1) }), says)
})

test('an object of any class is stored as its own properties, or as its toJSON says', () => {
  class Money {
    readonly cents = 5
  }
  class Refusal extends Error {
    toJSON(): unknown {
      return { code: 'refused' }
    }
  }
  assert.equal(encode([new Money(), Object.create(null), new Refusal('x')]), '[{"cents":5},{},{"code":"refused"}]')
  assert.equal(encode(Buffer.from('a')), '{"type":"Buffer","data":[97]}')
})

test('what JSON would change or drop without a word is refused with its path', () => {
  const cycle: unknown[] = []
  cycle.push({ back: cycle })
  const wrong: [unknown, string][] = [
    [Number.NaN, ''],
    [{ prices: [1, 2, Infinity] }, 'prices.2'],
    [{ a: { b: -Infinity } }, 'a.b'],
    [{ id: 5n }, 'id'],
    [{ done: () => true }, 'done'],
    [Symbol('x'), ''],
    [[{ at: new Date('never') }], '0.at'],
    [{ by: new Map([[1, 2]]) }, 'by'],
    [{ seen: new Set() }, 'seen'],
    [{ own: { toJSON: () => Number.NaN } }, 'own'],
    [Promise.resolve(1), ''],
    // As query builders are: awaited, not asked to run.
    [{ user: Object.create(Object.fromEntries(new Map([['then', () => {}]]))) }, 'user'],
    [{ match: /x/g }, 'match'],
    [{ failure: new TypeError('x') }, 'failure'],
    [{ seen: new WeakSet() }, 'seen'],
    [[new WeakMap()], '0'],
    [{ bytes: new Uint8Array(2) }, 'bytes'],
    [{ bytes: new ArrayBuffer(2) }, 'bytes'],
    [{ bytes: new DataView(new ArrayBuffer(2)) }, 'bytes'],
    [cycle, Array.from({ length: 64 }, (_, i) => (i % 2 === 0 ? '0' : 'back')).join('.')],
  ]
  for (const [given, path] of wrong) assert.throws(() => encode(given), invalidAt(path), path)
})
