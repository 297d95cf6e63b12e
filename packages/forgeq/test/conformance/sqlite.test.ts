// The SQLite store keeps the contract, in a file and in memory, in the calling thread and in one of its own.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sqlite, type SqliteOptions } from '#src/sqlite/index.js'
import { ManualClock } from '#src/store/clock.js'
import { type OpenStore, runConformance } from './run-conformance.ts'

const open = (path: string, options: SqliteOptions, done = async (): Promise<void> => undefined): OpenStore => {
  const clock = new ManualClock()
  const store = sqlite(path, { ...options, clock })
  return {
    store,
    now: () => clock.now(),
    advance: async (ms) => clock.advance(ms),
    close: async () => {
      await store.close()
      await done()
    },
  }
}

const inFile = async (): Promise<OpenStore> => {
  const folder = await mkdtemp(join(tmpdir(), 'forgeq-'))
  return open(join(folder, 'jobs.db'), { inline: true }, () => rm(folder, { recursive: true }))
}

runConformance('sqlite file', inFile, ['notify', 'shared'])
// The same engine behind messages: a third of the cases tells most of what may go wrong there.
const every = process.env['FORGEQ_TEST_QUICK'] === undefined ? 1 : 3
runConformance('sqlite memory, own thread', async () => open(':memory:', {}), ['notify'], every)
