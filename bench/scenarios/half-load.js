// From enqueue to the start of the handler at half of what the subject can do, in one process. First its capacity is
// measured, then jobs come in bursts every 5 ms, whether or not it keeps up; the clock starts when a burst is due.
import { setTimeout as sleep } from 'node:timers/promises'
import { payload } from '../subjects/payload.js'
import { percentile } from './percentile.js'

const concurrency = 100
const mostOutstanding = 1_000
const burstMs = 5

export const scenario = {
  id: 'half-load',
  title: 'at half load: enqueue -> handler started',
  figures: { load: 'jobs/s', p50: 'ms', p99: 'ms' },
  cases: (size) => [{ jobs: size(30_000, 5_000), seconds: size(3, 1) }],

  async measure({ subject, path, jobs, seconds }) {
    const queue = await subject.open(path)
    const hear = { started: () => {}, completed: () => {} }
    const worker = queue.work({
      concurrency,
      handle: async ({ n }) => hear.started(n),
      completed: () => hear.completed(),
    })
    const load = (await capacity(queue, hear, jobs)) / 2
    const took = await atLoad(queue, hear, load, seconds)
    await worker.stop()
    await queue.close()
    return { load, p50: percentile(took, 50), p99: percentile(took, 99) }
  },
}

/** Jobs a second with single enqueues, never more than `mostOutstanding` on their way. */
const capacity = async (queue, hear, jobs) => {
  const startedAt = performance.now()
  let sent = 0
  await new Promise((resolve, reject) => {
    let done = 0
    const send = () => queue.add(payload(sent++)).catch(reject)
    hear.completed = () => {
      done += 1
      if (done === jobs) resolve()
      else if (sent < jobs) send()
    }
    while (sent < Math.min(jobs, mostOutstanding)) send()
  })
  return jobs / ((performance.now() - startedAt) / 1000)
}

const atLoad = async (queue, hear, load, seconds) => {
  const bursts = Math.round((seconds * 1000) / burstMs)
  const perBurst = (load * burstMs) / 1000
  const jobs = Math.floor(bursts * perBurst)
  const took = []
  const beginAt = performance.now() + 100
  const dueAt = (n) => beginAt + Math.floor(n / perBurst) * burstMs
  const over = new Promise((resolve) => {
    hear.completed = () => {}
    hear.started = (n) => {
      took.push(performance.now() - dueAt(n))
      if (took.length === jobs) resolve()
    }
  })
  const sends = []
  for (let n = 0; n < jobs;) {
    await sleep(Math.max(0, dueAt(n) - performance.now()))
    while (n < jobs && dueAt(n) <= performance.now()) sends.push(queue.add(payload(n++)))
  }
  await Promise.all(sends)
  await over
  return took
}
