// What the public API accepts and refuses, and the types it gives. Compiled with the tests, never run.
import { type } from 'arktype'
import { expectTypeOf } from 'expect-type'
import * as v from 'valibot'
import { z } from 'zod'
import { defineJob, Discard, ForgeQ, RateLimited, RetryIn, typed, type Handle, type Policy } from 'forgeq'
import { sqlite } from 'forgeq/sqlite'

// 1 define
const sendEmail = defineJob('send-email', {
  input: z.object({ to: z.email(), subject: z.string(), at: z.coerce.date().optional() }),
  output: z.object({ messageId: z.string() }),
  queue: 'mail',
  retries: 5,
  timeout: '30s',
})
const resize = defineJob(
  'resize',
  { input: v.object({ url: v.string(), width: v.number() }) },
  async ({ input, signal }) => {
    signal.throwIfAborted()
    return { url: `${input.url}?w=${input.width}`, at: new Date() }
  },
)
const publish = defineJob('publish', {
  input: type({ image: 'string', tags: 'string[]' }),
  output: typed<void>(),
})
const ping = defineJob('ping', { input: typed<{ host: string }>() }, ({ input }) => input.host.length)
const sweep = defineJob('sweep', { input: typed<void>() }, () => undefined)

const count = defineJob('count', { input: z.string(), output: z.string().transform(Number) }, ({ input }) => input)

// 2 enqueue
const forge = new ForgeQ({ store: sqlite('jobs.db') })
const sent = await forge.enqueue(
  sendEmail,
  { to: 'a@b.c', subject: 'hi' },
  { delay: '10m', priority: 'high', unique: 'welcome:42', tags: ['welcome'] },
)
expectTypeOf(await sent.result({ timeout: '30s' })).toEqualTypeOf<{ messageId: string }>()
const resized = await forge.enqueue(resize, { url: 'http://x', width: 100 })
expectTypeOf(await resized.result()).toEqualTypeOf<{ url: string; at: string }>()
expectTypeOf(await (await forge.enqueue(ping, { host: 'x' })).result()).toEqualTypeOf<number>()
expectTypeOf(await (await forge.enqueue(sweep)).result()).toEqualTypeOf<null>()
expectTypeOf(await forge.enqueue(publish, { image: 'x', tags: [] })).toEqualTypeOf<Handle<void>>()
expectTypeOf(await (await forge.enqueue(count, '5')).result()).toEqualTypeOf<number>()
expectTypeOf(forge.handle(ping, sent.id)).toEqualTypeOf<Handle<number>>()
expectTypeOf(
  await forge.enqueue(ping, { host: 'x' }, { unique: { key: 'x', for: '1m', onConflict: 'replace' } }),
).toEqualTypeOf<Handle<number>>()
expectTypeOf(await sent.cancel()).toEqualTypeOf<boolean>()
// @ts-expect-error wrong payload
await forge.enqueue(sendEmail, { to: 'a@b.c' })
// @ts-expect-error isolation is the definition's
await forge.enqueue(ping, { host: 'x' }, { isolation: 'process' })
// @ts-expect-error bad duration
await forge.enqueue(ping, { host: 'x' }, { delay: '10 parsecs' })
// @ts-expect-error a key is held until something, or for a time
await forge.enqueue(ping, { host: 'x' }, { unique: { key: 'x', until: 'start', for: '1m' } })
// @ts-expect-error a rule needs its key
await forge.enqueue(ping, { host: 'x' }, { unique: { for: '1m' } })
// @ts-expect-error excess property
await forge.enqueue(ping, { host: 'x', port: 1 })
// @ts-expect-error input is required
await forge.enqueue(ping)
// @ts-expect-error a job without input takes none
await forge.enqueue(sweep, { host: 'x' })

// 3 bulk
const pings = await forge.enqueueMany(ping, [{ host: 'a' }, { host: 'b' }], { priority: 'low' })
expectTypeOf(pings).toEqualTypeOf<Handle<number>[]>()
const mixed = await forge.enqueueMany([
  ping.with({ host: 'a' }),
  sendEmail.with({ to: 'a@b.c', subject: 's' }, { delay: '1h' }),
])
expectTypeOf(mixed).toEqualTypeOf<Handle<unknown>[]>()
// @ts-expect-error wrong payload
await forge.enqueueMany(ping, [{ port: 1 }])

// 4 work
const deliver = sendEmail.handler(async ({ input, signal, job, log, progress, enqueue }) => {
  expectTypeOf(input.at).toEqualTypeOf<Date | undefined>()
  log.info(`attempt ${job.attempt} of a job from ${job.enqueuedAt.toISOString()}`)
  if (input.to.endsWith('.invalid')) throw new Discard('unroutable address')
  if (signal.aborted) throw new RetryIn('5m', { countAttempt: false })
  if (input.subject === 'busy') throw new RateLimited('30s', 'queue')
  // @ts-expect-error no such scope
  if (input.subject === '') throw new RateLimited('30s', 'job')
  progress(1, 2, 'sending')
  expectTypeOf(enqueue(ping, { host: 'x' }, { delay: '1m' })).toEqualTypeOf<string>()
  // @ts-expect-error wrong payload
  enqueue(ping, {})
  return { messageId: 'x' }
})
// @ts-expect-error wrong output
sendEmail.handler(async () => ({ id: 1 }))
const worker = forge.worker({ handlers: [deliver, resize, ping, sweep], queues: { mail: 5, default: 20 } })
await worker.run()
await worker.stop({ grace: '5s' })
// @ts-expect-error a contract without a handler is not a handler
forge.worker({ handlers: [sendEmail] })
forge.use(async ({ job, log }, next) => {
  log.debug(`before ${job.id}`)
  return next()
})
// @ts-expect-error a backoff function belongs to a definition
new ForgeQ({ defaults: { backoff: () => '1s' } })
expectTypeOf(forge.explain(sendEmail, { priority: 0 })).toEqualTypeOf<Required<Policy>>()

// limits
await forge.enqueue(ping, { host: 'x' }, { key: 'tenant:7' })
await forge.admin.limit('mail', {
  rate: { max: 100, per: '1m' },
  ratePerPriority: { high: '10/s', 3: '5/30s', low: null },
})
await forge.admin.limit('mail', { perKey: { ordered: true, rate: 'none' }, maxDepth: null, accepting: false })
// @ts-expect-error a rate has its time
await forge.admin.limit('mail', { rate: '100' })
// @ts-expect-error no such unit
await forge.admin.limit('mail', { rate: '100/week' })
// @ts-expect-error no such priority
await forge.admin.limit('mail', { ratePerPriority: { urgent: '1/s' } })
