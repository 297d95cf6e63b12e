// Fifty callers in one process, each waiting for its own job to be stored: requests of a web server.
import { payload } from '../subjects/payload.js'

const callers = 50

export const scenario = {
  id: 'enqueue-concurrent',
  title: `enqueue, ${callers} callers at once, each awaited`,
  figures: { rate: 'jobs/s' },
  cases: (size) => [{ jobs: size(20_000, 5_000) }],

  async measure({ subject, path, jobs }) {
    const queue = await subject.open(path)
    const startedAt = performance.now()
    let next = 0
    const call = async () => {
      while (next < jobs) await queue.add(payload(next++))
    }
    await Promise.all(Array.from({ length: callers }, call))
    const seconds = (performance.now() - startedAt) / 1000
    await queue.close()
    return { rate: jobs / seconds }
  },
}
