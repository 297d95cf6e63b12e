// Runs claims: parse the input, call the handler inside what `use` put around it, turn what came of it into exactly one
// settlement. Watches deadlines and carries out aborts. Which outcome follows from what is decided in core/outcome. Where an
// isolated handler runs: isolate.ts.
import { afterFailure, afterSuccess } from '../core/outcome.ts'
import { formatMs } from '../core/duration.ts'
import { caps } from '../core/caps.ts'
import { ForgeError } from '../core/errors.ts'
import { encodeJson } from '../core/json.ts'
import { decodeStored, parse, parseStored } from '../core/schema.ts'
import type { Context, Handler } from '../job.ts'
import type { Hold, NewJob, Settlement } from '../store/records.ts'
import type { Timers } from '../timers.ts'
import { backoffOf } from './child-talk.ts'
import { JobContext, type Desk } from './context.ts'
import type { Isolated } from './isolate.ts'
import type { Run } from './run.ts'

/** Runs around every handler; what it returns is the job's result. */
export type Around = (context: Context<unknown>, next: () => Promise<unknown>) => Promise<unknown>

/** Time for a handler to end after it was aborted; then it is killed if it is isolated, and its claim settled without it. */
const abortGraceMs = 5_000
/** For an isolated handler to be dead after that, while the worker goes on and while it stops. */
const killMs = 1_000
const hastyKillMs = 300

const abortKinds = { CANCELLED: 'cancel', TIMEOUT: 'timeout', SHUTDOWN: 'shutdown' } as const

export interface Executing extends Desk {
  readonly arounds: readonly Around[]
  readonly timers: Timers
  readonly random: () => number
  readonly isolated: Pick<Isolated, 'run' | 'kill' | 'leave'>
  /** Once for every run that was started. */
  readonly ended: (run: Run) => void
  /** Settled without its handler, which ignores its abort and still runs. */
  readonly stuck: (run: Run) => void
  /** The event loop is blocked unless this is called again within `ms`; `Infinity` = it need not be. */
  readonly expectWithin: ((ms: number) => void) | undefined
}

export class Executor {
  readonly #host: Executing
  /** Runs that have not ended, the aborted ones too. */
  readonly #running = new Set<Run>()
  /** Runs that ended without their handlers, which still run. */
  readonly #stuck = new Set<Run>()
  /** The one that has to be over first, its abort and its grace included. */
  #mostUrgent: Run | undefined
  #isStopping = false
  #watchAt = Infinity
  #unwatch: (() => void) | undefined

  constructor(host: Executing) {
    this.#host = host
  }

  get size(): number {
    return this.#running.size
  }

  /** Handlers that ignore their abort and still run. */
  get stuck(): number {
    return this.#stuck.size
  }

  start(run: Run): void {
    this.#expect(run)
    let value: unknown
    try {
      value = this.#call(run)
      if (isThenable(value)) {
        this.#keep(run)
        value.then(
          (result) => this.#succeed(run, result),
          (error: unknown) => this.#fail(run, error),
        )
        return
      }
    } catch (error) {
      this.#fail(run, error)
      return
    }
    this.#succeed(run, value)
  }

  /** Claimed too late to be started. */
  handBack(run: Run): void {
    const { job, claim } = run.claimed
    this.#end(run, { job, claim, outcome: 'release' })
  }

  /** An operator cancelled the job. */
  cancel({ job, claim }: Hold): void {
    for (const run of this.#running) {
      // The order is repeated until the claim has ended.
      if (run.claimed.job !== job || run.claimed.claim !== claim || run.reason !== undefined) continue
      this.#abort(run, new ForgeError('CANCELLED', `job ${job} was cancelled`, { id: job }), abortGraceMs)
    }
  }

  /** The worker is stopping: what still runs is aborted and after `graceMs` handed back. */
  shutDown(graceMs: number): void {
    this.#isStopping = true
    for (const run of this.#running) {
      const { job } = run.claimed
      const error = new ForgeError('SHUTDOWN', `the worker is stopping; job ${job} goes back to its queue`, { id: job })
      this.#abort(run, error, graceMs)
    }
  }

  /** The claims are no longer ours: nothing of what runs is settled any more. */
  abandon(): void {
    for (const run of this.#running) {
      const { job } = run.claimed
      // Whatever it was aborted for before no longer counts.
      run.reason = undefined
      this.#abort(
        run,
        new ForgeError('LEASE_LOST', `the worker lost its lease; another one may be running job ${job}`, { id: job }),
        abortGraceMs,
      )
    }
  }

  close(): void {
    this.#unwatch?.()
  }

  /** How the claim ends because of `error`. */
  failureOf({ claimed, handler, reason }: Run, error: unknown): Settlement {
    const { backoff } = handler.job.policy
    return afterFailure(claimed, error, {
      random: this.#host.random,
      backoff: typeof backoff === 'function' ? (backoffOf(error) ?? backoff) : undefined,
      aborted: reason && abortKinds[reason.code as keyof typeof abortKinds],
    })
  }

  /** Not ended in this turn of the event loop. */
  #keep(run: Run): void {
    this.#running.add(run)
    this.#watch(run.deadlineAt)
  }

  #call(run: Run): unknown {
    if (run.isolation !== 'inline') return this.#isolate(run)
    const { job, payload } = run.claimed
    const input = parseStored(run.handler.job.input, payload, job)
    return isThenable(input) ? input.then((value) => this.#handle(run, value)) : this.#handle(run, input)
  }

  #handle(run: Run, input: unknown): unknown {
    const context = new JobContext(input, run, this.#host)
    return this.#enter(context, run.handler.fn)
  }

  /** Nothing of the handler's module runs here: what is around it gets the input and gives the result as they are stored. */
  #isolate(run: Run): Promise<unknown> {
    const { isolated, arounds } = this.#host
    if (arounds.length === 0) return isolated.run(run)
    return this.#enter(
      new JobContext(decodeStored(run.claimed.payload, run.claimed.job), run, this.#host),
      async () => {
        await isolated.run(run)
        const value: unknown = JSON.parse(run.result!)
        run.result = undefined
        return value
      },
    ) as Promise<unknown>
  }

  #enter(context: Context<unknown>, fn: Handler['fn']): unknown {
    const { arounds } = this.#host
    if (arounds.length === 0) return fn(context)
    const enter = async (index: number): Promise<unknown> => {
      const around = arounds[index]
      return around === undefined ? fn(context) : around(context, () => enter(index + 1))
    }
    return enter(0)
  }

  #succeed(run: Run, value: unknown): void {
    if (run.ended) return this.#returned(run)
    const output = run.isolation === 'inline' ? run.handler.job.output : undefined
    try {
      const checked = output === undefined ? value : parse(output, value, 'result')
      const pending = run.followUps?.some((job) => job instanceof Promise) ?? false
      if (pending || isThenable(checked)) this.#succeedLater(run, checked)
      else this.#complete(run, checked)
    } catch (error) {
      this.#fail(run, error)
    }
  }

  /** Schemas that take their time; the run is still one that can be aborted. */
  #succeedLater(run: Run, value: unknown): void {
    this.#keep(run)
    Promise.all([value, ...(run.followUps ?? [])]).then(
      ([checked, ...followUps]) => {
        run.followUps = followUps
        this.#complete(run, checked)
      },
      (error: unknown) => this.#fail(run, error),
    )
  }

  #complete(run: Run, value: unknown): void {
    if (run.ended) return
    if (run.forced !== undefined) return this.#fail(run, undefined)
    // Too late is a failure even when it worked: whoever waits for the result was promised the limit. The timer that tells
    // so cannot fire while a handler blocks the event loop.
    if (run.reason === undefined && this.#host.timers.now() > run.deadlineAt) run.reason = timedOut(run)
    if (run.reason?.code === 'TIMEOUT' || run.reason?.code === 'LEASE_LOST') return this.#fail(run, run.reason)
    try {
      const result = run.result ?? encodeJson(value, 'result', caps.resultBytes)
      this.#end(run, afterSuccess(run.claimed, result, (run.followUps ?? []) as NewJob[]))
    } catch (error) {
      this.#fail(run, error)
    }
  }

  #fail(run: Run, error: unknown): void {
    if (run.ended) return this.#returned(run)
    const code = run.reason?.code
    if (code === 'LEASE_LOST') return this.#end(run, undefined)
    this.#end(run, run.forced ?? this.failureOf(run, error))
  }

  #end(run: Run, settlement: Settlement | undefined): void {
    if (run.ended) return
    run.ended = true
    run.durationMs = this.#host.timers.now() - run.startedAt
    run.settlement = settlement
    this.#running.delete(run)
    this.#expect(run)
    if (run.isolation !== 'inline') this.#host.isolated.leave(run)
    this.#host.ended(run)
  }

  #returned(run: Run): void {
    this.#stuck.delete(run)
  }

  #abort(run: Run, reason: ForgeError, graceMs: number): void {
    const deadlineAt = this.#host.timers.now() + graceMs
    if (run.reason === undefined) run.abort(reason, deadlineAt)
    else run.deadlineAt = Math.min(run.deadlineAt, deadlineAt)
    this.#expect(run)
    this.#watch(run.deadlineAt)
  }

  /** `run` came, ended or has another deadline: says by when this is called again, if the event loop is not blocked. */
  #expect(run: Run): void {
    const { expectWithin, timers } = this.#host
    if (expectWithin === undefined) return
    if (!run.ended && overAt(run) < overAt(this.#mostUrgent)) this.#mostUrgent = run
    else if (run !== this.#mostUrgent) return
    else {
      this.#mostUrgent = run.ended ? undefined : run
      for (const other of this.#running) if (overAt(other) < overAt(this.#mostUrgent)) this.#mostUrgent = other
    }
    expectWithin(overAt(this.#mostUrgent) - timers.now())
  }

  /** One timer for the earliest deadline; those of runs that ended meanwhile only make it look in vain. */
  #watch(deadlineAt: number): void {
    if (deadlineAt >= this.#watchAt) return
    this.#watchAt = deadlineAt
    this.#unwatch?.()
    const ms = Math.max(0, deadlineAt - this.#host.timers.now())
    this.#unwatch = this.#host.timers.after(ms, () => this.#look())
  }

  #look(): void {
    this.#watchAt = Infinity
    const now = this.#host.timers.now()
    let nextAt = Infinity
    for (const run of this.#running) {
      if (run.deadlineAt <= now) this.#expire(run)
      if (!run.ended) nextAt = Math.min(nextAt, run.deadlineAt)
    }
    this.#watch(nextAt)
  }

  #expire(run: Run): void {
    if (run.reason === undefined) return this.#abort(run, timedOut(run), abortGraceMs)
    if (run.isolation !== 'inline' && !run.isKilled) return this.#kill(run)
    this.#fail(run, run.reason)
    // At a shutdown nothing is left for it to block.
    if (run.reason.code === 'SHUTDOWN') return
    this.#stuck.add(run)
    this.#host.stuck(run)
  }

  /** The job may run again as soon as it is settled: first its handler has to be dead. */
  #kill(run: Run): void {
    run.isKilled = true
    run.deadlineAt = this.#host.timers.now() + (this.#isStopping ? hastyKillMs : killMs)
    this.#host.isolated.kill(run)
  }
}

/** When a run has ended or been settled without its handler, unless the event loop is blocked. */
const overAt = (run: Run | undefined): number =>
  run === undefined ? Infinity : run.deadlineAt + (run.reason === undefined ? abortGraceMs : 0)

function timedOut({ claimed: { job, policy } }: Run): ForgeError {
  const message = `the handler of job ${job} did not end within its timeout of ${formatMs(policy.timeoutMs)}`
  return new ForgeError('TIMEOUT', message, { id: job })
}

const isThenable = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
