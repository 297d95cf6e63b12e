// A job's whole life in one process: batches are enqueued while a worker works, until all are completed.
import { payload, payloads } from '../subjects/payload.js'

const batch = 1_000
const concurrency = 100

export const scenario = {
  id: 'life',
  title: 'enqueue + claim + complete, at the same time',
  defaults: true,
  figures: { rate: 'jobs/s', cpu: 'us CPU/job' },
  cases: (size) => [{ jobs: size(100_000, 20_000) }],

  async measure({ subject, path, jobs }) {
    const cpu = process.cpuUsage()
    const startedAt = performance.now()
    const queue = await subject.open(path)
    let done = 0
    let allDone
    const over = new Promise((resolve) => (allDone = resolve))
    const worker = queue.work({
      concurrency,
      handle: async () => {},
      completed: () => {
        done += 1
        if (done === jobs) allDone()
      },
    })
    if (queue.addMany !== undefined) {
      for (let n = 0; n < jobs; n += batch) await queue.addMany(payloads(Math.min(batch, jobs - n), n))
    } else {
      for (let n = 0; n < jobs; n += 1) await queue.add(payload(n))
    }
    await over
    const seconds = (performance.now() - startedAt) / 1000
    const { user, system } = process.cpuUsage(cpu)
    await worker.stop()
    await queue.close()
    return { rate: jobs / seconds, cpu: (user + system) / jobs }
  },
}
