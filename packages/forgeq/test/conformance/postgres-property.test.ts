// Whatever happens, in whatever order: PostgreSQL answers as the reference store does. Run again what failed with
// FORGEQ_PROPERTY_SEED; more runs with FORGEQ_PROPERTY_RUNS (default 40: each of them takes a schema and many round trips).
import { test } from 'node:test'
import fc from 'fast-check'
import { sqlite } from '#src/sqlite/index.js'
import { ManualClock } from '#src/store/clock.js'
import type { Store } from '#src/store/store.js'
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
      const clock = new ManualClock()
      const opened = [await openStopped(database, { clock })]
      // Jobs go to SQLite and come back.
      let [isThere, closeOther] = [true, async (): Promise<void> => undefined]
      const another = async (): Promise<Store> => {
        isThere = !isThere
        if (isThere) return opened[opened.push(await openStopped(database, { clock })) - 1]!.store
        const store = sqlite(':memory:', { clock, inline: true })
        const closeOthers = closeOther
        closeOther = async () => Promise.all([closeOthers(), store.close()]).then(() => undefined)
        return store
      }
      const advance = async (ms: number): Promise<void> => {
        clock.advance(ms)
        for (const one of opened) await one.advance(0)
      }
      try {
        await new Twin(opened[0]!.store, { now: () => clock.now(), advance }, another).play(given)
      } finally {
        await closeOther()
        for (const one of opened) await one.close()
      }
    })
    await fc.assert(property, { seed, numRuns })
  })
}
