// The threads and processes that run isolated handlers: a pool of our own, started when needed, reused, ended when idle.
// Why no library (tinypool, piscina): they stop a task by terminating its thread or process at once, so a handler would
// get no abort signal and no grace; they do not tell exit code, signal and memory of what died, which poison is judged by;
// and a task has no channel of its own for logs, progress and follow-up jobs.
// When a handler is aborted, killed or given up is the executor's business.
import { delayAfter, type BackoffPlan } from '../core/backoff.ts'
import { ForgeError } from '../core/errors.ts'
import { toFailure } from '../core/failure.ts'
import { afterNoStart } from '../core/outcome.ts'
import { leaseLost } from './context.ts'
import { IsolatedChild, type ChildKind, type Keeping } from './isolated-child.ts'
import type { Run } from './run.ts'
import type { SpawnChild } from './spawn-child.ts'

/** How long a job is put off when no child could be started, by the number of failures in a row. */
const restarts: BackoffPlan = { type: 'exponential', baseMs: 1_000, factor: 2, maxMs: 30_000, jitter: true }
/** In the frames of what a child does for a handler that waits. */
const ours = new URL('.', import.meta.url).href
/** Children that may die before they have begun with a run, which is then nobody's fault. */
const mostStarts = 3

export interface Isolating extends Omit<Keeping, 'free' | 'ended'> {
  readonly random: () => number
  /** Children at most, those left behind not counted. */
  readonly limit: () => number
  /** Default: real threads and processes. */
  readonly spawn?: SpawnChild
}

/** What an isolated handler does at this moment. */
export interface Sight {
  readonly job: string
  /** Innermost first, without what called the handler; empty where it waits. */
  readonly stack: readonly string[]
  /** Why there is nothing to see. */
  readonly failure?: string
  /** Thread or process, in words. */
  readonly place: string
}

export class Isolated {
  readonly #host: Isolating
  readonly #children = new Set<IsolatedChild>()
  #spawn: SpawnChild | undefined
  #failures = 0
  #isClosing = false
  #emptied: (() => void) | undefined

  constructor(host: Isolating) {
    this.#host = host
    this.#spawn = host.spawn
  }

  /** Loads what starts children, while there are file descriptors for that. */
  async load(): Promise<SpawnChild> {
    return (this.#spawn ??= (await import('./spawn-child.ts')).spawnChild)
  }

  /** Sets the result of `run`. Rejects with what the handler threw, with why it was aborted, or after its child died. */
  async run(run: Run): Promise<void> {
    const spawn = this.#spawn ?? (await this.load())
    let how = ''
    for (let starts = 1; starts <= mostStarts; starts += 1) {
      if (run.reason !== undefined || run.ended) throw run.reason ?? leaseLost(run)
      const performed = await this.#childFor(run, spawn).perform(run)
      if (performed.begun) return
      how = performed.how
      if (!performed.isUp) break
    }
    throw this.#noStart(run, how)
  }

  /** What all of them do now. Takes a second at most. */
  look(): Promise<readonly Sight[]> {
    const busy = [...this.#children].filter((child) => child.run !== undefined)
    return Promise.all(
      busy.map(async (child) => {
        const { job } = child.run!.claimed
        const { stack = [], failure } = await child.look()
        const handlers = stack.slice(
          0,
          stack.findLastIndex((frame) => !frame.includes(ours) && !frame.includes('node:internal/')) + 1,
        )
        return { job, place: child.place, stack: handlers, ...(failure !== undefined && { failure }) }
      }),
    )
  }

  /** Ends its handler by force: `run` settles when that has happened. */
  kill(run: Run): void {
    for (const child of this.#children) if (child.run === run) child.kill()
  }

  /** The run has ended. A handler that is still at it is killed, and left behind when that was done before. */
  leave(run: Run): void {
    for (const child of this.#children) {
      if (child.run !== run) continue
      if (!run.isKilled) child.kill()
      else {
        child.abandon()
        this.#remove(child)
      }
    }
  }

  /** Resolves when all children have ended, but those left behind. */
  close(): Promise<void> {
    this.#isClosing = true
    for (const child of this.#children) if (child.run === undefined) child.end()
    if (this.#children.size === 0) return Promise.resolve()
    return new Promise((resolve) => {
      this.#emptied = resolve
    })
  }

  #childFor(run: Run, spawn: SpawnChild): IsolatedChild {
    const kind = run.isolation as ChildKind
    const unused = [...this.#children].filter((child) => child.run === undefined && !child.isEnding)
    const mine = unused.filter((child) => child.kind === kind)
    const known = mine.find(({ isFree }) => isFree) ?? mine[0]
    if (known !== undefined) return known
    // One of the other kind makes room.
    if (this.#children.size >= this.#host.limit()) unused[0]?.end()
    return this.#start(run, kind, spawn)
  }

  #start(run: Run, kind: ChildKind, spawn: SpawnChild): IsolatedChild {
    try {
      const child = new IsolatedChild(kind, spawn, {
        ...this.#host,
        free: (one) => this.#free(one),
        ended: (one) => this.#remove(one),
      })
      this.#children.add(child)
      return child
    } catch (error) {
      throw this.#noStart(run, toFailure(error).message)
    }
  }

  #free(child: IsolatedChild): void {
    this.#failures = 0
    if (this.#isClosing && child.run === undefined) child.end()
  }

  #remove(child: IsolatedChild): void {
    if (this.#children.delete(child) && this.#children.size === 0) this.#emptied?.()
  }

  #noStart(run: Run, how: string): Error {
    this.#failures += 1
    const message = `no ${run.isolation} could be started to run this job: ${how}`
    run.forced = afterNoStart(run.claimed, message, delayAfter(restarts, this.#failures, this.#host.random))
    return new ForgeError('INTERNAL', message)
  }
}
