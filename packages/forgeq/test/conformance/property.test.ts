// Whatever happens, in whatever order: SQLite answers as the reference store does. Run again what failed with
// FORGEQ_PROPERTY_SEED; more runs with FORGEQ_PROPERTY_RUNS (default 400).
import { test } from 'node:test'
import fc from 'fast-check'
import { sqlite } from '#src/sqlite/index.js'
import { ManualClock } from '#src/store/clock.js'
import type { Store } from '#src/store/store.js'
import { busyCommands, commands } from './commands.ts'
import { Twin } from './twin.ts'

const seed = Number(process.env['FORGEQ_PROPERTY_SEED'] ?? Date.now() % 2 ** 31)
const numRuns = Number(process.env['FORGEQ_PROPERTY_RUNS'] ?? 400)

for (const [name, arbitrary] of Object.entries({ 'of all kinds': commands, 'for a busy queue': busyCommands })) {
  test(`sqlite equals the reference store under random commands ${name}`, async (t) => {
    t.diagnostic(`FORGEQ_PROPERTY_SEED=${seed} FORGEQ_PROPERTY_RUNS=${numRuns}`)
    const property = fc.asyncProperty(arbitrary, async (given) => {
      const clock = new ManualClock()
      const stores: Store[] = []
      const another = async (): Promise<Store> => {
        stores.push(sqlite(':memory:', { clock, inline: true }))
        return stores.at(-1)!
      }
      try {
        await new Twin(await another(), clock, another).play(given)
      } finally {
        for (const store of stores) await store.close()
      }
    })
    await fc.assert(property, { seed, numRuns })
  })
}
