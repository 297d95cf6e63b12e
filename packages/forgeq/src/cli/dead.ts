// `forgeq dead`: the dead letters, the jobs that gave up.
import type { Command } from 'commander'
import { ForgeError } from '../core/errors.ts'
import type { ForgeQ } from '../forge.ts'
import type { ActVerdict } from '../store/records.ts'
import { withStored } from './connect.ts'
import { printVerdicts } from './job-acts.ts'
import { filterOf, findJobs, listJobs, type ListFlags } from './job-list.ts'
import { showJob } from './job-page.ts'
import { listOptions } from './jobs.ts'
import { lookOptions, type LookFlags } from './options.ts'
import { progressLine } from './progress-line.ts'

interface RetryFlags extends LookFlags {
  readonly all?: true
  readonly queue?: string
  readonly type?: string
}

const perRound = 500

export function define(command: Command): void {
  const sub = (name: string, about: string): Command => lookOptions(command.command(name).description(about))

  listOptions(sub('ls', 'list dead letters, newest first')).action((flags: LookFlags & ListFlags) =>
    withStored(flags, (forge) => listJobs(forge, { ...flags, state: 'dead' })),
  )

  sub('show', 'everything about a dead letter, with the error of each try')
    .argument('<id>')
    .action((id: string, flags: LookFlags) => withStored(flags, (forge) => showJob(forge, id, flags.json === true)))

  sub('retry', 'run dead letters again, with a fresh set of tries')
    .argument('[ids...]')
    .option('--all', 'all of them, or all of a queue or type')
    .option('--queue <name>', 'with --all: only of this queue')
    .option('-t, --type <type>', 'with --all: only of this type')
    .action((ids: string[], flags: RetryFlags) =>
      withStored(flags, async (forge) => {
        const verdicts = flags.all === true ? await retryAll(forge, flags) : await forge.admin.retry(chosen(ids))
        process.exitCode = printVerdicts(verdicts, 'retry', flags.json === true)
      }),
    )
}

function chosen(ids: readonly string[]): readonly string[] {
  if (ids.length > 0) return ids
  throw new ForgeError('USAGE', 'no dead letters are named: give their ids, or --all')
}

/** From the newest to the oldest: one that dies again meanwhile is behind, and not met again. */
async function retryAll(forge: ForgeQ, flags: RetryFlags): Promise<ActVerdict[]> {
  const verdicts: ActVerdict[] = []
  const progress = progressLine('retried')
  let cursor: string | null = null
  do {
    const page = await findJobs(forge, filterOf({ ...flags, state: 'dead' }), perRound, cursor)
    cursor = page.cursor
    verdicts.push(...(await forge.admin.retry(page.jobs.map(({ id }) => id))))
    progress.show(verdicts.length)
  } while (cursor !== null)
  progress.end()
  return verdicts
}
