// One caller that waits for each job to be stored before it enqueues the next.
import { payload } from '../subjects/payload.js'
import { percentile } from './percentile.js'

export const scenario = {
  id: 'enqueue-one',
  title: 'enqueue, one awaited at a time',
  figures: { rate: 'jobs/s', p50: 'ms', p99: 'ms' },
  cases: (size) => [{ jobs: size(5_000, 1_000) }],

  async measure({ subject, path, jobs }) {
    const queue = await subject.open(path)
    const took = []
    const startedAt = performance.now()
    for (let n = 0; n < jobs; n += 1) {
      const sentAt = performance.now()
      await queue.add(payload(n))
      took.push(performance.now() - sentAt)
    }
    const seconds = (performance.now() - startedAt) / 1000
    await queue.close()
    return { rate: jobs / seconds, p50: percentile(took, 50), p99: percentile(took, 99) }
  },
}
