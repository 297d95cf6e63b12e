// What a test of a user's jobs looks like. Compiled with the tests, never run.
import assert from 'node:assert/strict'
import { expectTypeOf } from 'expect-type'
import { z } from 'zod'
import { defineJob, typed } from 'forgeq'
import { testForge } from 'forgeq/testing'

const sendEmail = defineJob('send-email', {
  input: z.object({ to: z.email(), subject: z.string() }),
  output: z.object({ messageId: z.string() }),
})
const deliver = sendEmail.handler(() => ({ messageId: 'x' }))
const ping = defineJob('ping', { input: typed<{ host: string }>() }, ({ input }) => input.host.length)

const t = testForge()
await t.enqueue(sendEmail, { to: 'a@b.c', subject: 'hi' }, { delay: '1h' })
const [waiting] = t.enqueued(sendEmail)
assert.equal(waiting?.input.subject, 'hi')
expectTypeOf(waiting.runAt).toEqualTypeOf<Date>()
await t.clock.advance('1h')
expectTypeOf(t.clock.now()).toEqualTypeOf<Date>()
const counts = await t.drain([deliver])
assert.deepEqual(counts, { completed: 1, failed: 0, dead: 0 })
expectTypeOf(counts).toExtend<{ completed: number; failed: number; dead: number }>()
expectTypeOf(await t.run(ping, { host: 'abc' })).toEqualTypeOf<number>()
// @ts-expect-error wrong payload
await t.run(ping, { port: 1 })
// @ts-expect-error a contract without a handler cannot run
await t.run(sendEmail, { to: 'a@b.c', subject: 'hi' })
