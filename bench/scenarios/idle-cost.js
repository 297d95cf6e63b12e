// What a worker process costs while there is nothing to do.
import { setTimeout as sleep } from 'node:timers/promises'

/** For start-up and whatever follows it. */
const settleMs = 2_000

export const idleCost = {
  id: 'idle-cost',
  title: 'idle worker process',
  defaults: true,
  figures: { cpu: '% CPU', calls: 'store calls/min', rss: 'MB RSS' },
  floors: { forgeq: { cpu: 1.5 } },
  cases: (size) => [{ seconds: size(12, 5) }],

  async measure({ subject, path, seconds }) {
    const queue = await subject.open(path, { counted: true })
    queue.work({ concurrency: 10, handle: async () => {} })
    await sleep(settleMs)
    const cpu = process.cpuUsage()
    const callsBefore = queue.calls?.count
    const startedAt = performance.now()
    await sleep(seconds * 1000)
    const ms = performance.now() - startedAt
    const { user, system } = process.cpuUsage(cpu)
    return {
      cpu: (user + system) / 10 / ms,
      ...(queue.calls !== undefined && { calls: ((queue.calls.count - callsBefore) * 60_000) / ms }),
      rss: process.memoryUsage.rss() / 1e6,
    }
  },
}
