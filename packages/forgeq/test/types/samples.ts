// What users write, as documentation shows it: it must go on compiling. Never run.
import * as v from 'valibot'
import { z } from 'zod'
import { defineJob, Discard, ForgeQ, RetryIn, typed } from 'forgeq'
import { sqlite } from 'forgeq/sqlite'

declare const to: string, subject: string, userId: string, host: string
declare const hosts: string[]
declare function shrink(input: { url: string; width: number }, options: { signal: AbortSignal }): Promise<string>
declare function bounced(address: string): Promise<boolean>
declare const smtp: {
  busy(): Promise<boolean>
  send(mail: { to: string; subject: string }, options: { signal: AbortSignal }): Promise<string>
}

// 1 define
export const sendEmail = defineJob('send-email', {
  input: z.object({ to: z.email(), subject: z.string() }),
  output: z.object({ messageId: z.string() }),
  queue: 'mail',
  retries: 5,
  timeout: '30s',
})
export const resize = defineJob(
  'resize',
  { input: v.object({ url: v.string(), width: v.number() }) },
  async ({ input, signal }) => ({ url: await shrink(input, { signal }) }),
)
export const ping = defineJob('ping', { input: typed<{ host: string }>() }, ({ input }) => input.host.length)
const cleanup = defineJob('cleanup', { input: typed<void>() }, () => 1)

// 2 enqueue
const forge = new ForgeQ({ store: sqlite('jobs.db') })
const mail = await forge.enqueue(
  sendEmail,
  { to, subject },
  { delay: '10m', priority: 'high', unique: `welcome:${userId}` },
)
const duplicate: boolean = mail.duplicate
const { messageId } = await mail.result({ timeout: '30s' })
const one: number = await (await forge.enqueue(cleanup)).result()
// @ts-expect-error input is required
await forge.enqueue(ping)

// 3 bulk
await forge.enqueueMany(
  ping,
  hosts.map((name) => ({ host: name })),
  { priority: 'low' },
)
await forge.enqueueMany([ping.with({ host }), sendEmail.with({ to, subject }, { delay: '1h' })])

// 4 work
const deliver = sendEmail.handler(async ({ input, signal }) => {
  if (await bounced(input.to)) throw new Discard('address bounces')
  if (await smtp.busy()) throw new RetryIn('5m', { countAttempt: false })
  return { messageId: await smtp.send(input, { signal }) }
})
const worker = forge.worker({ handlers: [deliver, resize, ping], queues: { mail: 5, default: 20 } })
await worker.run()

export { duplicate, messageId, one }
