// A folder that is gone after the test, and stores on files in it.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { randomFillSync } from 'node:crypto'
import { idSource } from '#src/core/id.js'
import { defaultPolicy } from '#src/core/policy.js'
import { findDriver, type Database } from '#src/sqlite/connect.js'
import { sqlite, type SqliteOptions } from '#src/sqlite/index.js'
import type { NewJob, Registration } from '#src/store/records.js'
import type { Store, Topic } from '#src/store/store.js'

export const newId = idSource(Date.now, (bytes) => randomFillSync(bytes))

export function temporaryFile(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'forgeq-test-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return join(folder, 'jobs.db')
}

export function openStore(t: TestContext, path: string, options: SqliteOptions = {}): Store {
  const store = sqlite(path, options)
  t.after(() => store.close())
  return store
}

/** A connection of another program. */
export function foreignConnection(t: TestContext, path: string): Database {
  const { driver } = findDriver(false)
  const db = new driver.DatabaseSync(path)
  db.exec('PRAGMA busy_timeout = 5000')
  t.after(() => db.close())
  return db
}

export const someJob = (facts: Partial<NewJob> = {}): NewJob => ({
  id: newId(),
  type: 'mail',
  payload: '{"to":"a@b.example"}',
  policy: defaultPolicy,
  ...facts,
})

export const someWorker = (facts: Partial<Registration> = {}): Registration => ({
  id: newId(),
  host: 'host',
  pid: process.pid,
  pidSpace: null,
  version: '0.0.0',
  queues: ['default'],
  types: [{ type: 'mail', policy: defaultPolicy, inputSchema: null }],
  slots: 10,
  leaseMs: 15_000,
  keepAlive: false,
  ...facts,
})

/** Resolves with the topic at its first hint. */
export const hinted = (store: Store, topic: Topic): Promise<Topic> =>
  new Promise((resolve) => {
    const stop = store.listen([topic], (heard) => {
      stop()
      resolve(heard)
    })
  })
