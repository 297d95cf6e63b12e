// The worker in a supervised process: reports to its supervisor, stops when that says so, or ends, or a signal comes, and
// asks to be replaced when it has reached a limit or a handler is stuck.
import { inspect } from 'node:util'
import { defaults } from '../core/caps.ts'
import { ForgeError } from '../core/errors.ts'
import type { ForgeQ } from '../forge.ts'
import type { CrewOrder, RecycleLimits, RecycleReason, Report } from './crew-talk.ts'
import type { LoopGuard } from './loop-guard.ts'
import { rssBytes } from './memory.ts'
import { Watchdog, type RunningHandler } from './watchdog.ts'
import type { Worker } from './worker.ts'

/** Who waits for a replacement lets every handler end by itself. */
const noHurryMs = 365 * 86_400_000

/**
 * Isolated handlers that could not be ended, because their threads are in native code. They keep nobody from working, but
 * each of them takes a thread, and a process may have only so many.
 */
const mostStuck = 10

export interface SupervisedWorker {
  readonly forge: ForgeQ
  /** Made with `signals: false`. */
  readonly worker: Worker
  /** Handed to the supervisor as they are. */
  readonly details: unknown
}

/** What whoever starts the worker of a process may use. */
export interface Surroundings {
  /** Tells the supervisor which module is loaded next; it has heard of it once this resolves. */
  readonly loading: (module: string) => Promise<void>
  /** For the options of the worker. */
  readonly guard: LoopGuard
}

/** Runs what `start` makes of the supervisor's task until it is over, then ends the process. */
export function runSupervised(start: (task: unknown, around: Surroundings) => Promise<SupervisedWorker>): void {
  let graceMs = 0
  let isStopping = false
  let worker: Worker | undefined
  const running = new Map<string, Omit<RunningHandler, 'forMs'> & { readonly startedAt: number }>()
  const watchdog = new Watchdog(
    () => Array.from(running.values(), ({ startedAt, ...run }) => ({ ...run, forMs: performance.now() - startedAt })),
    async () => (await worker?.lookAtIsolated()) ?? [],
  )

  const tellRunning = (): void => {
    if (isStopping) tell({ report: 'running', jobs: Array.from(running.values(), ({ id, type }) => ({ id, type })) })
  }
  const stop = (ms: number): void => {
    isStopping = true
    // Modules that never finish loading would keep it for ever.
    if (worker === undefined) return end()
    tellRunning()
    worker.stop({ grace: ms }).catch(end)
  }
  const recycle = (reason: RecycleReason): void => {
    if (isStopping) return
    tell({ report: 'recycle', reason })
    stop(reason === 'stuck' ? graceMs : noHurryMs)
  }
  const listen = (forge: ForgeQ, { maxJobs }: RecycleLimits): void => {
    let ended = 0
    forge.on('job:started', ({ id, type, attempt }) => {
      running.set(id, { id, type, attempt, startedAt: performance.now() })
    })
    for (const name of [
      'job:completed',
      'job:retried',
      'job:dead',
      'job:cancelled',
      'job:released',
      'job:crashed',
    ] as const) {
      forge.on(name, ({ id }) => {
        // Jobs of others, which it rescued, are told of too.
        if (!running.delete(id)) return
        tellRunning()
        if (name === 'job:released') return
        ended += 1
        if (ended === maxJobs) recycle('jobs')
      })
    }
    forge.on('job:stuck', ({ isolation, stuck }) => {
      if (isolation === 'inline' || stuck >= mostStuck) recycle('stuck')
    })
    forge.on('worker:started', (event) => tell({ report: 'serving', worker: event.worker }))
    forge.on('worker:closed', (event) => {
      running.clear()
      tell({ report: 'left', worker: event.worker })
    })
  }
  const run = async (task: unknown, limits: RecycleLimits): Promise<void> => {
    const { forge, details, worker: made } = await start(task, { loading, guard: watchdog })
    listen(forge, limits)
    worker = made
    tell({ report: 'loaded', details })
    if (limits.maxRssBytes !== null) watchMemory(limits.maxRssBytes, () => recycle('memory'))
    await worker.run()
    if (!isStopping) tell({ report: 'drained' })
  }

  process.on('message', (message: CrewOrder) => {
    if (message.order === 'stop') return stop(message.graceMs)
    graceMs = message.graceMs
    run(message.task, message.limits).then(() => end(), end)
  })
  // The supervisor is gone: nobody would end this process, nor start it anew.
  process.on('disconnect', () => stop(0))
  process.on('SIGTERM', () => stop(graceMs))
  process.on('SIGQUIT', () => watchdog.show())
  // A terminal sends these to every process of the tree; the supervisor decides.
  for (const signal of ['SIGINT', 'SIGHUP'] as const) process.on(signal, () => {})
}

function watchMemory(maxBytes: number, tooMuch: () => void): void {
  setInterval(() => {
    if (rssBytes() > maxBytes) tooMuch()
  }, defaults.beatMs).unref()
}

const loading: Surroundings['loading'] = (module) =>
  new Promise((resolve) => tell({ report: 'loading', module }, resolve))

function tell(report: Report, then: () => void = () => {}): void {
  // Without its supervisor the process still ends as it should.
  if (process.send === undefined || !process.connected) return then()
  process.send(report, then)
}

/** Modules of handlers may hold sockets and timers: nothing but this ends the process. */
function end(error?: unknown): void {
  if (error === undefined) {
    tell({ report: 'running', jobs: [] })
    return exit(0)
  }
  const { code, message, problems } = ForgeError.is(error) ? error : new ForgeError('INTERNAL', inspect(error))
  tell({ report: 'refused', code, message, ...(problems && { problems }) })
  exit(1)
}

/** Node waits for threads then, for one in native code as long as that takes: the supervisor does not. */
function exit(exitCode: number): void {
  tell({ report: 'leaving', exitCode }, () => process.exit(exitCode))
}
