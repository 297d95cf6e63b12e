// plainjob on better-sqlite3. It sets synchronous=NORMAL by itself. A worker runs one job at a time: concurrency n is n
// workers in the process, as its documentation has it.
import { createRequire } from 'node:module'
import Database from 'better-sqlite3-12'
import { better, defineQueue, defineWorker } from 'plainjob'
import { driverOf } from './driver.js'

const require = createRequire(import.meta.url)
const { version } = require('plainjob/package.json')

const silent = { error: console.error, warn: console.warn, info() {}, debug() {} }

const variants = {
  default: {
    title: 'plainjob default',
    settings: 'none: looks every 1,000 ms, logs to the console',
    durability: 'NORMAL',
  },
  tuned: { title: 'plainjob', settings: 'pollIntervall 1, silent logger', durability: 'NORMAL' },
  full: {
    title: 'plainjob FULL',
    settings: 'pollIntervall 1, silent logger, synchronous=FULL set on its connection',
    durability: 'FULL',
  },
}

export const subject = (variant) => ({
  ...variants[variant],
  version,
  intervalMs: variant === 'default' ? 1000 : 1,
  isDefault: variant === 'default',
  share: 0.2,

  driver: async () => driverOf('better-sqlite3-12', new Database(':memory:')),

  async open(path, { counted = false } = {}) {
    const calls = { count: 0 }
    const db = new Database(path, counted ? { verbose: () => (calls.count += 1) } : {})
    const options = variant === 'default' ? {} : { logger: silent }
    const queue = defineQueue({ connection: better(db), ...options })
    if (variant === 'full') db.pragma('synchronous = FULL')
    return {
      calls,
      add: async (payload) => queue.add('bench', payload),
      addMany: async (payloads) => queue.addMany('bench', payloads),
      work({ concurrency, handle, completed }) {
        const worker = () =>
          defineWorker('bench', (job) => handle(JSON.parse(job.data)), {
            queue,
            ...options,
            ...(variant !== 'default' && { pollIntervall: 1 }),
            ...(completed !== undefined && { onCompleted: completed }),
          })
        const workers = Array.from({ length: concurrency }, worker)
        const over = workers.map((one) => one.start())
        return {
          async stop() {
            await Promise.all(workers.map((one) => one.stop()))
            await Promise.all(over)
          },
        }
      },
      close: async () => queue.close(),
    }
  },

  async finish(path) {
    const db = new Database(path)
    db.exec('UPDATE plainjob_jobs SET status = 2')
    db.close()
  },
})
