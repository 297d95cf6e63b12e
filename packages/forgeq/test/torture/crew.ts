// A supervisor with its worker processes, each of which starts with the next of the planned faults.
import { Emitter } from '#src/emitter.js'
import { openStore } from '#src/store/open.js'
import { setFailpoints } from '#src/store/failpoint.js'
import { realTimers } from '#src/timers.js'
import { Supervisor } from '#src/worker/supervise.js'
import { openHistory } from './history.ts'
import { recorded } from './recorded-store.ts'
import type { WorkerTask } from './worker-process.ts'

export interface CrewTask extends WorkerTask {
  readonly processes: number
  /** What its processes start with, and it itself. */
  readonly failpoints: readonly string[]
}

const stopMs = 8_000

async function runCrew({ processes, failpoints, ...task }: CrewTask): Promise<void> {
  const note = openHistory(task.folder, 'crew')
  let next = 0
  // A child takes the environment along that is there when it is started.
  const arm = (): void => {
    process.env['FORGEQ_FAILPOINTS'] = failpoints[next] ?? ''
    next += 1
  }
  arm()
  setFailpoints(failpoints[0] ?? '')
  const store = recorded(await openStore(task.url), note)
  const supervisor = new Supervisor({
    entry: new URL('./worker-process.js', import.meta.url),
    task: task satisfies WorkerTask,
    processes,
    limits: { maxJobs: null, maxRssBytes: null },
    store,
    timers: realTimers,
    random: Math.random,
    events: new Emitter(),
    told: (news) => {
      if (news.news === 'died') note({ e: 'died', pid: news.pid, how: news.how })
      arm()
    },
  })
  process.on('SIGTERM', () => supervisor.stop(stopMs))
  // The runner is gone: nobody would end this.
  process.on('disconnect', () => supervisor.stop(stopMs))
  await supervisor.run(stopMs)
  await store.close()
}

process.once('message', (task: CrewTask) => {
  runCrew(task).then(
    () => process.exit(0),
    (error: unknown) => {
      console.error(error)
      process.exit(1)
    },
  )
})
