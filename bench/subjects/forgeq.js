// ForgeQ as a user holds it: a store URL, a job with a zod schema, default options, history kept.
import { createRequire } from 'node:module'
import { defineJob, ForgeQ } from 'forgeq'
import { sqlite } from 'forgeq/sqlite'
import { z } from 'zod'

const { version } = createRequire(import.meta.url)('forgeq/package.json')

const job = defineJob('bench', { input: z.object({ n: z.number(), to: z.string() }) })

export const subject = (durability) => ({
  title: durability === 'full' ? 'ForgeQ' : 'ForgeQ relaxed',
  version,
  settings: durability === 'full' ? 'defaults' : '?durability=relaxed',
  durability: durability === 'full' ? 'FULL' : 'NORMAL',
  intervalMs: 25,
  share: 1,

  driver: async () => `SQLite ${(await sqlite(':memory:', { inline: true }).open()).version}`,

  /** `counted` counts the calls of the store. */
  async open(path, { counted = false } = {}) {
    const calls = { count: 0 }
    const store = counted
      ? counting(sqlite(path, { durability }), calls)
      : `sqlite:${path}${durability === 'full' ? '' : '?durability=relaxed'}`
    const forge = new ForgeQ({ store })
    return {
      calls,
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

  async finish(path) {
    const forge = new ForgeQ({ store: `sqlite:${path}?durability=relaxed` })
    await forge
      .worker({ handlers: [job.handler(async () => {})], concurrency: 1000, drain: true, signals: false })
      .run()
    await forge.close()
  },
})

const counting = (store, calls) =>
  new Proxy(store, {
    get(target, name) {
      const value = target[name]
      if (typeof value !== 'function') return value
      return (...args) => {
        calls.count += 1
        return value.apply(target, args)
      }
    },
  })
