// `forgeq migrate`: brings the store's schema to the version that this program needs.
import type { Command } from 'commander'
import { openStore } from '../store/open.ts'
import { configOf, fileOfStore } from './connect.ts'
import { lookOptions, type LookFlags } from './options.ts'

export function define(command: Command): void {
  lookOptions(command)
    .option('--plan', 'only show what would be done')
    .action(async (flags: LookFlags & { plan?: true }) => {
      const config = await configOf(flags)
      fileOfStore(config)
      const store = await openStore(config.store)
      try {
        const migration = await store.migrate(flags.plan === true ? 'plan' : 'apply')
        if (flags.json) return console.log(JSON.stringify(migration))
        const { version, target, steps } = migration
        if (steps.length === 0) return console.log(`The schema is up to date (version ${version}).`)
        const from = version === 0 ? 'nothing' : `version ${version}`
        console.log(flags.plan === true ? `From ${from} to version ${target}:` : `Migrated to version ${target}:`)
        for (const step of steps) console.log(`  ${step}`)
      } finally {
        await store.close()
      }
    })
}
