// From the call that enqueues to the start of the handler, when nothing else has happened for a while.
import { setTimeout as sleep } from 'node:timers/promises'
import { payload } from '../subjects/payload.js'
import { percentile } from './percentile.js'
import { now, partner } from './partner.js'

/** Long enough for ForgeQ to have slowed down its looking, and any moment of an interval equally likely to be hit. */
const pauseMs = (intervalMs) => 250 + Math.random() * Math.max(200, intervalMs)

const sample = async (jobs, intervalMs, enqueue, started) => {
  const took = []
  // The first one opens the store and is not counted: start-up has a scenario of its own.
  for (let n = 0; n <= jobs; n += 1) {
    await sleep(pauseMs(intervalMs))
    const isStarted = started(n)
    const sentAt = now()
    await enqueue(payload(n))
    const tookMs = (await isStarted) - sentAt
    if (n > 0) took.push(tookMs)
  }
  return { p50: percentile(took, 50), p99: percentile(took, 99) }
}

/** Promises by number, kept by `keep(n)` and settled by `settle(n, value)`. */
const waiting = () => {
  const settlers = new Map()
  return {
    keep: (n) => new Promise((resolve) => settlers.set(n, resolve)),
    settle: (n, value) => settlers.get(n)?.(value),
  }
}

export const scenario = {
  id: 'idle-latency',
  title: 'idle: enqueue -> handler started',
  defaults: true,
  only: ['forgeq', 'forgeq-relaxed', 'plainjob', 'plainjob-default', 'liteque', 'liteque-readme'],
  figures: { p50: 'ms', p99: 'ms' },
  floors: {
    forgeq: { 'one process': { p50: 2 }, 'two processes': { p50: 15, p99: 25 } },
  },
  cases: (size) => [
    { name: 'one process', processes: 1, jobs: size(12, 8), whole: true },
    { name: 'two processes', processes: 2, jobs: size(12, 8), whole: true },
  ],

  async measure({ subject, path, jobs, processes }) {
    const { keep, settle } = waiting()
    const queue = await subject.open(path)
    const queueWorker =
      processes === 1
        ? queue.work({ concurrency: 10, handle: async ({ n }) => settle(n, now()) })
        : await partner('worker', { subject: subject.id, path, concurrency: 10 }, ({ n, at }) => settle(n, at))
    const figures = await sample(jobs, subject.intervalMs, queue.add, keep)
    await queueWorker.stop()
    await queue.close()
    return figures
  },
}
