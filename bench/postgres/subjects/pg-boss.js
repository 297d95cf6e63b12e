// pg-boss, with its own worker, and by hand: a loop that fetches up to 500 jobs, handles them and completes them together.
// It keeps completed jobs.
import { setTimeout as sleep } from 'node:timers/promises'
import { PgBoss } from 'pg-boss'
import pg from 'pg'
import { onStored, versionLine, versionOf } from './stored.js'

const queue = 'bench'
const byHand = 500

const variants = {
  work: {
    title: 'pg-boss',
    settings: 'work() with batchSize = slots, burstWhenBatchFull, notify, pollingIntervalSeconds 0.5; pool of 10',
    share: 0.5,
  },
  hand: {
    title: 'pg-boss by hand',
    settings: `fetch and complete of ${byHand}, whatever the slots; pool of 10`,
    share: 0.5,
  },
}

const workers = {
  work(boss, { concurrency, handle, completed }) {
    if (completed !== undefined)
      onStored(/SET completed_on = [\s\S]*state = 'completed'/, ({ rows }) => Number(rows[0]?.count ?? 0), completed)
    const options = { batchSize: concurrency, burstWhenBatchFull: true, pollingIntervalSeconds: 0.5 }
    const started = boss.work(queue, options, (jobs) => Promise.all(jobs.map(({ data }) => handle(data))))
    return {
      async stop() {
        await started
        await boss.offWork(queue)
      },
    }
  },
  hand(boss, { handle, completed }) {
    let isOn = true
    const loop = async () => {
      while (isOn) {
        const jobs = await boss.fetch(queue, { batchSize: byHand })
        if (jobs.length === 0) {
          await sleep(2)
          continue
        }
        await Promise.all(jobs.map(({ data }) => handle(data)))
        await boss.complete(
          queue,
          jobs.map(({ id }) => id),
        )
        if (completed !== undefined) for (const _ of jobs) completed()
      }
    }
    const over = loop()
    return {
      async stop() {
        isOn = false
        await over
      },
    }
  },
}

export const subject = (variant) => ({
  ...variants[variant],
  version: versionOf('pg-boss'),
  durability: 'history kept',
  intervalMs: 500,

  driver: versionLine,

  async open(connectionString) {
    const boss = new PgBoss({ connectionString, useListenNotify: variant === 'work' })
    boss.on('error', (error) => console.error(error.message))
    await boss.start()
    return {
      ready: () => boss.createQueue(queue, { notify: variant === 'work' }),
      add: (payload) => boss.send(queue, payload),
      addMany: (payloads) =>
        boss.insert(
          queue,
          payloads.map((data) => ({ data })),
        ),
      work: (options) => workers[variant](boss, options),
      close: () => boss.stop({ graceful: false }),
    }
  },

  async finish(connectionString) {
    const client = new pg.Client({ connectionString })
    await client.connect()
    await client.query(`UPDATE pgboss.job SET state = 'completed', started_on = now(), completed_on = now()`)
    await client.end()
  },
})
