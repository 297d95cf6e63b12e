// What a worker is asked to do, checked and with its defaults filled in.
import { caps, defaults } from '../core/caps.ts'
import { toMs, type Duration } from '../core/duration.ts'
import { invalidOption } from '../core/errors.ts'
import { checkName } from '../core/name.ts'
import type { Handler, Job } from '../job.ts'
import type { TypeRecord } from '../store/records.ts'

export interface WorkerOptions {
  /** What it can run: one handler per job type. */
  readonly handlers: readonly Handler[]
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
  /**
   * For a watchdog outside of the event loop: the process is blocked by a handler beyond its limits unless this is called
   * again within `ms`; `Infinity` = no handler runs that has limits. Default: nobody hears it.
   */
  readonly expectWithin?: (ms: number) => void
}

export interface WorkerPlan {
  readonly handlers: ReadonlyMap<string, Handler>
  readonly types: readonly TypeRecord[]
  readonly queues: Readonly<Record<string, number>>
  readonly concurrency: number
  readonly leaseMs: number
  readonly drain: boolean
  readonly signals: boolean
  /** Every handler could be given a process of its own. */
  readonly canIsolate: boolean
}

const mostSlots = 10_000

/** INVALID_OPTION names what is out of range; `describe` gives what a job's type is announced as. */
export function readOptions(options: WorkerOptions, describe: (job: Job) => TypeRecord): WorkerPlan {
  const handlers = new Map<string, Handler>()
  if (options.handlers.length === 0) throw invalidOption('handlers', 'must hold at least one handler')
  options.handlers.forEach((handler, i) => {
    if (typeof handler.fn !== 'function') {
      throw invalidOption(`handlers.${i}`, 'must be a handler: give the job its function with job.handler(fn)')
    }
    const { name } = handler.job
    if (handlers.has(name)) throw invalidOption(`handlers.${i}`, `handles ${name}, which another handler does already`)
    handlers.set(name, handler)
  })
  for (const [queue, slots] of Object.entries(options.queues ?? {})) {
    checkName(queue, 'queues')
    checkSlots(slots, `queues.${queue}`)
  }
  const sum = Object.values(options.queues ?? {}).reduce((total, slots) => total + slots, 0)
  const { concurrency = sum > 0 ? sum : defaults.concurrency, lease, drain = false, signals = true } = options
  checkSlots(concurrency, 'concurrency')
  const leaseMs = lease === undefined ? defaults.leaseMs : toMs(lease, 'lease')
  if (leaseMs < caps.leaseMinMs || leaseMs > caps.leaseMaxMs) throw invalidOption('lease', 'must be 5 s to 10 min')
  const types = options.handlers.map(({ job }) => describe(job))
  const queues = options.queues ?? Object.fromEntries(types.map(({ policy }) => [policy.queue, concurrency]))
  return { handlers, types, queues, concurrency, leaseMs, drain, signals, canIsolate: false }
}

/** INVALID_OPTION when a process cannot have so many. */
export function checkSlots(slots: number, what: string): void {
  if (Number.isInteger(slots) && slots >= 1 && slots <= mostSlots) return
  throw invalidOption(what, `must be a whole number from 1 to ${mostSlots}`)
}
