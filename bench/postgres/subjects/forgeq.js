// ForgeQ as a user holds it: a store URL, a job with a zod schema, default options, history kept.
import { defineJob, ForgeQ } from 'forgeq'
import { z } from 'zod'
import { versionLine, versionOf } from './stored.js'

const job = defineJob('bench', { input: z.object({ n: z.number(), to: z.string() }) })

export const subject = () => ({
  title: 'ForgeQ',
  version: versionOf('forgeq'),
  settings: 'defaults; pool of 6',
  durability: 'history kept',
  intervalMs: 200,
  share: 1,

  driver: versionLine,

  async open(url) {
    const forge = new ForgeQ({ store: url })
    return {
      ready: () => forge.ready(),
      add: (payload) => forge.enqueue(job, payload),
      addMany: (payloads) => forge.enqueueMany(job, payloads),
      work({ concurrency, handle, completed }) {
        if (completed !== undefined) forge.on('job:completed', completed)
        const worker = forge.worker({
          handlers: [job.handler(({ input }) => handle(input))],
          concurrency,
          signals: false,
        })
        const over = worker.run()
        return {
          async stop() {
            await worker.stop()
            await over
          },
        }
      },
      close: () => forge.close(),
    }
  },

  async finish(url) {
    const forge = new ForgeQ({ store: url })
    await forge
      .worker({ handlers: [job.handler(async () => {})], concurrency: 1000, drain: true, signals: false })
      .run()
    await forge.close()
  },
})
