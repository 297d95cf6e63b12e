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
import { failpoint } from '../store/failpoint.ts'
import type { Hold, NewJob, Settlement } from '../store/records.ts'
import type { Timers } from '../timers.ts'
import { backoffOf } from './child-talk.ts'
import { JobContext, type Desk } from './context.ts'
import type { Isolated } from './isolate.ts'
import type { LoopGuard } from './loop-guard.ts'
import type { Run } from './run.ts'

/** Runs around every handler; what it returns is the job's result. */
export type Around = (context: Context<unknown>, next: () => Promise<unknown>) => Promise<unknown>

/** Time for a handler to end after it was aborted; then it is killed if it is isolated, and its claim settled without it. */
const abortGraceMs = 5_000
/** For an isolated handler to be dead after that, while the worker goes on and while it stops: with what settles it, a second. */
const killMs = 900
const hastyKillMs = 300
/** An event loop that comes later than this to what was due stood still. */
const noticeableMs = 50

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
  readonly guard: LoopGuard | undefined
}

export class Executor {
  readonly #host: Executing
  /** Runs that have not ended, the aborted ones too. */
  readonly #running = new Set<Run>()
  /** Runs that ended without their handlers, which still run. */
  readonly #stuck = new Set<Run>()
  /** The one whose deadline comes first. */
  #mostUrgent: Run | undefined
  /** Since when no other one runs beside the one that does, if there is one. */
  #aloneSince = -Infinity
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
      value = this.#guarded(run)
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
    if (this.#running.size > 1) this.#aloneSince = Infinity
    this.#watch(run.deadlineAt)
  }

  #guarded(run: Run): unknown {
    const { guard, timers } = this.#host
    try {
      if (guard === undefined) return this.#call(run)
      const leftMs = (): number => overAt(run) - timers.now()
      return guard.call({ job: run.claimed.job, leftMs }, () => this.#call(run))
    } finally {
      this.#noteHold(run)
    }
  }

  #call(run: Run): unknown {
    if (run.isolation !== 'inline') return this.#isolate(run)
    const { job, payload } = run.claimed
    const input = parseStored(run.handler.job.input, payload, job)
    return isThenable(input) ? input.then((value) => this.#handle(run, value)) : this.#handle(run, input)
  }

  #handle(run: Run, input: unknown): unknown {
    failpoint('worker.before-handler')
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
    failpoint('worker.after-handler')
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
    const now = this.#host.timers.now()
    if (run.reason === undefined && now > run.deadlineAt && !this.#excuse(run, now)) run.reason = timedOut(run)
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
    const now = this.#host.timers.now()
    run.durationMs = now - run.startedAt
    run.settlement = settlement
    this.#running.delete(run)
    if (this.#running.size < 2) this.#aloneSince = Math.min(this.#aloneSince, now)
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
    const { guard, timers } = this.#host
    if (guard === undefined) return
    if (!run.ended && run.deadlineAt < deadlineOf(this.#mostUrgent)) this.#mostUrgent = run
    else if (run !== this.#mostUrgent) return
    else {
      this.#mostUrgent = run.ended ? undefined : run
      for (const other of this.#running) if (other.deadlineAt < deadlineOf(this.#mostUrgent)) this.#mostUrgent = other
    }
    guard.expectWithin(deadlineOf(this.#mostUrgent) - timers.now())
  }

  /** A handler that was just called, and held the event loop for long: the others get that time back. */
  #noteHold(run: Run): void {
    const now = this.#host.timers.now()
    const heldMs = now - run.startedAt
    if (heldMs < noticeableMs) return
    run.isLate = now > run.deadlineAt
    for (const other of this.#running) {
      // The end of the process does not wait.
      if (other === run || other.reason?.code === 'SHUTDOWN') continue
      other.deadlineAt += heldMs
      this.#expect(other)
    }
  }

  /**
   * Its deadline passed while the event loop stood still, by whose doing is not known: puts the deadline off, once. It is its
   * own doing when no other one ran.
   */
  #excuse(run: Run, now: number): boolean {
    const lateMs = now - run.deadlineAt
    if (lateMs < noticeableMs || run.isLate || run.isExcused || this.#aloneSince <= run.deadlineAt) return false
    run.isExcused = true
    run.deadlineAt = now + lateMs
    this.#expect(run)
    return true
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
    if (run.reason === undefined) {
      if (!this.#excuse(run, this.#host.timers.now())) this.#abort(run, timedOut(run), abortGraceMs)
      return
    }
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
    this.#expect(run)
    this.#host.isolated.kill(run)
  }
}

/** When a run has ended or been settled without its handler, unless the event loop is blocked. */
const overAt = ({ deadlineAt, reason }: Run): number => deadlineAt + (reason === undefined ? abortGraceMs : 0)

const deadlineOf = (run: Run | undefined): number => run?.deadlineAt ?? Infinity

function timedOut({ claimed: { job, policy } }: Run): ForgeError {
  const message = `the handler of job ${job} did not end within its timeout of ${formatMs(policy.timeoutMs)}`
  return new ForgeError('TIMEOUT', message, { id: job })
}

const isThenable = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
