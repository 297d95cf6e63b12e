// The worker in a supervised process: reports to its supervisor, stops when that says so, or ends, or a signal comes.
import { inspect } from 'node:util'
import { ForgeError } from '../core/errors.ts'
import type { ForgeQ } from '../forge.ts'
import type { Order, Report, RunningJob } from './crew-talk.ts'
import type { Worker } from './worker.ts'

export interface SupervisedWorker {
  readonly forge: ForgeQ
  /** Made with `signals: false`. */
  readonly worker: Worker
  /** Handed to the supervisor as they are. */
  readonly details: unknown
}

/** Tells the supervisor which module is loaded next; it has heard of it once this resolves. */
export type Loading = (module: string) => Promise<void>

/** Runs what `start` makes of the supervisor's task until it is over, then ends the process. */
export function runSupervised(start: (task: unknown, loading: Loading) => Promise<SupervisedWorker>): void {
  let graceMs = 0
  let isStopping = false
  let worker: Worker | undefined
  const running = new Map<string, RunningJob>()

  const tellRunning = (): void => {
    if (isStopping) tell({ report: 'running', jobs: [...running.values()] })
  }
  const stop = (ms: number): void => {
    isStopping = true
    // Modules that never finish loading would keep it for ever.
    if (worker === undefined) return end()
    tellRunning()
    worker.stop({ grace: ms }).catch(end)
  }
  const run = async (task: unknown): Promise<void> => {
    const { forge, details, worker: made } = await start(task, loading)
    forge.on('job:started', ({ id, type }) => running.set(id, { id, type }))
    for (const name of ['job:completed', 'job:retried', 'job:dead', 'job:cancelled', 'job:released'] as const) {
      forge.on(name, ({ id }) => {
        running.delete(id)
        tellRunning()
      })
    }
    forge.on('worker:started', (event) => tell({ report: 'serving', worker: event.worker }))
    forge.on('worker:closed', (event) => {
      running.clear()
      tell({ report: 'left', worker: event.worker })
    })
    worker = made
    tell({ report: 'loaded', details })
    await worker.run()
    if (!isStopping) tell({ report: 'drained' })
  }

  process.on('message', (message: Order) => {
    if (message.order === 'stop') return stop(message.graceMs)
    graceMs = message.graceMs
    run(message.task).then(() => end(), end)
  })
  // The supervisor is gone: nobody would end this process, nor start it anew.
  process.on('disconnect', () => stop(graceMs))
  process.on('SIGTERM', () => stop(graceMs))
  // A terminal sends these to every process of the tree; the supervisor decides.
  for (const signal of ['SIGINT', 'SIGHUP'] as const) process.on(signal, () => {})
}

const loading: Loading = (module) => new Promise((resolve) => tell({ report: 'loading', module }, resolve))

function tell(report: Report, then: () => void = () => {}): void {
  // Without its supervisor the process still ends as it should.
  if (process.send === undefined || !process.connected) return then()
  process.send(report, then)
}

/** Modules of handlers may hold sockets and timers: nothing but this ends the process. */
function end(error?: unknown): void {
  if (error === undefined) return tell({ report: 'running', jobs: [] }, () => process.exit(0))
  const { code, message, problems } = ForgeError.is(error) ? error : new ForgeError('INTERNAL', inspect(error))
  tell({ report: 'refused', code, message, ...(problems && { problems }) }, () => process.exit(1))
}
