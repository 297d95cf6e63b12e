// Batches of a thousand, one after the other, each awaited.
import { payloads } from '../subjects/payload.js'

const batch = 1_000

export const scenario = {
  id: 'enqueue-many',
  title: 'enqueue in batches of 1,000, awaited',
  figures: { rate: 'jobs/s' },
  floors: { forgeq: { rate: 90_000 } },
  needs: 'addMany',
  cases: (size) => [{ jobs: size(200_000, 50_000) }],

  async measure({ subject, path, jobs }) {
    const queue = await subject.open(path)
    const startedAt = performance.now()
    for (let first = 0; first < jobs; first += batch) await queue.addMany(payloads(batch, first))
    const seconds = (performance.now() - startedAt) / 1000
    await queue.close()
    return { rate: jobs / seconds }
  },
}
