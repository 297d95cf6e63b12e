// What a worker is asked to do, checked and with its defaults filled in.
import { caps, defaults } from '../core/caps.ts'
import { toMs, type Duration } from '../core/duration.ts'
import { invalidOption } from '../core/errors.ts'
import { checkName } from '../core/name.ts'
import type { Handler, Job } from '../job.ts'
import type { TypeRecord } from '../store/records.ts'
import { moduleOf } from './handler-module.ts'
import type { LoopGuard } from './loop-guard.ts'
import type { Taking } from './suspects.ts'

export interface WorkerOptions {
  /**
   * What it can run: one handler per job type. A URL or a path (of a file, folder or pattern, from the working folder)
   * means the handlers that the modules there export: `run` loads them, and can give them a thread or process.
   */
  readonly handlers: readonly (Handler | URL | string)[]
  /** Slots per queue. Default: the queues of the handlers' jobs, each with all slots. */
  readonly queues?: Readonly<Record<string, number>>
  /** Slots in all: how many jobs run at a time. Default: the sum of `queues`, else 10. */
  readonly concurrency?: number
  /** After this time without a sign of life its jobs run elsewhere. Default 15 s; 5 s to 10 min. */
  readonly lease?: Duration
  /** Stop by itself once no job can be claimed and none is running. Default false. */
  readonly drain?: boolean
  /** SIGTERM and SIGINT stop it, a second one at once. Default true; with false, call `stop` yourself. */
  readonly signals?: boolean
  /** Hears of every handler; for a watchdog outside of the event loop. Default: nobody. */
  readonly guard?: LoopGuard
}

export interface WorkerPlan {
  readonly handlers: ReadonlyMap<string, Handler>
  readonly types: readonly TypeRecord[]
  /**
   * How it takes jobs that were running in a crash: with others where every handler always has a process of its own, only
   * with their like where each of them can be given one, else alone.
   */
  readonly suspects: Taking
  /** Some handler could be given one. */
  readonly mayIsolate: boolean
  readonly queues: Readonly<Record<string, number>>
  readonly concurrency: number
  readonly leaseMs: number
  readonly drain: boolean
  readonly signals: boolean
}

const mostSlots = 10_000

/** Names a module, or where modules are, that `run` has to load. */
export const isModule = (one: Handler | URL | string): one is URL | string =>
  typeof one === 'string' || one instanceof URL

export const isLoaded = (handlers: WorkerOptions['handlers']): handlers is readonly Handler[] =>
  !handlers.some(isModule)

/** INVALID_OPTION names what is out of range; `describe` gives what a job's type is announced as. */
export function readOptions(
  options: Omit<WorkerOptions, 'handlers'> & { readonly handlers: readonly Handler[] },
  describe: (job: Job) => TypeRecord,
): WorkerPlan {
  const handlers = new Map<string, Handler>()
  if (options.handlers.length === 0) throw invalidOption('handlers', 'must hold at least one handler')
  options.handlers.forEach((handler, i) => {
    if (typeof handler?.fn !== 'function') {
      throw invalidOption(`handlers.${i}`, 'must be a handler: give the job its function with job.handler(fn)')
    }
    const { name, policy } = handler.job
    if (handlers.has(name)) throw invalidOption(`handlers.${i}`, `handles ${name}, which another handler does already`)
    if (needsModule(policy.isolation) && moduleOf(handler) === undefined) {
      throw invalidOption(
        `handlers.${i}`,
        `handles ${name}, which has isolation '${policy.isolation}': give its module instead, for example new URL('./jobs.js', import.meta.url)`,
      )
    }
    handlers.set(name, handler)
  })
  const { concurrency, leaseMs, drain, signals } = readNumbers(options)
  const types = options.handlers.map(({ job }) => describe(job))
  const queues = options.queues ?? Object.fromEntries(types.map(({ policy }) => [policy.queue, concurrency]))
  const mayIsolate = options.handlers.some((handler) => moduleOf(handler) !== undefined)
  const suspects = takingOf(options.handlers)
  return { handlers, types, suspects, mayIsolate, queues, concurrency, leaseMs, drain, signals }
}

/** What can be checked before any handler is loaded. */
export function readNumbers(
  options: Omit<WorkerOptions, 'handlers'>,
): Pick<WorkerPlan, 'concurrency' | 'leaseMs' | 'drain' | 'signals'> {
  for (const [queue, slots] of Object.entries(options.queues ?? {})) {
    checkName(queue, 'queues')
    checkSlots(slots, `queues.${queue}`)
  }
  const sum = Object.values(options.queues ?? {}).reduce((total, slots) => total + slots, 0)
  const { concurrency = sum > 0 ? sum : defaults.concurrency, lease, drain = false, signals = true } = options
  checkSlots(concurrency, 'concurrency')
  const leaseMs = lease === undefined ? defaults.leaseMs : toMs(lease, 'lease')
  if (leaseMs < caps.leaseMinMs || leaseMs > caps.leaseMaxMs) throw invalidOption('lease', 'must be 5 s to 10 min')
  return { concurrency, leaseMs, drain, signals }
}

function takingOf(handlers: readonly Handler[]): Taking {
  if (handlers.every(({ job }) => job.policy.isolation === 'process')) return 'together'
  return handlers.every((handler) => moduleOf(handler) !== undefined) ? 'apart' : 'alone'
}

const needsModule = (isolation: string | undefined): boolean => isolation !== undefined && isolation !== 'inline'

/** INVALID_OPTION when a process cannot have so many. */
export function checkSlots(slots: number, what: string): void {
  if (Number.isInteger(slots) && slots >= 1 && slots <= mostSlots) return
  throw invalidOption(what, `must be a whole number from 1 to ${mostSlots}`)
}
