// What the compiler knows about a job from its definition. Compiled with the tests, never run.
import { type } from 'arktype'
import { expectTypeOf } from 'expect-type'
import * as v from 'valibot'
import { z } from 'zod'
import { defineJob, type Handler, type InputOf, type Job, type OutputOf } from '#src/job.js'
import type { Json, Stored } from '#src/core/json.js'
import { typed } from '#src/core/schema.js'

// Input, argument and output of each schema library.
const sendEmail = defineJob('send-email', {
  input: z.object({ to: z.email(), copies: z.number().default(1), at: z.coerce.date().optional() }),
  output: z.object({ messageId: z.string() }),
  queue: 'mail',
  timeout: '30s',
  backoff: { type: 'exponential', base: '1s', jitter: false },
})
expectTypeOf<InputOf<typeof sendEmail>>().toEqualTypeOf<{ to: string; copies?: number | undefined; at?: unknown }>()
expectTypeOf<OutputOf<typeof sendEmail>>().toEqualTypeOf<{ messageId: string }>()
sendEmail.handler(({ input }) => {
  expectTypeOf(input).toEqualTypeOf<{ to: string; copies: number; at?: Date | undefined }>()
  return { messageId: 'x' }
})

const resize = defineJob('resize', { input: v.object({ url: v.string() }) }, async ({ input }) => {
  expectTypeOf(input).toEqualTypeOf<{ url: string }>()
  return { at: new Date(), url: input.url }
})
expectTypeOf<OutputOf<typeof resize>>().toEqualTypeOf<{ at: Date; url: string }>()

const publish = defineJob('publish', { input: type({ tags: 'string[]', at: 'string.date.parse' }) }, ({ input }) => {
  expectTypeOf(input).toEqualTypeOf<{ tags: string[]; at: Date }>()
})
expectTypeOf<InputOf<typeof publish>>().toEqualTypeOf<{ tags: string[]; at: string }>()

const dated = defineJob('dated', { input: typed<{ at: Date }>() }, ({ input }) => {
  expectTypeOf(input).toEqualTypeOf<{ at: string }>()
})

const report = defineJob('report', { input: typed<void>(), output: typed<{ at: Date }>() })
expectTypeOf<OutputOf<typeof report>>().toEqualTypeOf<{ at: string }>()
report.handler(() => ({ at: new Date() }))

const parsed = defineJob('parsed', { input: z.string(), output: z.string().transform(Number) }, ({ input }) => input)
expectTypeOf<OutputOf<typeof parsed>>().toEqualTypeOf<number>()

const checked = defineJob('checked', { input: z.string(), output: z.number() }, ({ input }) => input.length)
expectTypeOf(checked).toExtend<Handler & Job<string, string, number, number>>()

// Any job is a Job; only one with a function is a Handler.
expectTypeOf([sendEmail, resize, publish, dated, report, parsed, checked]).toExtend<Job[]>()
expectTypeOf([resize, publish, dated, checked]).toExtend<Handler[]>()
expectTypeOf(sendEmail).not.toExtend<Handler>()

// @ts-expect-error wrong output
sendEmail.handler(() => ({ id: 1 }))
// @ts-expect-error wrong output
defineJob('length', { input: z.string(), output: z.number() }, ({ input }) => input)
// @ts-expect-error wrong payload
sendEmail.with({ to: 5 })
// @ts-expect-error bad duration
sendEmail.with({ to: 'a@b.c' }, { delay: '10 parsecs' })
// @ts-expect-error a backoff function belongs to the definition
sendEmail.with({ to: 'a@b.c' }, { backoff: () => 5 })
// @ts-expect-error no such level
defineJob('x', { input: z.string(), priority: 'urgent' })

// A payload comes back as JSON, so a schema that does not take the JSON form of what it takes is no input.
// @ts-expect-error Date
defineJob('x', { input: z.object({ at: z.date() }) })
// @ts-expect-error Date
defineJob('x', { input: v.object({ at: v.date() }) }, ({ input }) => input.at)
// @ts-expect-error Date
defineJob('x', { input: type({ at: 'Date' }) })
// @ts-expect-error bigint
defineJob('x', { input: z.object({ n: z.bigint().optional() }) })
// @ts-expect-error Map
defineJob('x', { input: z.map(z.string(), z.string()) })
// @ts-expect-error undefined becomes null inside a list
defineJob('x', { input: z.array(z.string().optional()) })

const tree = z.object({
  name: z.string(),
  get children() {
    return z.array(tree)
  },
})
defineJob('tree', { input: tree }, ({ input }) => input.children[0]?.name)
defineJob('json', { input: z.json() }, ({ input }) => input)
defineJob('any', { input: z.any() }, ({ input }) => expectTypeOf(input).toBeAny())
defineJob('unknown', { input: z.record(z.string(), z.unknown()) })
defineJob('optional', { input: z.string().optional() })
defineJob('nothing', { input: z.void() }, () => undefined)
defineJob('union', {
  input: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('a'), price: z.number().nullable(), id: z.string().brand('id') }),
    z.object({ kind: z.literal('b'), at: z.tuple([z.number(), z.number()]), size: z.enum(['s', 'l']).default('s') }),
  ]),
})

// What comes back from a store.
interface Tree {
  at: Date
  children: Tree[]
}
expectTypeOf<Stored<Date>>().toEqualTypeOf<string>()
expectTypeOf<Stored<{ a?: Date; b: Date | undefined; c: string[] }>>().toEqualTypeOf<{
  a?: string
  b: string | undefined
  c: string[]
}>()
expectTypeOf<Stored<readonly [Date, undefined]>>().toEqualTypeOf<readonly [string, null]>()
expectTypeOf<Stored<string | undefined>>().toEqualTypeOf<string | null>()
expectTypeOf<Stored<{ price: { toJSON(): { cents: number } } }>>().toEqualTypeOf<{ price: { cents: number } }>()
expectTypeOf<Stored<Tree>['children'][number]['at']>().toEqualTypeOf<string>()
expectTypeOf<Stored<Json>>().toEqualTypeOf<Json>()
expectTypeOf<Stored<void>>().toEqualTypeOf<void>()
expectTypeOf<Stored<unknown>>().toEqualTypeOf<unknown>()
