// Claim, call a handler that does nothing, store the completion: the jobs are there before the worker starts.
import { drain } from './drain.js'

export const scenario = {
  id: 'work',
  title: 'claim + complete',
  figures: { rate: 'jobs/s', cpu: 'us CPU/job' },
  floors: { forgeq: { 'concurrency 200': { rate: 40_000 } } },
  cases: (size) =>
    [
      [1, size(5_000, 1_000)],
      [10, size(30_000, 5_000)],
      [100, size(100_000, 20_000)],
      [200, size(100_000, 20_000)],
    ].map(([concurrency, jobs]) => ({ name: `concurrency ${concurrency}`, concurrency, jobs, ready: jobs })),
  measure: drain,
}
