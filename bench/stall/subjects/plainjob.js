import Database from 'better-sqlite3'
import { better, defineQueue, defineWorker } from 'plainjob'
import { file } from '../servers.js'

const logger = { error: console.error, warn() {}, info() {}, debug() {} }
// Default is 30 min; the shortest that a worker can be sure of is its longest job.
const queueOn = (path) =>
  defineQueue({ connection: better(new Database(path)), logger, timeout: 10_000, maintenanceInterval: 1_000 })
const statuses = ['pending', 'processing', 'done', 'failed']

export const subject = {
  settings: 'timeout 10 s (default 30 min), maintenanceInterval 1 s',
  serve: file,
  async work(path, fn) {
    await defineWorker('stall', () => fn(), { queue: queueOn(path), logger, pollIntervall: 10 }).start()
  },
  async enqueue(path) {
    const queue = queueOn(path)
    const { id } = queue.add('stall', {})
    return {
      async look() {
        const { status } = queue.getJobById(id)
        return statuses[status] ?? String(status)
      },
      close: async () => queue.close(),
    }
  },
}
