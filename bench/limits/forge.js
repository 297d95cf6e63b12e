// ForgeQ as all of these measurements use it: a file, defaults, a job with a zod schema, a worker that counts.
import { defineJob, ForgeQ } from 'forgeq'
import { z } from 'zod'
import { payload } from '../subjects/payload.js'

export const concurrency = 100
const batch = 1_000

export const job = defineJob('bench', { input: z.object({ n: z.number(), to: z.string() }) })

export const open = (path, durability = 'full') =>
  new ForgeQ({ store: `sqlite:${path}${durability === 'full' ? '' : '?durability=relaxed'}` })

/** `options(n)` is what job n carries. */
export const enqueue = async (forge, count, options = () => ({}), first = 0) => {
  for (let from = first; from < first + count; from += batch) {
    const size = Math.min(batch, first + count - from)
    await forge.enqueueMany(Array.from({ length: size }, (_, i) => job.with(payload(from + i), options(from + i))))
  }
}

/** Works until `count` jobs are completed; `started` is told of each, `slots` is how many run at a time. */
export const work = async (forge, count, { started = () => {}, slots = concurrency } = {}) => {
  const worker = forge.worker({
    handlers: [job.handler(async ({ input }) => started(input))],
    concurrency: slots,
    signals: false,
  })
  let done = 0
  const over = new Promise((resolve) => {
    forge.on('job:completed', () => {
      done += 1
      if (done === count) resolve()
    })
  })
  const running = worker.run()
  await over
  return async () => {
    await worker.stop()
    await running
  }
}

/** Milliseconds and CPU of what it does. */
export const timed = async (act) => {
  const cpu = process.cpuUsage()
  const startedAt = performance.now()
  const answer = await act()
  const { user, system } = process.cpuUsage(cpu)
  return { us: (performance.now() - startedAt) * 1_000, cpuUs: user + system, answer }
}
