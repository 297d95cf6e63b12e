// `forgeq jobs`: look at jobs and act on them.
import type { Command } from 'commander'
import { unknownJob } from '../core/errors.ts'
import { isId } from '../core/id.ts'
import { states } from '../core/states.ts'
import type { ForgeQ } from '../forge.ts'
import { awaitJob } from './await-job.ts'
import { withStored } from './connect.ts'
import { printVerdicts } from './job-acts.ts'
import { listJobs, type ListFlags } from './job-list.ts'
import { jobOf } from './job-of.ts'
import { printLogs, showJob } from './job-page.ts'
import { duration, lookOptions, oneOf, wholeNumber, type LookFlags } from './options.ts'
import { readPayload } from './payload.ts'

export function define(command: Command): void {
  const sub = (name: string, about: string): Command => lookOptions(command.command(name).description(about))

  listOptions(sub('ls', 'list jobs, newest first; with --state ready or scheduled, in the order they start'))
    .option('-s, --state <state>', states.join(', '), oneOf(states))
    .action((flags: LookFlags & ListFlags) => withStored(flags, (forge) => listJobs(forge, flags)))

  sub('show', 'everything about a job')
    .argument('<id>')
    .action((id: string, flags: LookFlags) => withStored(flags, (forge) => showJob(forge, id, flags.json === true)))

  sub('logs', 'what its handler logged')
    .argument('<id>')
    .action((id: string, flags: LookFlags) => withStored(flags, (forge) => showLogs(forge, id, flags.json === true)))

  sub('wait', 'wait until a job has ended and print its result')
    .argument('<id>')
    .option('--timeout <duration>', 'give up after this time: 30s, 5m (default: never)', duration)
    .action((id: string, flags: LookFlags & { timeout?: number }) =>
      withStored(flags, (forge) => awaitJob(forge, id, flags.timeout ?? Infinity, flags.json === true)),
    )

  sub('why', 'why a job is where it is, and what to do about it')
    .argument('<id>')
    .action((id: string, flags: LookFlags) => withStored(flags, (forge) => explain(forge, id, flags.json === true)))

  sub('retry', 'run ended jobs again, with a fresh set of tries')
    .argument('<ids...>')
    .option('--payload <json>', 'with another payload: JSON, @file or - for standard input')
    .action((ids: string[], flags: LookFlags & { payload?: string }) =>
      withStored(flags, async (forge) => {
        const payloadJson = await readPayload(flags.payload)
        if (payloadJson !== undefined) await checkPayload(forge, ids, payloadJson)
        const verdicts = await forge.admin.retry(ids, payloadJson === undefined ? {} : { payloadJson })
        process.exitCode = printVerdicts(verdicts, 'retry', flags.json === true)
      }),
    )

  const acts = [
    ['cancel', 'cancel jobs: waiting ones at once, running ones when their handler has heard of it', 'cancel'],
    ['delete', 'delete jobs that do not run', 'remove'],
    ['promote', 'make scheduled jobs ready now', 'promote'],
  ] as const
  for (const [action, about, method] of acts) {
    sub(action, about)
      .argument('<ids...>')
      .action((ids: string[], flags: LookFlags) =>
        withStored(flags, async (forge) => {
          process.exitCode = printVerdicts(await forge.admin[method](ids), action, flags.json === true)
        }),
      )
  }
}

export const listOptions = (command: Command): Command =>
  command
    .option('--queue <name>', 'only of this queue')
    .option('-t, --type <type>', 'only of this type')
    .option('--tag <tag>', 'only with this tag')
    .option('-n, --limit <n>', 'at most this many', wholeNumber(1, 1000), 20)
    .option('--cursor <cursor>', 'go on where a list ended')

async function showLogs(forge: ForgeQ, id: string, asJson: boolean): Promise<void> {
  const { logs = [] } = await jobOf(forge, id, ['logs'])
  if (!asJson) return printLogs(logs)
  console.log(JSON.stringify({ data: logs.map(({ at, ...line }) => ({ at: new Date(at).toISOString(), ...line })) }))
}

async function explain(forge: ForgeQ, id: string, asJson: boolean): Promise<void> {
  const why = isId(id) ? await forge.admin.why(id) : undefined
  if (why === undefined) throw unknownJob(id)
  console.log(asJson ? JSON.stringify(why) : why.text)
}

/** As the schema of each job's type wants it, where a worker announced one. */
async function checkPayload(forge: ForgeQ, ids: readonly string[], payload: string): Promise<void> {
  const { intakeOf } = await import('./intake-of.ts')
  const intake = await intakeOf(forge)
  const types = new Set((await forge.store.jobs(ids)).map(({ type }) => type))
  for (const type of types) await intake.check(type, payload)
}
