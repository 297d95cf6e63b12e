// `forgeq workers`: the processes that are registered with the store, and how many jobs each may run.
import type { Command } from 'commander'
import { isLive } from '../core/crew.ts'
import { listJson, workerJson } from '../server/view.ts'
import type { WorkerRecord } from '../store/worker-record.ts'
import { withStored } from './connect.ts'
import { lookOptions, wholeNumber, type LookFlags } from './options.ts'
import { paint, printTable, say } from './output.ts'
import { when } from './when.ts'

export function define(command: Command): void {
  lookOptions(command.command('ls').description('list worker processes')).action((flags: LookFlags) =>
    withStored(flags, async (forge) => {
      const workers = await forge.admin.workers()
      if (flags.json) return console.log(listJson(workers.map(workerJson)))
      if (workers.length === 0) say('No worker is running. `forgeq worker <handlers>` starts one.')
      else printWorkers(workers, (await forge.ready()).now)
    }),
  )
  lookOptions(command.command('resize').description('change how many jobs a worker runs at a time, while it works'))
    .argument('<id>', 'of the worker, from `forgeq workers ls`')
    .argument('<slots>', 'jobs at a time', wholeNumber(1, 10_000))
    .action((id: string, slots: number, flags: LookFlags) =>
      withStored(flags, async (forge) => {
        await forge.admin.resizeWorker(id, slots)
        console.log(flags.json ? JSON.stringify({ id, slots }) : `${id} runs ${slots} at a time`)
      }),
    )
}

function printWorkers(workers: readonly WorkerRecord[], now: number): void {
  printTable(workers, [
    { title: 'ID', cell: ({ id }) => id },
    { title: 'HOST', cell: ({ host }) => host, shrinks: true },
    { title: 'PID', cell: ({ pid }) => String(pid), align: 'right' },
    { title: 'BUSY', cell: busyOf, align: 'right' },
    { title: 'QUEUES', cell: ({ queues }) => queues.join(','), shrinks: true },
    { title: 'TYPES', cell: ({ types }) => types.join(','), shrinks: true },
    {
      title: 'MEMORY',
      cell: ({ facts }) => (facts === null ? '' : `${Math.round(facts.rssBytes / 1e6)} MB`),
      align: 'right',
    },
    { title: 'LAG', cell: ({ facts }) => (facts === null ? '' : `${facts.loopLagMs} ms`), align: 'right' },
    { title: 'STARTED', cell: ({ startedAt }) => when(startedAt, now) },
    {
      title: 'BEAT',
      cell: (worker) => liveness(worker, now),
      paint: (text, worker) => (isLive(worker, now) ? text : paint('red', text)),
    },
  ])
}

/** Of a supervisor: how many of its processes work. */
function busyOf({ held, slots, facts }: WorkerRecord): string {
  if (facts?.crew !== undefined) return `${facts.crew.up}/${facts.crew.processes} up`
  return `${held}/${slots}${facts !== null && facts.stuck > 0 ? `, ${facts.stuck} stuck` : ''}`
}

const liveness = (worker: WorkerRecord, now: number): string =>
  worker.closed ? 'gone' : isLive(worker, now) ? when(worker.beatAt, now) : `silent, ${when(worker.beatAt, now)}`
