// One thread or process for isolated handlers, as its worker sees it: gives it a run when it can take one, writes down
// what it says about that, and knows what its end means for it. Which child gets which run: isolate.ts.
import { ForgeError } from '../core/errors.ts'
import { afterChildDeath } from '../core/outcome.ts'
import type { Isolation, PolicyOverrides } from '../core/policy.ts'
import type { Emitter } from '../emitter.ts'
import type { Failure } from '../store/records.ts'
import type { StoreTime } from '../store-time.ts'
import type { Timers } from '../timers.ts'
import { unpackError, type ChildReport } from './child-talk.ts'
import { leaseLost, mostFollowUps, tooManyFollowUps, type Desk } from './context.ts'
import { moduleOf } from './handler-module.ts'
import type { Look } from './look.ts'
import type { Run } from './run.ts'
import type { Child, ChildEnd, SpawnChild } from './spawn-child.ts'

/** A child that has run nothing for so long ends. */
const idleMs = 30_000
/** For a child that is told to end. */
const farewellMs = 500
/** For one that is asked where its handler is; it takes less unless it is stopped. */
const lookWithinMs = 1_000

export type ChildKind = Exclude<Isolation, 'inline'>

export interface Keeping extends Pick<Desk, 'noted' | 'logged'> {
  readonly timers: Timers
  readonly time: StoreTime
  readonly events: Emitter
  readonly defaults: PolicyOverrides
  /** It has come up, or has nothing more to do for its last run. */
  readonly free: (child: IsolatedChild) => void
  readonly ended: (child: IsolatedChild) => void
}

/** `begun: false`: the child died before the handler was called, and if not `isUp` before anything was. */
export type Performed =
  | { readonly begun: true }
  | { readonly begun: false; readonly isUp: boolean; readonly how: string }

interface Performance {
  readonly task: number
  readonly run: Run
  readonly resolve: (performed: Performed) => void
  readonly reject: (error: unknown) => void
  hasBegun: boolean
}

export class IsolatedChild {
  readonly kind: ChildKind
  readonly #host: Keeping
  readonly #child: Child
  #isUp = false
  #isFree = false
  #isEnding = false
  #tasks = 0
  #current: Performance | undefined
  #last: Run | undefined
  #memoryBytes = 0
  #uncaught: Failure | undefined
  #stopWaiting: (() => void) | undefined
  #seen: ((look: Look) => void) | undefined

  /** Throws when the system gives no thread or process. */
  constructor(kind: ChildKind, spawn: SpawnChild, host: Keeping) {
    this.kind = kind
    this.#host = host
    this.#child = spawn(kind, { heard: (report) => this.#hear(report), ended: (end) => this.#ended(end) })
    this.#child.send({ order: 'start', defaults: host.defaults, parent: process.pid })
  }

  /** What it runs, or will run as soon as it can. */
  get run(): Run | undefined {
    return this.#current?.run
  }

  /** It could take a run at once. */
  get isFree(): boolean {
    return this.#isFree
  }

  get isEnding(): boolean {
    return this.#isEnding
  }

  /** Sets the result of `run`. Rejects with what the handler threw, with why it was aborted, or after a death. */
  perform(run: Run): Promise<Performed> {
    this.#stopWaiting?.()
    this.#tasks += 1
    const task = this.#tasks
    // Before it has the task it ignores this; `#give` looks at the reason.
    const abort = (): void => {
      const { code, message } = run.reason!
      this.#child.send({ order: 'abort', task, code, message })
    }
    run.signal.addEventListener('abort', abort, { once: true })
    const performed = new Promise<Performed>((resolve, reject) => {
      this.#current = { task, run, resolve, reject, hasBegun: false }
    }).finally(() => run.signal.removeEventListener('abort', abort))
    this.#last = run
    this.#uncaught = undefined
    if (this.#isFree) this.#give()
    return performed
  }

  /** Where its handler is now, also when that blocks it. One asker at a time. */
  look(): Promise<Look> {
    return new Promise((resolve) => {
      const stop = this.#host.timers.after(lookWithinMs, () => resolve({ failure: 'it does not answer' }))
      this.#seen = (look) => {
        stop()
        resolve(look)
      }
      this.#child.look()
    })
  }

  /** Asks it to end, and makes it when it does not. */
  end(): void {
    this.#stopWaiting?.()
    this.#isEnding = true
    this.#child.send({ order: 'end' })
    this.#stopWaiting = this.#host.timers.after(farewellMs, () => this.#child.kill())
  }

  /** Ends it by force. A thread inside a call that is not JavaScript goes on until that returns. */
  kill(): void {
    this.#isEnding = true
    this.#child.kill()
  }

  /** Nobody waits for its end any more. */
  abandon(): void {
    this.#child.unref()
  }

  #give(): void {
    const current = this.#current
    if (current === undefined) {
      this.#stopWaiting?.()
      this.#stopWaiting = this.#host.timers.after(idleMs, () => this.end())
      return
    }
    const { task, run } = current
    if (run.reason !== undefined) {
      this.#current = undefined
      current.reject(run.reason)
      return this.#give()
    }
    this.#isFree = false
    const { claimed, handler, worker } = run
    const module = moduleOf(handler)!
    const storeNow = this.#host.time.now()
    this.#child.send({ order: 'run', task: { task, module, claimed, worker, storeNow } })
  }

  #hear(report: ChildReport): void {
    // The handler's own code may say something on the same channel.
    if (typeof report !== 'object' || report === null) return
    if (report.report === 'memory') this.#memoryBytes = report.bytes
    else if (report.report === 'look') this.#seen?.(report.look)
    else if (report.report === 'uncaught') this.#uncaught = report.error
    else if (report.report === 'free') {
      this.#isUp = true
      this.#isFree = true
      if (!this.#isEnding) this.#give()
      this.#host.free(this)
    } else if (this.#current !== undefined && report.task === this.#current.task) this.#hearOf(this.#current, report)
  }

  #hearOf(current: Performance, report: Extract<ChildReport, { task: number }>): void {
    const { run } = current
    switch (report.report) {
      case 'begun':
        current.hasBegun = true
        break
      case 'note':
        if (report.progress !== undefined) run.setProgress(report.progress)
        for (const { level, message } of report.lines) {
          this.#host.logged(run, level, message)
          run.addLine(level, message, this.#host.timers.now())
        }
        this.#host.noted(run)
        break
      case 'done':
        this.#current = undefined
        run.result = report.result
        if (report.followUps.length > 0) run.followUps = [...(run.followUps ?? []), ...report.followUps]
        if ((run.followUps?.length ?? 0) <= mostFollowUps) current.resolve({ begun: true })
        else current.reject(tooManyFollowUps())
        break
      case 'failed':
        this.#current = undefined
        current.reject(unpackError(report.error))
    }
  }

  #ended({ how, exitCode, signal }: ChildEnd): void {
    const current = this.#current
    this.#stopWaiting?.()
    this.#current = undefined
    this.#host.ended(this)
    if (current === undefined) return this.#tellIdleDeath(how)
    const { run, hasBegun, resolve, reject } = current
    if (run.reason !== undefined || run.ended) return reject(run.reason ?? leaseLost(run))
    if (!hasBegun) return resolve({ begun: false, isUp: this.#isUp, how })
    const message = `${this.#what} that ran this job died: ${this.#describe(how)}`
    const rssBytes = this.kind === 'process' && this.#memoryBytes > 0 ? this.#memoryBytes : null
    run.forced = afterChildDeath(run.claimed, message, { exitCode, signal, rssBytes })
    reject(new ForgeError('INTERNAL', message))
  }

  #tellIdleDeath(how: string): void {
    if (this.#isEnding || this.#last === undefined) return
    const { worker, claimed } = this.#last
    const message = `${this.#what} that had run this job died: ${this.#describe(how)}`
    const error = { code: 'CHILD_LOST', name: 'ChildLost', message }
    this.#host.events.emit('child:died', { id: claimed.job, type: claimed.type, worker, error })
  }

  /** For people. */
  get place(): string {
    return this.kind === 'thread' ? 'a thread of its own' : `process ${this.#child.pid}`
  }

  get #what(): string {
    return this.kind === 'thread' ? 'the thread' : `the process (${this.#child.pid})`
  }

  #describe(how: string): string {
    const mib = Math.round(this.#memoryBytes / 1_048_576)
    const memory = mib === 0 ? '' : `, last seen with ${mib} MiB of ${this.kind === 'thread' ? 'heap' : 'memory'}`
    const { name, message } = this.#uncaught ?? {}
    return `${how}${memory}${name === undefined ? '' : `; nobody caught ${name}: ${message!.slice(0, 500)}`}`
  }
}
