import { PgBoss } from 'pg-boss'
import { postgres } from '../servers.js'

const bossOn = async (connectionString) => {
  const boss = new PgBoss({ connectionString, superviseIntervalSeconds: 5 })
  boss.on('error', (error) => process.send?.({ says: 'error', error: error.message }))
  await boss.start()
  return boss
}

export const subject = {
  settings: 'heartbeatSeconds 10 (default none: the job waits until expireInSeconds, 15 min), supervise every 5 s',
  serve: postgres,
  newerNode: true,
  async work(url, fn) {
    const boss = await bossOn(url)
    await boss.work('stall', { pollingIntervalSeconds: 0.5 }, ([job]) => fn(job.signal))
  },
  async enqueue(url) {
    const boss = await bossOn(url)
    await boss.createQueue('stall', { heartbeatSeconds: 10, retryLimit: 3 })
    const id = await boss.send('stall', {})
    return {
      async look() {
        const [{ state, output, retryCount }] = await boss.findJobs('stall', { id })
        return `${state}, output ${JSON.stringify(output)}, retries ${retryCount}`
      },
      close: () => boss.stop({ graceful: false }),
    }
  },
}
