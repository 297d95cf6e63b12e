import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { caps } from '#src/core/caps.js'
import { ForgeError } from '#src/core/errors.js'
import { keepFailure, toFailure } from '#src/core/failure.js'

const bytes = (value: unknown): number => Buffer.byteLength(JSON.stringify(value))

const trap = (): never => {
  throw new Error('trapped')
}
const lies = Object.fromEntries(['name', 'message', 'stack', 'cause'].map((key) => [key, { get: trap }]))
const liar: unknown = Object.create(Error.prototype, lies)
const proxy: unknown = new Proxy(new Error('x'), { get: trap, getPrototypeOf: trap, has: trap, ownKeys: trap })
const cyclic: Error = new Error('round')
cyclic.cause = cyclic

test('an error keeps its name, message and stack', () => {
  const failure = toFailure(new RangeError('too far'))
  assert.equal(failure.code, 'HANDLER_ERROR')
  assert.equal(failure.name, 'RangeError')
  assert.equal(failure.message, 'too far')
  assert.match(failure.stack ?? '', /^RangeError: too far\n    at .*failure\.test/)
})

test('a ForgeError keeps its code and problems; a code that is given wins', () => {
  const problems = [{ path: 'to', message: 'is missing' }]
  const error = new ForgeError('INVALID_INPUT', 'bad', { problems })
  assert.deepEqual(toFailure(error).problems, problems)
  assert.equal(toFailure(error).code, 'INVALID_INPUT')
  assert.equal(toFailure(error, 'TIMEOUT').code, 'TIMEOUT')
})

test('of an error from another process the record is kept that was made there', () => {
  const error = new Error('short')
  const failure = { code: 'HANDLER_ERROR', name: 'Refusal', message: 'long', stack: 'Refusal: long\n    at there' }
  keepFailure(error, failure)
  assert.deepEqual(toFailure(error), failure)
  assert.deepEqual(toFailure(error, 'TIMEOUT'), { ...failure, code: 'TIMEOUT' })
})

test('causes and aggregated errors follow, each once', () => {
  const refused = Object.assign(new Error(''), { code: 'ECONNREFUSED' })
  const both = new AggregateError([refused, new Error('second')], '')
  const { stack = '' } = toFailure(new Error('outer', { cause: both }))
  const heads = stack.split('\n').filter((line) => !line.startsWith('    at '))
  assert.deepEqual(heads, [
    'Error: outer',
    'Caused by: AggregateError: {}',
    'Caused by: Error: ECONNREFUSED',
    'Caused by: Error: second',
  ])
  assert.equal(toFailure(cyclic).stack?.split('round').length, 2)
})

test('what is no error is described', () => {
  const described = ['oops', 5, null, undefined, { a: 1 }, { message: 'said' }, Symbol('s'), 5n].map((thrown) => {
    const { name, message, stack } = toFailure(thrown)
    assert.equal(stack, undefined)
    return `${name}: ${message}`
  })
  assert.deepEqual(described, [
    'string: oops',
    'number: 5',
    'object: null',
    'undefined: undefined',
    'object: {"a":1}',
    'object: said',
    'symbol: symbol',
    'bigint: an unreadable value was thrown',
  ])
})

test('nothing that can be thrown makes it throw', () => {
  const hostile: unknown[] = [liar, proxy, { message: proxy }, { problems: proxy }, { errors: proxy, cause: proxy }]
  hostile.push(
    { problems: new Proxy([], { get: trap }) },
    { problems: Object.assign([1], { length: 3 }) },
    Object.create(null),
  )
  for (const thrown of hostile) assert.equal(typeof toFailure(thrown).message, 'string')
  fc.assert(
    fc.property(fc.anything({ withNullPrototype: true, withBigInt: true }), (thrown) =>
      assert(bytes(toFailure(thrown)) <= caps.errorBytes),
    ),
  )
})

test('a failure stays within 16 KiB of JSON, whatever is in it', () => {
  const filler = fc.constantFrom('x', 'é', '€', '😀', '\0', '\ud800', '"', '\n', '\n    at x ')
  fc.assert(
    fc.property(filler, fc.integer({ min: 0, max: 30_000 }), fc.boolean(), (text, times, deep) => {
      const long = text.repeat(times)
      const error = Object.assign(new Error(long), { name: long, problems: [] as unknown[] })
      for (let i = 0; i < 30; i++) error.problems.push({ path: long, message: long })
      if (deep)
        error.cause = new AggregateError(
          Array.from({ length: 20 }, () => new Error(long)),
          long,
        )
      error.stack = `${long}\n    at ${long}`
      assert(bytes(toFailure(error, 'INVALID_OPTION')) <= caps.errorBytes)
    }),
    { numRuns: 60 },
  )
})

test('a message of 5 MB is cut and the frames are still there', () => {
  const failure = toFailure(new Error('x'.repeat(5_000_000)))
  assert(failure.message.endsWith('x…'))
  assert.match(failure.stack ?? '', /failure\.test/)
})

test('a text is cut between characters', () => {
  const { message } = toFailure('😀'.repeat(5000))
  assert.match(message, /^(😀)+…$/u)
})
