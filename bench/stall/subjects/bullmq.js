import { Queue, Worker } from 'bullmq'
import { redis } from '../servers.js'

export const subject = {
  settings: 'defaults: lockDuration 30 s, stalledInterval 30 s',
  serve: redis,
  async work(connection, fn) {
    const worker = new Worker('stall', (job, token, signal) => fn(signal), { connection })
    worker.on('error', (error) => process.send({ says: 'error', error: error.message }))
    await worker.waitUntilReady()
  },
  async enqueue(connection) {
    const queue = new Queue('stall', { connection })
    const { id } = await queue.add('stall', {})
    return {
      async look() {
        const job = await queue.getJob(id)
        return `${await job.getState()}, result ${JSON.stringify(job.returnvalue ?? null)}`
      },
      close: () => queue.close(),
    }
  },
}
