// graphile-worker: a completed job is deleted, no history.
import { Logger, makeWorkerUtils, run } from 'graphile-worker'
import pg from 'pg'
import { onStored, versionLine, versionOf } from './stored.js'

const logger = new Logger(() => (level, message) => {
  if (level === 'error') console.error(message)
})

const variants = {
  tuned: {
    title: 'graphile-worker',
    settings: 'localQueue.size 500, completeJobBatchDelay 0; pool of 10, silent logger',
    worker: { localQueue: { size: 500 }, completeJobBatchDelay: 0, failJobBatchDelay: 0 },
    share: 0.5,
  },
  default: {
    title: 'graphile-worker default',
    settings: 'defaults; pool of 10, silent logger',
    worker: {},
    isDefault: true,
    share: 0.1,
  },
}

export const subject = (variant) => ({
  ...variants[variant],
  version: versionOf('graphile-worker'),
  durability: 'no history',
  intervalMs: 200,

  driver: versionLine,

  async open(connectionString) {
    const pgPool = new pg.Pool({ connectionString, max: 10 })
    pgPool.on('error', () => {})
    pgPool.on('connect', (client) => client.on('error', () => {}))
    const utils = await makeWorkerUtils({ pgPool, preset: { worker: { logger } } })
    return {
      ready: () => utils.migrate(),
      add: (payload) => utils.addJob('bench', payload),
      addMany: (payloads) => utils.addJobs(payloads.map((payload) => ({ identifier: 'bench', payload }))),
      work({ concurrency, handle, completed }) {
        if (completed !== undefined)
          onStored(/^delete from .*_private_jobs as jobs/, ({ rowCount }) => rowCount, completed)
        const running = run({
          pgPool,
          noHandleSignals: true,
          taskList: { bench: handle },
          preset: { worker: { logger, concurrentJobs: concurrency, ...variants[variant].worker } },
        })
        return { stop: async () => (await running).stop() }
      },
      async close() {
        await utils.release()
        await pgPool.end()
      },
    }
  },
})
