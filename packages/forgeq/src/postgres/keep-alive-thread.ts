// The thread that beats: three times per lease for each worker that it was told of, over a connection of its own.
import { parentPort, workerData } from 'node:worker_threads'
import type { Pulse, PulseData } from './keep-alive.ts'
import { PostgresStore } from './store.ts'

const { url, ...options } = workerData as PulseData
const port = parentPort!
const store = new PostgresStore(url, options)
const timers = new Map<string, NodeJS.Timeout>()

const drop = (worker: string): void => {
  clearInterval(timers.get(worker))
  timers.delete(worker)
}

const beat = async (worker: string): Promise<void> => {
  try {
    const { closed } = await store.beat(worker, null, [])
    if (closed) drop(worker)
  } catch {
    // The next beat comes before the lease is over.
  }
}

port.on('message', (pulse: Pulse) => {
  switch (pulse.kind) {
    case 'keep':
      drop(pulse.worker)
      timers.set(
        pulse.worker,
        setInterval(() => void beat(pulse.worker), pulse.leaseMs / 3),
      )
      break
    case 'drop':
      drop(pulse.worker)
      break
    case 'end':
      for (const worker of timers.keys()) drop(worker)
      port.close()
      store.close().catch(() => undefined)
      break
  }
})
