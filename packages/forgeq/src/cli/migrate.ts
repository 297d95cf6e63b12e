// `forgeq migrate`: brings the store's schema to the version that this program needs.
import type { Command } from 'commander'
import type { Migration } from '../store/store.ts'
import { openStore } from '../store/open.ts'
import { configOf, fileOfStore } from './connect.ts'
import { lookOptions, type LookFlags } from './options.ts'
import { paint } from './output.ts'

function printMigration({ version, target, steps }: Migration, isPlan: boolean): void {
  if (steps.length === 0) return console.log(`The schema is up to date (version ${version}).`)
  const from = version === 0 ? 'nothing' : `version ${version}`
  console.log(isPlan ? `From ${from} to version ${target}:` : `Migrated to version ${target}:`)
  for (const step of steps) console.log(`  ${step}`)
}

export function define(command: Command): void {
  lookOptions(command)
    .option('--plan', 'only show what would be done')
    .action(async (flags: LookFlags & { plan?: true }) => {
      const config = await configOf(flags)
      fileOfStore(config)
      const store = await openStore(config.store)
      try {
        const migration = await store.migrate(flags.plan === true ? 'plan' : 'apply')
        const drift = await store.drift()
        if (flags.json) return console.log(JSON.stringify({ ...migration, drift }))
        printMigration(migration, flags.plan === true)
        if (drift.length > 0) console.log()
        for (const difference of drift) console.log(`${paint('yellow', '!')} ${difference}`)
      } finally {
        await store.close()
      }
    })
}
