// liteque on better-sqlite3 and Drizzle. It sets synchronous=NORMAL by itself, has no call for many jobs, and deletes
// what has completed.
import { createRequire } from 'node:module'
import Database from 'better-sqlite3'
import { buildDBClient, Runner, SqliteQueue } from 'liteque'
import { z } from 'zod'
import { driverOf } from './driver.js'

const { version } = createRequire(import.meta.url)('liteque/package.json')

const validator = z.object({ n: z.number(), to: z.string() })

const variants = {
  readme: { title: 'liteque README', settings: 'pollIntervalMs 1000, as in its README', pollIntervalMs: 1000 },
  tuned: { title: 'liteque', settings: 'pollIntervalMs 1', pollIntervalMs: 1 },
}

export const subject = (variant) => ({
  title: variants[variant].title,
  settings: variants[variant].settings,
  durability: 'NORMAL',
  version,
  intervalMs: variants[variant].pollIntervalMs,
  isDefault: variant === 'readme',
  share: 0.02,
  hasAddMany: false,

  driver: async () => driverOf('better-sqlite3', new Database(':memory:')),

  async open(path) {
    const db = buildDBClient(path, { runMigrations: true })
    const queue = new SqliteQueue('bench', db, { defaultJobArgs: { numRetries: 5 }, keepFailedJobs: true })
    return {
      add: (payload) => queue.enqueue(payload),
      work({ concurrency, handle, completed }) {
        const runner = new Runner(
          queue,
          { run: ({ data }) => handle(data), onComplete: async () => completed?.() },
          { concurrency, pollIntervalMs: variants[variant].pollIntervalMs, timeoutSecs: 60, validator },
        )
        const over = runner.run()
        return {
          async stop() {
            runner.stop()
            await over
          },
        }
      },
      close: async () => {},
    }
  },
})
