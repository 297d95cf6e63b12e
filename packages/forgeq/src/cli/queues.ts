// `forgeq queues`: depths, pause, resume. Limits: queue-limits.ts.
import type { Command } from 'commander'
import { checkName } from '../core/name.ts'
import type { ForgeQ } from '../forge.ts'
import { listJson, queueJson } from '../server/view.ts'
import type { QueueRecord } from '../store/queue-record.ts'
import { withStored } from './connect.ts'
import { lookOptions, type LookFlags } from './options.ts'
import { paint, printTable, say } from './output.ts'
import { defineLimits } from './queue-limits.ts'
import { closings, limitations } from './queue-page.ts'
import { when } from './when.ts'

export function define(command: Command): void {
  lookOptions(command.command('ls').description('list queues with their depths')).action((flags: LookFlags) =>
    withStored(flags, async (forge) => {
      const queues = await forge.store.queues()
      if (flags.json) return console.log(listJson(queues.map(queueJson)))
      if (queues.length === 0) say('No queue has had a job yet.')
      else printQueues(queues, (await forge.ready()).now)
    }),
  )
  defineLimits(command)
  const verbs = [
    ['pause', 'claim nothing from queues until they are resumed; what runs goes on'],
    ['resume', 'claim from paused queues again'],
  ] as const
  for (const [verb, about] of verbs) {
    lookOptions(command.command(verb).description(about))
      .argument('<queues...>')
      .action((names: string[], flags: LookFlags) => withStored(flags, (forge) => setPaused(forge, verb, names, flags)))
  }
}

async function setPaused(
  forge: ForgeQ,
  verb: 'pause' | 'resume',
  names: readonly string[],
  flags: LookFlags,
): Promise<void> {
  for (const name of names) checkName(name, 'queue')
  const known = new Set((await forge.store.queues()).map(({ queue }) => queue))
  for (const name of names) {
    await forge.admin[verb](name)
    if (!known.has(name)) say(`Queue ${name} has never had a job: is its name right?`)
    if (!flags.json) console.log(`${name} ${verb}d`)
  }
  if (flags.json) {
    console.log(listJson(names.map((queue) => JSON.stringify({ queue, paused: verb === 'pause' }))))
  }
}

export function printQueues(queues: readonly QueueRecord[], now: number): void {
  const counts = ['ready', 'running', 'scheduled', 'completed', 'dead', 'cancelled'] as const
  printTable(queues, [
    { title: 'QUEUE', cell: ({ queue }) => queue },
    ...counts.map((state) => ({
      title: state.toUpperCase(),
      cell: (queue: QueueRecord) => queue.counts[state].toLocaleString('en'),
      align: 'right' as const,
      ...(state === 'dead' && {
        paint: (text: string, queue: QueueRecord) => (queue.counts.dead > 0 ? paint('red', text) : text),
      }),
    })),
    { title: 'OLDEST READY', cell: ({ oldestReadyAt }) => when(oldestReadyAt, now) },
    {
      title: '',
      cell: (queue) => [...closings(queue, now), ...limitations(queue)].join(', '),
      paint: (text, queue) => (closings(queue, now).length > 0 ? paint('yellow', text) : text),
    },
  ])
}
