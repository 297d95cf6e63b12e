// A worker process of a torture run: the workload on a store whose calls go into the history.
import { ForgeQ } from 'forgeq'
import { openStore } from 'forgeq/store'
import { runSupervised } from '#src/worker/supervised.js'
import { openHistory } from './history.ts'
import { queues } from './plan.ts'
import { limitedQueues } from './plan-limits.ts'
import { recorded } from './recorded-store.ts'
import { setSurroundings } from './surroundings.ts'

export interface WorkerTask {
  readonly url: string
  readonly folder: string
}

const slots = 6

runSupervised(async (given, { guard }) => {
  const { url, folder } = given as WorkerTask
  const note = openHistory(folder, 'worker')
  const forge = new ForgeQ({ store: recorded(await openStore(url), note) })
  setSurroundings(folder)
  forge.on('worker:closed', ({ worker, reason }) => {
    if (reason === 'lost') note({ e: 'lease-lost', worker })
  })
  const worker = forge.worker({
    handlers: [new URL('./handlers.js', import.meta.url)],
    queues: Object.fromEntries([...queues, ...limitedQueues].map((queue) => [queue, slots])),
    concurrency: slots,
    lease: '5s',
    signals: false,
    guard,
  })
  return { forge, worker, details: null }
})
