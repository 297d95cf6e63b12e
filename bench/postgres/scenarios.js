// What is measured on PostgreSQL: the scenarios of ../scenarios with other cases and floors, and those of this store.
import { drain } from '../scenarios/drain.js'
import { scenario as enqueueConcurrent } from '../scenarios/enqueue-concurrent.js'
import { scenario as enqueueMany } from '../scenarios/enqueue-many.js'
import { scenario as enqueueOne } from '../scenarios/enqueue-one.js'
import { scenario as backlog } from '../scenarios/backlog.js'
import { scenario as halfLoad } from '../scenarios/half-load.js'
import { scenario as idleLatency } from '../scenarios/idle-latency.js'
import { scenario as life } from '../scenarios/life.js'
import { scenario as processes } from '../scenarios/processes.js'
import { scenario as work } from '../scenarios/work.js'
import { idleCost } from './idle-cost.js'

const me = 'forgeq-postgres'
/** Who waits for jobs; the loop by hand only asks again and again. */
const waiters = [me, 'graphile', 'graphile-default', 'pg-boss']
/** One slot of pg-boss waits for its interval after each job: two jobs a second, nothing to measure. */
const withOneSlot = [me, 'graphile', 'graphile-default']
const fastest = [me, 'graphile', 'pg-boss-hand']

const both = { cpu: 'us CPU/job', serverCpu: 'us CPU/job of the server' }

const drains = (size) =>
  [
    [1, size(2_000, 1_000), withOneSlot],
    [50, size(40_000, 10_000)],
    [200, size(80_000, 20_000)],
  ].map(([concurrency, jobs, only]) => ({
    name: concurrency === 1 ? '1 slot' : `${concurrency} slots`,
    concurrency,
    jobs,
    ready: jobs,
    only,
  }))

const costs = {
  id: 'costs',
  title: 'per job',
  counted: true,
  once: true,
  defaults: true,
  figures: { statements: 'statements', wal: 'WAL bytes', walWithoutPages: 'WAL bytes without full pages' },
  cases: () => [
    ...drains((_, small) => small).map((task) => ({ ...task, name: `claim + complete, ${task.name}` })),
    { name: 'life, 100 slots', isLife: true, jobs: 20_000 },
  ],
  measure: (task) => (task.isLife ? life.measure(task) : drain(task)),
}

const scenarios = [
  { ...enqueueOne, cases: (size) => [{ jobs: size(2_000, 500), whole: true }] },
  { ...enqueueConcurrent, cases: (size) => [{ jobs: size(10_000, 5_000) }] },
  {
    ...enqueueMany,
    figures: { ...enqueueMany.figures, serverCpu: both.serverCpu },
    floors: { [me]: { rate: 60_000 } },
    cases: (size) => [{ jobs: size(200_000, 50_000) }],
  },
  {
    ...work,
    defaults: true,
    figures: { rate: 'jobs/s', ...both },
    floors: { [me]: { '200 slots': { rate: 25_000 } } },
    cases: drains,
  },
  {
    ...processes,
    title: 'claim + complete, worker processes of 50 slots',
    only: fastest,
    cases: (size) => {
      const jobs = size(40_000, 20_000)
      return size([1, 3], [3]).map((count) => ({ name: `${count}`, count, concurrency: 50, jobs, ready: jobs }))
    },
  },
  { ...life, figures: { rate: 'jobs/s', ...both }, cases: (size) => [{ jobs: size(50_000, 10_000) }] },
  {
    ...idleLatency,
    only: waiters,
    floors: { [me]: { 'one process': { p50: 2, p99: 25 }, 'two processes': { p50: 5, p99: 25 } } },
    cases: (size) =>
      ['one process', 'two processes'].map((name, i) => ({ name, processes: i + 1, jobs: size(12, 8), whole: true })),
  },
  { ...halfLoad, only: waiters, cases: (size) => [{ jobs: size(5_000, 2_000), seconds: size(2, 1) }] },
  idleCost,
  costs,
  {
    ...backlog,
    only: fastest,
    once: true,
    floors: { [me]: { percent: 80 } },
    cases: (size) =>
      // graphile-worker keeps no finished jobs.
      backlog
        .cases(size)
        .map((task) => ({ ...task, ...(task.finished !== undefined && { only: [me, 'pg-boss-hand'] }) })),
  },
]

export const scenarioIds = scenarios.map(({ id }) => id)

export const scenarioOf = async (id) => {
  const scenario = scenarios.find((one) => one.id === id)
  if (scenario === undefined) throw new Error(`no scenario ${id}; there are ${scenarioIds.join(', ')}`)
  return scenario
}
