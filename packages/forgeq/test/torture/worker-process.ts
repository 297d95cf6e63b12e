// A worker process of a torture run: the workload on a store whose calls go into the history.
import { ForgeQ } from 'forgeq'
import { openStore } from 'forgeq/store'
import { runSupervised } from '#src/worker/supervised.js'
import { openHistory } from './history.ts'
import { queues } from './plan.ts'
import { recorded } from './recorded-store.ts'
import { handlersOf } from './workload.ts'

export interface WorkerTask {
  readonly url: string
  readonly folder: string
}

const slots = 6

runSupervised(async (given) => {
  const { url, folder } = given as WorkerTask
  const note = openHistory(folder, 'worker')
  const { store, holds } = recorded(await openStore(url), note)
  const forge = new ForgeQ({ store })
  forge.on('worker:closed', ({ worker, reason }) => {
    if (reason === 'lost') note({ e: 'lease-lost', worker })
  })
  const worker = forge.worker({
    handlers: handlersOf(note, holds),
    queues: Object.fromEntries(queues.map((queue) => [queue, slots])),
    concurrency: slots,
    lease: '5s',
    signals: false,
  })
  return { forge, worker, details: null }
})
