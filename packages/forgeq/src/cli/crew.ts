// Worker processes as `worker` and `dev` run them: the supervisor with its log, its banner, its signals and its end.
import { defaults } from '../core/caps.ts'
import { readLimits } from '../core/limit-text.ts'
import { Emitter } from '../emitter.ts'
import { createLog, logEvents, type Log } from '../observe/log.ts'
import type { Store, StoreInfo } from '../store/store.ts'
import { maskUrl } from '../store/url.ts'
import { realTimers } from '../timers.ts'
import type { News } from '../worker/place.ts'
import { Supervisor } from '../worker/supervise.ts'
import { banner } from './banner.ts'
import type { Config } from './config.ts'
import { countdown } from './countdown.ts'
import { forgetEarlyEnd } from './early-end.ts'
import { logOptions } from './log-options.ts'
import { paint } from './output.ts'
import type { WorkerDetails, WorkerTask } from './worker-process.ts'

export interface CrewPlan {
  readonly config: Config
  readonly store: Store
  readonly handlers: readonly string[]
  readonly drain: boolean
  /** All processes work. */
  readonly ready?: () => void
}

/** Works until a signal comes or everything is drained; gives the exit code. Rejects when no process can work. */
export async function runCrew({ config, store, handlers, drain, ready }: CrewPlan): Promise<number> {
  const info = await store.open()
  const log = createLog(logOptions(config))
  const events = new Emitter()
  logEvents(events, log)
  const task: { -readonly [K in keyof WorkerTask]: WorkerTask[K] } = {
    store: config.store,
    handlers,
    folder: process.cwd(),
    queues: config.queues,
    concurrency: config.concurrency,
    drain,
    rates: ratesOf(config),
    log: logOptions(config),
  }
  let isPresented = false
  const silent = new Set(Array.from({ length: config.processes }, (_, i) => i + 1))
  const told = (news: News): void => {
    if (news.news === 'loaded') {
      if (!isPresented) present(config, info, news.details as WorkerDetails, log)
      isPresented = true
      // A process that takes the place of another one must not undo what operators have changed since.
      task.rates = {}
    } else if (news.news === 'serving') {
      if (silent.delete(news.place) && silent.size === 0) ready?.()
    } else tell(log, news)
  }
  const supervisor = new Supervisor({
    entry: new URL('./worker-process.js', import.meta.url),
    task,
    processes: config.processes,
    limits: { maxJobs: config.maxJobs, maxRssBytes: config.maxRss },
    store,
    timers: realTimers,
    random: Math.random,
    events,
    told,
  })
  return untilOver(supervisor, config.shutdownTimeoutMs)
}

function ratesOf({ rateLimitHigh, rateLimitNormal, rateLimitLow }: Config): WorkerTask['rates'] {
  const settings = { high: rateLimitHigh, normal: rateLimitNormal, low: rateLimitLow }
  const ratePerPriority = Object.fromEntries(Object.entries(settings).filter(([, rate]) => rate !== null))
  return readLimits({ ratePerPriority }, 'perMs').rates ?? {}
}

const signals = { SIGTERM: 143, SIGINT: 130, SIGHUP: 129 } as const
/** `timeout` and some terminals signal a process and then its group: that is one wish, not two. */
const sameWishMs = 300

async function untilOver(supervisor: Supervisor, timeoutMs: number): Promise<number> {
  let exitCode = 0
  let stopShowing: (() => void) | undefined
  let toldAt = 0
  /** A store that does not answer must not keep the process either. */
  const mustEnd = (ms: number): void => void setTimeout(() => process.exit(exitCode), ms).unref()
  const show = (): void => supervisor.show()
  const hear = (signal: NodeJS.Signals): void => {
    if (stopShowing === undefined) {
      toldAt = performance.now()
      supervisor.stop(timeoutMs)
      mustEnd(timeoutMs)
      stopShowing = countdown(() => supervisor.running, timeoutMs)
      return
    }
    if (performance.now() - toldAt < sameWishMs) return
    exitCode = signals[signal as keyof typeof signals]
    supervisor.stop(defaults.handBackMs)
    mustEnd(defaults.handBackMs)
  }
  process.on('SIGQUIT', show)
  forgetEarlyEnd()
  for (const signal of Object.keys(signals) as (keyof typeof signals)[]) process.on(signal, hear)
  try {
    await supervisor.run(timeoutMs)
  } finally {
    stopShowing?.()
    for (const signal of Object.keys(signals)) process.off(signal, hear)
    process.off('SIGQUIT', show)
  }
  return exitCode
}

function present(config: Config, info: StoreInfo, details: WorkerDetails, log: Log): void {
  if (process.stdout.isTTY && logOptions(config).format === 'pretty') {
    console.log(`${banner(config, info, details, paint).join('\n')}\n`)
    return
  }
  const { queues, concurrency, handlers, notes } = details
  for (const problem of [...info.problems, ...notes]) log.warn(problem)
  log.info(
    {
      store: maskUrl(config.store),
      durability: info.durability,
      processes: config.processes,
      concurrency,
      queues,
      handlers: handlers.map(({ type }) => type),
    },
    'worker started',
  )
}

function tell(log: Log, news: Exclude<News, { news: 'loaded' | 'serving' }>): void {
  switch (news.news) {
    case 'loads long': {
      const { place, module, forMs } = news
      return log.warn({ process: place, module, forMs }, 'worker process still loads a module, waits for it')
    }
    case 'died': {
      const { place, pid, how, restartMs } = news
      return log.warn({ process: place, pid, how, restartMs }, 'worker process died, starts again')
    }
    case 'recycled': {
      const { place, pid, reason } = news
      return log.info({ process: place, pid, reason }, 'worker process is replaced')
    }
    case 'killed':
      return log.warn({ process: news.place, pid: news.pid }, 'worker process missed the deadline, was killed')
    case 'store down':
      return log.error({ err: { code: news.error.code, message: news.error.message } }, 'store does not answer')
  }
}
