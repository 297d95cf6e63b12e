// What a worker process costs while there is nothing to do.
import { setTimeout as sleep } from 'node:timers/promises'

export const scenario = {
  id: 'idle-cost',
  title: 'idle worker process',
  defaults: true,
  only: ['forgeq', 'plainjob', 'plainjob-default', 'liteque'],
  figures: { cpu: '% CPU', calls: 'store calls/min', rss: 'MB RSS' },
  floors: { forgeq: { cpu: 1.5 } },
  // Node tidies its heap for some ten seconds after the start.
  cases: (size) => [{ settleSeconds: size(12, 3), seconds: size(8, 5) }],

  async measure({ subject, path, settleSeconds, seconds }) {
    const queue = await subject.open(path, { counted: true })
    queue.work({ concurrency: 10, handle: async () => {} })
    await sleep(settleSeconds * 1000)
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
