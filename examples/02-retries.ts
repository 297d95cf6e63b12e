// What becomes of failures: tried again after a backoff, put off, given up, and run again by hand.
import { defineJob, Discard, ForgeQ, RetryIn } from 'forgeq'
import { z } from 'zod'

const asked = new Map<string, number>()
let isRepaired = false

/** A receiver of webhooks that has its moods. */
async function post(url: string): Promise<number> {
  const times = (asked.get(url) ?? 0) + 1
  asked.set(url, times)
  if (url.endsWith('/gone')) return 410
  if (url.endsWith('/busy')) return times === 1 ? 429 : 200
  if (url.endsWith('/broken')) return isRepaired ? 200 : 500
  return 200
}

const webhook = defineJob(
  'webhook',
  { input: z.object({ url: z.url() }), retries: 2, backoff: { type: 'exponential', base: '10ms' } },
  async ({ input, job }) => {
    const status = await post(input.url)
    if (status === 410) throw new Discard('the receiver is gone')
    if (status === 429) throw new RetryIn('50ms', { countAttempt: false })
    if (status >= 400) throw new Error(`the receiver answered ${status}`)
    return `delivered at attempt ${job.attempt}`
  },
)

const forge = new ForgeQ({ store: 'sqlite::memory:' })
const working = forge.worker({ handlers: [webhook] }).run()

const busy = await forge.enqueue(webhook, { url: 'https://shop.example/busy' })
console.log(await busy.result()) // delivered at attempt 1

const gone = await forge.enqueue(webhook, { url: 'https://shop.example/gone' })
const broken = await forge.enqueue(webhook, { url: 'https://shop.example/broken' })
for (const job of [gone, broken]) {
  const error: unknown = await job.result().catch((reason: unknown) => reason)
  console.log((error as Error).message.replace(job.id, '...'))
}
// job ... is dead (discarded): the receiver is gone
// job ... is dead (exhausted): the receiver answered 500

const { jobs: dead } = await forge.admin.jobs({ state: 'dead', type: 'webhook' })
console.log(dead.map(({ reason, attempt }) => `${reason} at ${attempt}`).join(', ')) // exhausted at 3, discarded at 1

isRepaired = true
await forge.admin.retry([broken.id])
console.log(await broken.result()) // delivered at attempt 4

await forge.close()
await working
