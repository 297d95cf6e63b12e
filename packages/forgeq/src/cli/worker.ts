// `forgeq worker`: runs jobs in supervised processes until it is told to stop, or until nothing is left to do.
import { existsSync } from 'node:fs'
import type { Command } from 'commander'
import { ForgeError } from '../core/errors.ts'
import { configOf, withForge } from './connect.ts'
import type { Flags } from './config.ts'
import { crewOptions } from './options.ts'
import { defaultFolder } from './default-folder.ts'
import { hearEarlyEnd } from './early-end.ts'

export function define(command: Command): void {
  crewOptions(command)
    .argument('[handlers...]', `modules that export handlers: files, folders, patterns (default: ${defaultFolder})`)
    .option('--drain', 'end when nothing is left to do')
    .action(async (paths: string[], flags: Flags & { drain?: true }) => {
      const config = await configOf(flags)
      const handlers = handlersOf(paths)
      const drain = flags.drain === true
      hearEarlyEnd()
      const { runCrew } = await import('./crew.ts')
      process.exitCode = await withForge(config, ({ store }) => runCrew({ config, store, handlers, drain }))
    })
}

function handlersOf(paths: readonly string[]): readonly string[] {
  if (paths.length > 0) return paths
  if (existsSync(defaultFolder)) return [defaultFolder]
  throw new ForgeError(
    'USAGE',
    `no handlers are named, and there is no folder ${defaultFolder} here: forgeq worker <file, folder or pattern ...>`,
  )
}
