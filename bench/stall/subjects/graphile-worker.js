import { Logger, makeWorkerUtils, run } from 'graphile-worker'
import pg from 'pg'
import { postgres } from '../servers.js'

const logger = new Logger(() => (level, message) => {
  if (level === 'error') process.send?.({ says: 'error', error: message })
})

export const subject = {
  settings: 'defaults; a lock lasts 4 h, and here it is made 4 h old by SQL as soon as the process is stopped',
  serve: postgres,
  newerNode: true,
  async work(connectionString, fn) {
    await run({
      connectionString,
      logger,
      noHandleSignals: true,
      pollInterval: 500,
      taskList: { stall: async (_, { abortSignal }) => void (await fn(abortSignal)) },
    })
  },
  async enqueue(connectionString) {
    const utils = await makeWorkerUtils({ connectionString, logger })
    await utils.migrate()
    const { id } = await utils.addJob('stall', {})
    const pool = new pg.Pool({ connectionString })
    return {
      // As when four hours have passed.
      age: () => pool.query(`UPDATE graphile_worker._private_jobs SET locked_at = locked_at - interval '5 hours'`),
      async look() {
        const { rows } = await pool.query(
          'SELECT attempts, locked_by FROM graphile_worker._private_jobs WHERE id = $1',
          [id],
        )
        const [job] = rows
        if (job === undefined) return 'completed (its row is gone)'
        return `${job.locked_by === null ? 'waiting' : 'running'}, attempt ${job.attempts}`
      },
      async close() {
        await pool.end()
        await utils.release()
      },
    }
  },
}
