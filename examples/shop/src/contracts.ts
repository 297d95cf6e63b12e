// What the shop can be asked to do: one job per value, with its input, its output and its policy.
// Whoever enqueues imports this file only; the code that does the work is in jobs/.
import { defineJob } from 'forgeq'
import { z } from 'zod'
import { orderSchema } from './orders.ts'

// Names, never paths: a payload must not lead a handler out of its folder.
const fileName = (endings: string) =>
  z.string().regex(new RegExp(`^\\w[\\w.-]*\\.(${endings})$`), `a *.${endings} name`)

export const importOrders = defineJob('import-orders', {
  /** `from`: rows that earlier parts of the same import have dealt with. */
  input: z.object({ file: fileName('csv'), from: z.int().min(0).default(0) }),
  output: z.object({ enqueued: z.int(), known: z.int(), rejected: z.int() }),
  timeout: '1m',
})

export const confirmOrder = defineJob('confirm-order', {
  input: orderSchema,
  output: z.object({ invoice: z.string() }),
})

export const sendMail = defineJob('send-mail', {
  input: z.object({
    /** Names the mail for good: the same `ref` is never sent again once a server has answered for it. */
    ref: z.string().regex(/^\w[\w-]*$/),
    to: z.email(),
    subject: z.string(),
    text: z.string(),
    invoice: fileName('html'),
  }),
  output: z.object({ outcome: z.enum(['accepted', 'bounced']), answer: z.string() }),
  queue: 'mail',
  retries: 5,
  backoff: { type: 'exponential', base: '1s', max: '10s' },
  timeout: '5s',
})

export const thumbnail = defineJob('thumbnail', {
  input: z.object({ photo: fileName('jpg|png') }),
  output: z.object({ files: z.array(z.string()) }),
  queue: 'images',
  retries: 2,
  backoff: { type: 'fixed', delay: '1s' },
})

export const dailyReport = defineJob('daily-report', {
  input: z.object({ file: fileName('csv') }),
  output: z.object({ orders: z.int(), rejected: z.int(), revenueCents: z.int() }),
})
