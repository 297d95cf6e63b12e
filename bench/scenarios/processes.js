// Several worker processes on one file: what they get done together, the starts of the processes included, and whether
// one of them goes short.
import { setTimeout as sleep } from 'node:timers/promises'
import { partner } from './partner.js'

export const scenario = {
  id: 'processes',
  title: 'claim + complete, worker processes of 10',
  figures: { rate: 'jobs/s', least: '% of a fair share', gap: 'ms longest wait', cpu: 'us CPU/job' },
  only: ['forgeq', 'forgeq-relaxed', 'plainjob', 'plainjob-full'],
  cases: (size) => {
    const jobs = size(30_000, 20_000)
    return size([1, 2, 4, 16], [1, 4]).map((count) => ({ name: `${count}`, count, concurrency: 10, jobs, ready: jobs }))
  },

  async measure({ subject, path, jobs, count, concurrency }) {
    const told = Array.from({ length: count }, () => ({ done: 0, gapMs: 0, cpuUs: 0 }))
    const sum = () => told.reduce((total, { done }) => total + done, 0)
    const startedAt = performance.now()
    const crew = await Promise.all(
      told.map((_, i) =>
        partner('crew', { subject: subject.id, path, concurrency }, (news) => {
          told[i] = news
        }),
      ),
    )
    const before = told.map(({ done }) => done)
    while (sum() < jobs) await sleep(5)
    const rate = jobs / ((performance.now() - startedAt) / 1000)
    const shares = told.map(({ done }, i) => done - before[i])
    const fair = shares.reduce((total, share) => total + share, 0) / count
    await Promise.all(crew.map((one) => one.stop()))
    return {
      rate,
      // Nothing is said when the file was empty before the last of them was up.
      ...(fair > 0 && { least: (Math.min(...shares) / fair) * 100 }),
      gap: Math.max(...told.map(({ gapMs }) => gapMs)),
      cpu: told.reduce((total, { cpuUs }) => total + cpuUs, 0) / jobs,
    }
  },
}
