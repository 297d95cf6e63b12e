// `forgeq status`: the whole store on one screen, and what needs somebody's attention.
import type { Command } from 'commander'
import { canWork, describeCrashLoops, describeSilent } from '../core/crew.ts'
import { states } from '../core/states.ts'
import { describePaused } from '../core/closed-queue.ts'
import { queueJson, workerJson } from '../server/view.ts'
import type { QueueRecord } from '../store/queue-record.ts'
import type { WorkerRecord } from '../store/worker-record.ts'
import type { StoreInfo } from '../store/store.ts'
import { maskUrl } from '../store/url.ts'
import { withStored } from './connect.ts'
import { lookOptions, type LookFlags } from './options.ts'
import { paint, printFacts } from './output.ts'
import { paintState } from './paint.ts'
import { isFull } from './queue-page.ts'
import { printQueues } from './queues.ts'
import { when } from './when.ts'

export function define(command: Command): void {
  lookOptions(command).action((flags: LookFlags) =>
    withStored(flags, async (forge, config) => {
      const [info, queues, workers] = await Promise.all([forge.ready(), forge.store.queues(), forge.admin.workers()])
      const warnings = [...(await forge.store.drift()), ...warn(info, queues, workers)]
      if (flags.json) return console.log(statusJson(info, queues, workers, warnings))
      const live = workers.filter((worker) => canWork(worker, info.now))
      const slots = live.reduce((sum, worker) => sum + worker.slots, 0)
      const busy = live.reduce((sum, worker) => sum + worker.held, 0)
      printFacts([
        ['store', `${maskUrl(config.store)}\n${paint('dim', `${info.kind} ${info.version}, ${info.durability}`)}`],
        ['workers', `${live.length === 1 ? '1 process' : `${live.length} processes`}, ${busy} of ${slots} slots busy`],
        ['jobs', totals(queues)],
      ])
      if (queues.length > 0) {
        console.log()
        printQueues(queues, info.now)
      }
      if (warnings.length > 0) console.log()
      for (const warning of warnings) console.log(`${paint('yellow', '!')} ${warning}`)
    }),
  )
}

function totals(queues: readonly QueueRecord[]): string {
  const counted = states.map((state) => [state, queues.reduce((sum, { counts }) => sum + counts[state], 0)] as const)
  const shown = counted.filter(([, count]) => count > 0)
  if (shown.length === 0) return 'none'
  return shown.map(([state, count]) => `${count.toLocaleString('en')} ${paintState(paint, state)}`).join(', ')
}

function warn(info: StoreInfo, queues: readonly QueueRecord[], workers: readonly WorkerRecord[]): string[] {
  const served = new Set(workers.filter((worker) => canWork(worker, info.now)).flatMap((worker) => worker.queues))
  const dead = queues.reduce((sum, { counts }) => sum + counts.dead, 0)
  return [
    ...info.problems,
    ...describeCrashLoops(workers, info.now),
    ...queues.flatMap(warnOfIntake),
    ...describeSilent(workers, info.now),
    ...queues.flatMap(({ queue, paused, accepting, counts, oldestReadyAt }) => {
      if (paused) return [describePaused(queue, accepting)]
      if (counts.ready === 0 || served.has(queue)) return []
      return [
        `No worker serves queue ${queue} (${counts.ready.toLocaleString('en')} ready, the oldest ${when(oldestReadyAt, info.now)}).`,
      ]
    }),
    ...(dead > 0 ? [`${dead === 1 ? 'One job is' : `${dead} jobs are`} dead: \`forgeq dead ls\` shows why.`] : []),
  ]
}

/** What new jobs are told. */
function warnOfIntake(record: QueueRecord): string[] {
  const { queue, paused, accepting, limits } = record
  if (!accepting && paused) return []
  if (!accepting) return [`Queue ${queue} takes no new jobs: \`forgeq queues limit ${queue} --accepting\` opens it.`]
  if (!isFull(record)) return []
  const most = limits.maxDepth?.toLocaleString('en')
  return [`Queue ${queue} is full (at most ${most} waiting). \`forgeq queues limit ${queue} --max-depth\` raises that.`]
}

function statusJson(
  { kind, version, durability }: StoreInfo,
  queues: readonly QueueRecord[],
  workers: readonly WorkerRecord[],
  problems: readonly string[],
): string {
  const store = JSON.stringify({ kind, version, durability })
  return `{"store":${store},"queues":[${queues.map(queueJson).join(',')}],"workers":[${workers.map(workerJson).join(',')}],"problems":${JSON.stringify(problems)}}`
}
