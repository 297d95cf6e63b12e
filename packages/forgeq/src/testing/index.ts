// A forge for tests: jobs in memory, time that moves only when told, handlers run when asked. No server, no waiting.
import { defaults } from '../core/caps.ts'
import { toMs, type Duration } from '../core/duration.ts'
import { ForgeError } from '../core/errors.ts'
import type { PolicyOverrides } from '../core/policy.ts'
import { ForgeQ } from '../forge.ts'
import type { Handler, Job } from '../job.ts'
import { promote } from '../maintain/promote.ts'
import { rescue } from '../maintain/rescue.ts'
import { SqliteStore } from '../sqlite/store.ts'
import { ManualClock } from '../store/clock.ts'
import type { JobRecord } from '../store/records.ts'
import { batchLimit } from '../store/store.ts'
import { ManualTimers } from './manual-timers.ts'

export { ManualClock, ManualTimers }

/** A job that waits to be run. */
export interface Pending<In> {
  readonly id: string
  readonly input: In
  readonly runAt: Date
}

export interface Drained {
  readonly completed: number
  /** Tries that failed and will be made again. */
  readonly failed: number
  readonly dead: number
}

export interface TestClock {
  now(): Date
  /** Moves time and everything that waits for it: due jobs are ready afterwards. */
  advance(by: Duration): Promise<void>
}

export interface TestForgeOptions {
  /** Behind the policy of every job. Default: none. */
  readonly defaults?: PolicyOverrides
}

/** Made by `testForge()`. */
export class TestForge extends ForgeQ {
  readonly clock: TestClock
  readonly #store: SqliteStore
  #runs = 0

  constructor(options: TestForgeOptions) {
    const clock = new ManualClock()
    const timers = new ManualTimers(clock)
    const store = new SqliteStore(':memory:', { inline: true, clock })
    super({ ...options, store, timers })
    this.#store = store
    this.clock = {
      now: () => new Date(clock.now()),
      advance: async (by) => {
        await timers.advance(toMs(by, 'by'))
        await this.#upkeep()
      },
    }
  }

  /** Jobs of this type that wait, in the order in which they were enqueued. */
  enqueued<In>(job: Job<In, unknown, unknown>): Pending<In>[] {
    const found: JobRecord[] = []
    for (const state of ['scheduled', 'blocked', 'ready'] as const) {
      let cursor: string | null = null
      do {
        const page: { jobs: readonly JobRecord[]; cursor: string | null } | undefined = this.#store.readNow(
          'find',
          { type: job.name, state },
          cursor,
          batchLimit,
        )
        found.push(...(page?.jobs ?? []))
        cursor = page?.cursor ?? null
      } while (cursor !== null)
    }
    found.sort((a, b) => (a.id < b.id ? -1 : 1))
    return found.map(({ id, payload, runAt }) => ({ id, input: JSON.parse(payload) as In, runAt: new Date(runAt) }))
  }

  /** Runs what is due, and what that makes ready, until there is nothing left that these handlers could run. */
  async drain(handlers: readonly Handler[]): Promise<Drained> {
    await this.#upkeep()
    const queues = [
      ...(await this.store.queues()).map(({ queue }) => queue),
      ...handlers.map((handler) => this.explain(handler.job).queue),
    ]
    return this.#work(handlers, queues)
  }

  /**
   * Runs one job once, through the store, and gives what its handler returns or throws what it throws. Nothing else is
   * run, and nothing is tried again.
   */
  async run<In, Out>(handler: Handler & Job<In, unknown, Out>, input: NoInfer<In>): Promise<Out> {
    let end: { readonly value: unknown } | { readonly error: unknown } | undefined
    const observed: Handler = {
      job: handler.job,
      fn: async (context) => {
        try {
          const value: unknown = await handler.fn(context)
          end = { value }
          return value
        } catch (error) {
          end = { error }
          throw error
        }
      },
    }
    // A queue of its own keeps other jobs out.
    const queue = `testing:${(this.#runs += 1)}`
    const { id } = await this.enqueue(handler.job, input, { queue, retries: 0 })
    await this.#work([observed], [queue])
    const job = await this.admin.job(id)
    await this.admin.remove([id])
    if (end !== undefined && 'error' in end) throw end.error
    if (end === undefined || job?.state !== 'completed') {
      throw new ForgeError('JOB_DEAD', job?.error?.message ?? 'the handler was not run', { id, cause: job?.error })
    }
    return end.value as Out
  }

  async #work(handlers: readonly Handler[], queues: readonly string[]): Promise<Drained> {
    const counts = { completed: 0, failed: 0, dead: 0 }
    const unlisten = [
      this.on('job:completed', () => (counts.completed += 1)),
      this.on('job:retried', ({ counted }) => (counts.failed += counted ? 1 : 0)),
      this.on('job:dead', () => (counts.dead += 1)),
    ]
    const slots = Object.fromEntries(queues.map((queue) => [queue, defaults.concurrency]))
    try {
      const options = {
        handlers: handlers.map(inline),
        queues: slots,
        concurrency: defaults.concurrency,
        drain: true,
        signals: false,
      }
      await this.worker(options).run()
    } finally {
      for (const stop of unlisten) stop()
    }
    return counts
  }

  async #upkeep(): Promise<void> {
    const now = (): number => this.clock.now().getTime()
    while ((await promote(this.store, now)) === 0);
    while ((await rescue(this.store, now, Math.random, () => {})) === 0);
    while ((await this.store.prune(batchLimit)).more);
  }
}

/** Whatever its isolation, it runs in the test, where time stands still and a debugger stops. */
const inline = ({ job, fn }: Handler): Handler => {
  const { isolation, ...policy } = job.policy
  return { job: isolation === undefined ? job : { ...job, policy }, fn }
}

/** A forge on an empty store in memory, whose clock stands still at 2026-01-01 until it is moved. */
export const testForge = (options: TestForgeOptions = {}): TestForge => new TestForge(options)
