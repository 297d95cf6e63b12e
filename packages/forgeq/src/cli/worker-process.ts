// What `forgeq worker` and `forgeq dev` run in each of their processes: loads the handlers and works. Its supervisor is
// in the process that started it; settings come from there, too.
import { defaults } from '../core/caps.ts'
import { toMs } from '../core/duration.ts'
import type { Rate } from '../core/limit.ts'
import { ForgeQ } from '../forge.ts'
import { createLog, logEvents, type LogOptions } from '../observe/log.ts'
import { findHandlers } from '../worker/find-handlers.ts'
import { runSupervised } from '../worker/supervised.ts'
import type { QueueSlots } from './settings.ts'

export interface WorkerTask {
  readonly store: string
  readonly handlers: readonly string[]
  readonly folder: string
  readonly queues: QueueSlots | null
  readonly concurrency: number | null
  readonly drain: boolean
  /** By priority level, for every queue that is served; `null` takes a limit away. Empty: nothing is said of them. */
  readonly rates: Readonly<Record<number, Rate | null>>
  readonly log: LogOptions
}

/** What a process tells about itself once it works. */
export interface WorkerDetails {
  readonly handlers: readonly {
    readonly type: string
    readonly queue: string
    readonly file: string
  }[]
  readonly notes: readonly string[]
  readonly queues: Readonly<Record<string, number>>
  readonly concurrency: number
}

process.title = 'forgeq worker'

runSupervised(async (given, { loading, guard }) => {
  const task = given as WorkerTask
  const log = createLog(task.log)
  process.on('uncaughtExceptionMonitor', (error) => log.error({ err: error }, 'worker process crashes'))
  // A handler that makes a forge of its own means the same store.
  process.env['FORGEQ_STORE'] = task.store
  const { handlers, notes } = await findHandlers(task.handlers, task.folder, loading)
  const forge = new ForgeQ({ store: task.store })
  logEvents(forge, log)
  const policies = handlers.map(({ handler, file }) => {
    const { queue, timeout } = forge.explain(handler.job)
    return { type: handler.job.name, queue, timeout, file }
  })
  const { queues, concurrency } = slotsOf(task, [...new Set(policies.map(({ queue }) => queue))])
  if (Object.keys(task.rates).length > 0) {
    for (const queue of Object.keys(queues)) await forge.store.setQueue(queue, { rates: task.rates })
  }
  const warnings = policies.flatMap(({ type, queue, timeout }) => [
    ...(toMs(timeout, 'timeout') > 0 ? [] : [`${type} has no timeout: when it hangs, it holds its slot for ever`]),
    ...(queue in queues ? [] : [`${type} goes to queue ${queue}, which this worker does not serve`]),
  ])
  const worker = forge.worker({
    handlers: handlers.map(({ handler }) => handler),
    queues,
    concurrency,
    drain: task.drain,
    signals: false,
    guard,
  })
  return {
    forge,
    worker,
    details: { handlers: policies, notes: [...notes, ...warnings], queues, concurrency } satisfies WorkerDetails,
  }
})

/** Without -q the queues of the handlers; without -c what the queues name, if all of them do, else 10. */
function slotsOf(task: WorkerTask, own: readonly string[]): Pick<WorkerDetails, 'queues' | 'concurrency'> {
  const given = task.queues ?? Object.fromEntries(own.map((queue): [string, null] => [queue, null]))
  const named = Object.values(given).filter((slots) => slots !== null)
  const isComplete = named.length === Object.keys(given).length
  const concurrency =
    task.concurrency ??
    (isComplete ? named.reduce((sum, slots) => sum + slots, 0) : Math.max(defaults.concurrency, ...named))
  const queues = Object.fromEntries(Object.entries(given).map(([queue, slots]) => [queue, slots ?? concurrency]))
  return { queues, concurrency }
}
