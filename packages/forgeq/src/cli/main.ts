// The command line's entry: runs when it is imported. Knows each command by name and one line, and loads only the one
// that is asked for, so that help comes at once.
import { Command, CommanderError } from 'commander'
import { version } from '../version.ts'
import { report } from './report.ts'

interface Entry {
  readonly about: string
  /** Adds options, subcommands and what to do. */
  readonly load: () => Promise<{ define: (command: Command) => void }>
}

const commands: Readonly<Record<string, Entry>> = {
  dev: { about: 'API and workers in one tree, for trying and developing', load: () => import('./dev.ts') },
  worker: { about: 'run jobs', load: () => import('./worker.ts') },
}

process.exitCode = await run(process.argv.slice(2))

async function run(args: readonly string[]): Promise<number | undefined> {
  const program = new Command('forgeq')
    .description('Background jobs that survive crashes.')
    .version(version)
    .exitOverride()
    .showHelpAfterError('\n(`--help` shows what is there)')
  for (const [name, { about }] of Object.entries(commands)) program.command(name).description(about)
  const [name = ''] = args
  const entry = Object.hasOwn(commands, name) ? commands[name] : undefined
  const command = program.commands.find((each) => each.name() === name)
  try {
    if (entry !== undefined && command !== undefined) (await entry.load()).define(command)
    await program.parseAsync(separateWait(args), { from: 'user' })
    return process.exitCode as number | undefined
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
    return report(error)
  }
}

/** `--wait` takes a value only after `=`: it must not swallow what comes next. */
function separateWait(args: readonly string[]): string[] {
  const end = args.indexOf('--')
  return args.map((arg, i) => (arg === '--wait' && (end === -1 || i < end) ? '--wait=' : arg))
}
