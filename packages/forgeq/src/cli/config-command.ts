// `forgeq config print`: each setting with where it comes from.
import type { Command } from 'commander'
import { configOf } from './connect.ts'
import { storeOption } from './options.ts'
import { paint, printTable } from './output.ts'
import { settings, type SettingName } from './settings.ts'
import type { Flags } from './config.ts'

export function define(command: Command): void {
  storeOption(command.command('print').description('each setting with where it comes from, secrets masked'))
    .option('--json', 'JSON for programs')
    .action(async (flags: Flags & { json?: true }) => {
      const config = await configOf(flags)
      const rows = (Object.keys(settings) as SettingName[]).map((name) => {
        const { key, variable, show } = settings[name]
        return {
          key,
          value: (show as (value: unknown) => string)(config[name]),
          origin: config.origins[name],
          variable,
        }
      })
      if (flags.json) {
        return console.log(
          JSON.stringify(Object.fromEntries(rows.map(({ key, value, origin }) => [key, { value, origin }]))),
        )
      }
      printTable(rows, [
        { title: 'SETTING', cell: ({ key }) => key, paint: (text) => paint('bold', text) },
        { title: 'VALUE', cell: ({ value }) => value },
        {
          title: 'ORIGIN',
          cell: ({ origin }) => origin,
          paint: (text, { origin }) => (origin === 'default' ? paint('dim', text) : text),
        },
        { title: 'VARIABLE', cell: ({ variable }) => variable, paint: (text) => paint('dim', text) },
      ])
    })
}
