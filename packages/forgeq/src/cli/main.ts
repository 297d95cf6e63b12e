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
  dev: { about: 'API and workers in one tree, to try and to develop', load: () => import('./dev.ts') },
  server: { about: 'the HTTP API, without workers', load: () => import('./server.ts') },
  worker: { about: 'run jobs in supervised processes', load: () => import('./worker.ts') },
  enqueue: { about: 'send a job, or a file of jobs', load: () => import('./enqueue.ts') },
  status: { about: 'queues, workers and what needs attention', load: () => import('./status.ts') },
  jobs: { about: 'look at jobs and act on them', load: () => import('./jobs.ts') },
  dead: { about: 'dead letters: jobs that gave up', load: () => import('./dead.ts') },
  queues: { about: 'list, limit, pause and resume queues', load: () => import('./queues.ts') },
  workers: { about: 'list worker processes, change their slots', load: () => import('./workers.ts') },
  migrate: { about: "bring the store's schema up to date", load: () => import('./migrate.ts') },
  move: { about: 'move all jobs to another store', load: () => import('./move.ts') },
  config: { about: 'show the settings and where they come from', load: () => import('./config-command.ts') },
}

// A reader that has seen enough, as in `forgeq jobs ls | head`, is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit()
  throw error
})
process.exitCode = await run(withHelp(process.argv.slice(2)))

async function run(args: readonly string[]): Promise<number | undefined> {
  const program = new Command('forgeq')
    .description('Background jobs that survive crashes.')
    .version(version)
    .exitOverride()
    .showHelpAfterError('`--help` shows what there is.')
  for (const [name, { about }] of Object.entries(commands)) program.command(name).description(about)
  const [name = ''] = args
  const entry = Object.hasOwn(commands, name) ? commands[name] : undefined
  const command = program.commands.find((each) => each.name() === name)
  try {
    if (entry !== undefined && command !== undefined) (await entry.load()).define(command)
    await program.parseAsync(joinWait(args), { from: 'user' })
    return process.exitCode as number | undefined
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
    return report(error)
  }
}

/** `help jobs show` is `jobs show --help`, so that the command is loaded like any other. */
function withHelp(args: readonly string[]): readonly string[] {
  const [first, ...others] = args
  return first === 'help' ? [...others, '--help'] : args
}

/** `--wait` takes what follows only when that is a duration: it must not swallow a type or a payload. */
function joinWait(args: readonly string[]): string[] {
  const end = args.includes('--') ? args.indexOf('--') : args.length
  const at = args.indexOf('--wait')
  if (at === -1 || at > end) return [...args]
  const next = args[at + 1] ?? ''
  const limit = /^[\d.]+(ms|s|m|h|d)$/.test(next) ? next : ''
  return [...args.slice(0, at), `--wait=${limit}`, ...args.slice(at + (limit === '' ? 1 : 2))]
}
