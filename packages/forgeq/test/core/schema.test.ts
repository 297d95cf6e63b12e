import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type } from 'arktype'
import * as v from 'valibot'
import { z } from 'zod'
import { ForgeError, type Problem } from '#src/core/errors.js'
import { inputJsonSchema, parse, parseStored, typed, type Schema } from '#src/core/schema.js'

const libraries: Record<string, Schema> = {
  zod: z.object({ to: z.email(), items: z.array(z.object({ sku: z.string(), count: z.number() })) }),
  valibot: v.object({
    to: v.pipe(v.string(), v.email()),
    items: v.array(v.object({ sku: v.string(), count: v.number() })),
  }),
  arktype: type({ to: 'string.email', items: type({ sku: 'string', count: 'number' }).array() }),
}

const good = { to: 'a@b.example', items: [{ sku: 'x', count: 1 }] }
const bad = { to: 'nobody', items: [good.items[0], { sku: 'y', count: 'two' }] }
const id = '018f4e3a-7c00-7abc-8def-0123456789ab'

const problemsOf = (error: unknown): readonly Problem[] => {
  assert(ForgeError.is(error, 'INVALID_INPUT'), String(error))
  return error.problems ?? []
}
const pathsOf = (error: unknown): string[] => problemsOf(error).map(({ path }) => path)

for (const [name, schema] of Object.entries(libraries)) {
  test(`${name}: a good value is parsed at once`, () => {
    assert.deepEqual(parse(schema, good), good)
  })

  test(`${name}: a bad value is refused with the path of each problem`, () => {
    assert.throws(
      () => parse(schema, bad, 'input of send-mail'),
      (error) => {
        assert.deepEqual(pathsOf(error).toSorted(), ['items.1.count', 'to'])
        assert(problemsOf(error).every(({ message }) => message.length > 0))
        return (
          error instanceof Error &&
          /^input of send-mail does not match .*(to: .*items\.1\.count: |items\.1\.count: .*to: )/.test(error.message)
        )
      },
    )
  })

  test(`${name}: a value of another kind is refused as a whole`, () => {
    assert.throws(
      () => parse(schema, 5),
      (error) => pathsOf(error).join() === '',
    )
  })
}

test('an asynchronous schema gives a promise', async () => {
  const known = z.object({ to: z.string().refine(async (to) => to === 'a', 'nobody by that name') })
  assert.deepEqual(await parse(known, { to: 'a' }), { to: 'a' })
  const refused = parse(known, { to: 'b' })
  assert(refused instanceof Promise)
  await assert.rejects(refused, (error) => {
    assert.deepEqual(problemsOf(error), [{ path: 'to', message: 'nobody by that name' }])
    return true
  })
})

test('a message names three problems and counts the rest', () => {
  const schema = z.object({ a: z.string(), b: z.string(), c: z.string(), d: z.string(), e: z.string() })
  assert.throws(() => parse(schema, {}), /a: .*; b: .*; c: [^;]*; and 2 more$/)
})

test('a stored payload is parsed again, with what the schema makes of it', () => {
  const schema = z.object({ at: z.coerce.date(), copies: z.number().default(1) })
  assert.deepEqual(parseStored(schema, '{"at":"1970-01-01T00:00:00.000Z"}', id), { at: new Date(0), copies: 1 })
})

test('a stored payload that does not parse names its job', async () => {
  const late = z.string().refine(async () => false)
  await assert.rejects(
    async () => parseStored(late, '"x"', id),
    (error) => (error as ForgeError).id === id,
  )
  for (const payload of ['{"to":', '{"to":5}', '']) {
    assert.throws(
      () => parseStored(libraries['zod']!, payload, id),
      (error) => problemsOf(error).length > 0 && (error as ForgeError).id === id,
    )
  }
})

test('no input comes back as the schema wants it', async () => {
  assert.equal(parseStored(z.void(), 'null', id), undefined)
  assert.equal(parseStored(z.string().optional(), 'null', id), undefined)
  assert.equal(parseStored(z.string().nullish(), 'null', id), null)
  assert.equal(parseStored(typed<void>(), 'null', id), null)
  assert.equal(
    await parseStored(
      z.void().refine(async () => true),
      'null',
      id,
    ),
    undefined,
  )
  assert.throws(
    () => parseStored(z.string(), 'null', id),
    (error) => problemsOf(error).length === 1,
  )
})

test('typed accepts anything and changes nothing', () => {
  const value = { any: ['thing'] }
  assert.equal(parse(typed<typeof value>(), value), value)
})

test('a schema tells its JSON Schema where its library can', () => {
  const shape = { type: 'object', properties: { n: { type: 'number' } }, required: ['n'] }
  for (const schema of [z.object({ n: z.number() }), type({ n: 'number' })]) {
    const { type: kind, properties, required } = JSON.parse(inputJsonSchema(schema) ?? '{}') as Record<string, unknown>
    assert.deepEqual({ type: kind, properties, required }, shape)
  }
  assert.equal(inputJsonSchema(v.object({ n: v.number() })), null)
  assert.equal(inputJsonSchema(typed<string>()), null)
})

test('JSON Schema: one part without a JSON form takes anything, the others are still checked', () => {
  const schema = z.object({ to: z.string(), at: z.coerce.date() })
  const { properties } = JSON.parse(inputJsonSchema(schema) ?? '{}') as { properties: object }
  assert.deepEqual(properties, { to: { type: 'string' }, at: {} })
})
