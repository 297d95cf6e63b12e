// Whatever happens, in whatever order: PostgreSQL answers as the reference store does. Run again what failed with
// FORGEQ_PROPERTY_SEED; more runs with FORGEQ_PROPERTY_RUNS (default 40: each of them takes a schema and many round trips).
import { test } from 'node:test'
import fc from 'fast-check'
import { openStopped, testDatabase } from '../postgres/database.ts'
import { busyCommands, commands } from './commands.ts'
import { Twin } from './twin.ts'

const seed = Number(process.env['FORGEQ_PROPERTY_SEED'] ?? Date.now() % 2 ** 31)
const numRuns = Number(process.env['FORGEQ_PROPERTY_RUNS'] ?? 40)

const database = await testDatabase()

for (const [name, arbitrary] of Object.entries({ 'of all kinds': commands, 'for a busy queue': busyCommands })) {
  test(`postgres equals the reference store under random commands ${name}`, async (t) => {
    t.diagnostic(`FORGEQ_PROPERTY_SEED=${seed} FORGEQ_PROPERTY_RUNS=${numRuns}`)
    const property = fc.asyncProperty(arbitrary, async (given) => {
      const opened = await openStopped(database)
      try {
        await new Twin(opened.store, opened).play(given)
      } finally {
        await opened.close()
      }
    })
    await fc.assert(property, { seed, numRuns })
  })
}
