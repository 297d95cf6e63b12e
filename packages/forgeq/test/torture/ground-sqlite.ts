// A run on a SQLite file. Another program may have a transaction open.
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { findDriver } from '#src/sqlite/connect.js'
import { leftIn, mustBeEmpty, type Ground } from './ground.ts'

export const sqliteGround = async (folder: string): Promise<Ground> => {
  const file = join(folder, 'jobs.db')
  const { driver } = findDriver(false)
  const disturb = async (ms: number): Promise<void> => {
    const db = new driver.DatabaseSync(file)
    try {
      db.exec('PRAGMA busy_timeout = 2000; BEGIN IMMEDIATE')
      await wait(ms)
      db.exec('ROLLBACK')
    } catch {
      // Somebody else holds the lock for that long: fault enough.
    } finally {
      db.close()
    }
  }
  const leftovers = async (now: number): Promise<string[]> => {
    const db = new driver.DatabaseSync(file)
    try {
      const count = (table: string, where = 'true'): number =>
        Number((db.prepare(`SELECT count(*) AS n FROM forgeq_${table} WHERE ${where}`).get() as { n: number }).n)
      const sound = (db.prepare('PRAGMA integrity_check').get() as { integrity_check: string }).integrity_check
      const left = await leftIn(count, ['ready', ...mustBeEmpty], now)
      return sound === 'ok' ? left : [...left, `integrity: ${sound}`]
    } finally {
      db.close()
    }
  }
  return { url: `sqlite:${file}`, disturb, leftovers, close: async () => {} }
}
