// Whether a claim costs more when there is much behind it: the same jobs, with a million others in the file.
import { drain } from './drain.js'

const base = 'nothing behind'

export const scenario = {
  id: 'backlog',
  title: 'claim + complete, concurrency 100',
  figures: { rate: 'jobs/s' },
  only: ['forgeq', 'plainjob'],
  relativeTo: base,
  floors: { forgeq: { percent: 80 } },
  cases: (size) => {
    const jobs = size(50_000, 10_000)
    const many = size(1_000_000, 100_000)
    const label = many.toLocaleString('en')
    return [
      { name: base, concurrency: 100, jobs, ready: jobs },
      { name: `${label} ready behind`, concurrency: 100, jobs, ready: jobs + many, whole: true },
      { name: `${label} finished behind`, concurrency: 100, jobs, ready: jobs, finished: many },
    ]
  },
  measure: drain,
}
