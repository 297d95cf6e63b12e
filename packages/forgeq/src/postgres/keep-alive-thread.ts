// The thread that beats, over a connection of its own, for each worker of which nothing was heard for a while: from then on three
// times per lease.
import { parentPort, workerData } from 'node:worker_threads'
import type { Pulse, PulseData } from './keep-alive.ts'
import { PostgresStore } from './store.ts'

const { url, ...options } = workerData as PulseData
const port = parentPort!
const store = new PostgresStore(url, options)
const leases = new Map<string, number>()
const timers = new Map<string, NodeJS.Timeout>()

/** More than the pause between two beats of the worker itself, and two more fit into the lease. */
const firstShare = 0.4

const drop = (worker: string): void => {
  clearTimeout(timers.get(worker))
  timers.delete(worker)
  leases.delete(worker)
}

const plan = (worker: string, share: number): void => {
  const leaseMs = leases.get(worker)
  if (leaseMs === undefined) return
  clearTimeout(timers.get(worker))
  const next = (): void => {
    plan(worker, 1 / 3)
    beat(worker)
  }
  timers.set(worker, setTimeout(next, leaseMs * share))
}

const beat = (worker: string): void => {
  store
    .beat(worker, null, [])
    .then(({ closed }) => closed && drop(worker))
    // The next beat comes before the lease is over.
    .catch(() => undefined)
}

port.on('message', (pulse: Pulse) => {
  switch (pulse.kind) {
    case 'keep':
      leases.set(pulse.worker, pulse.leaseMs)
      plan(pulse.worker, firstShare)
      break
    case 'beaten':
      plan(pulse.worker, firstShare)
      break
    case 'drop':
      drop(pulse.worker)
      break
    case 'end':
      for (const worker of leases.keys()) drop(worker)
      port.close()
      store.close().catch(() => undefined)
      break
  }
})
