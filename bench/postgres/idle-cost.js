// What a worker process costs while there is nothing to do, in itself and in statements that the server ran.
import { setTimeout as sleep } from 'node:timers/promises'
import { statementsOf } from './count.js'

export const idleCost = {
  id: 'idle-cost',
  title: 'idle worker process',
  defaults: true,
  counted: true,
  once: true,
  only: ['forgeq-postgres', 'graphile', 'graphile-default', 'pg-boss'],
  figures: { cpu: '% CPU', calls: 'statements/min', rss: 'MB RSS' },
  floors: { 'forgeq-postgres': { cpu: 0.5, calls: 75 } },
  cases: (size) => [{ settleSeconds: size(12, 3), seconds: size(30, 5), whole: true }],

  async measure({ subject, path, settleSeconds, seconds }) {
    const queue = await subject.open(path)
    queue.work({ concurrency: 10, handle: async () => {} })
    await sleep(settleSeconds * 1000)
    const before = await statementsOf(path)
    const cpu = process.cpuUsage()
    const startedAt = performance.now()
    await sleep(seconds * 1000)
    const ms = performance.now() - startedAt
    const { user, system } = process.cpuUsage(cpu)
    return {
      cpu: (user + system) / 10 / ms,
      calls: (((await statementsOf(path)) - before) * 60_000) / ms,
      rss: process.memoryUsage.rss() / 1e6,
    }
  },
}
