// Runs tasks in an isolated child, one at a time: what the engine does with an inline handler, up to the point where an
// outcome is decided, which its worker does. Everything leaves as a report.
import { caps } from '../core/caps.ts'
import { ForgeError } from '../core/errors.ts'
import { idSource } from '../core/id.ts'
import { encodeJson } from '../core/json.ts'
import type { PolicyOverrides } from '../core/policy.ts'
import { parse, parseStored } from '../core/schema.ts'
import type { Handler } from '../job.ts'
import { Preparer } from '../prepare.ts'
import type { LogLine, NewJob } from '../store/records.ts'
import { StoreTime } from '../store-time.ts'
import { realTimers } from '../timers.ts'
import { packError, type ChildOrder, type ChildReport, type Task } from './child-talk.ts'
import { JobContext, type Desk } from './context.ts'
import { handlerIn } from './find-handlers.ts'
import { Run } from './run.ts'

/** Lines and progress travel at once, and then at most this often. */
const notesMs = 50

type Abort = Extract<ChildOrder, { order: 'abort' }>

export class Tasks {
  readonly #send: (report: ChildReport) => void
  readonly #desk: Desk
  readonly #time = new StoreTime(realTimers)
  #task = 0
  #run: Run | undefined
  /** Came while the module was being loaded. */
  #abort: Abort | undefined
  #lines: Pick<LogLine, 'level' | 'message'>[] = []
  #sentAt = -Infinity
  #timer: NodeJS.Timeout | undefined

  constructor(defaults: PolicyOverrides, send: (report: ChildReport) => void) {
    this.#send = send
    const newId = idSource(
      () => this.#time.now(),
      (bytes) => crypto.getRandomValues(bytes),
    )
    this.#desk = {
      timers: realTimers,
      newId,
      preparer: new Preparer(defaults, newId),
      noted: (run) => this.#noted(run),
      logged: (run, level, message) => {
        if (run !== this.#run || run.ended) return
        this.#lines.push({ level, message })
        this.#noted(run)
      },
    }
  }

  async run(task: Task): Promise<void> {
    this.#task = task.task
    this.#abort = undefined
    this.#run = undefined
    this.#send({ report: 'begun', task: task.task })
    let handler: Handler | undefined
    try {
      this.#time.hear(task.storeNow)
      handler = await handlerIn(task.module, task.claimed.type)
      const run = new Run(task.claimed, handler, task.worker, realTimers.now())
      this.#run = run
      if (this.#abort !== undefined) this.abort(this.#abort)
      const value = await this.#valueOf(run)
      const followUps: NewJob[] = []
      for (const job of run.followUps ?? []) followUps.push(await job)
      const result = encodeJson(value, 'result', caps.resultBytes)
      this.#finish(run)
      this.#send({ report: 'done', task: task.task, result, followUps })
    } catch (error) {
      if (this.#run !== undefined) this.#finish(this.#run)
      this.#send({ report: 'failed', task: task.task, error: packError(error, backoffFor(task, handler)) })
    }
    // A rejection that the handler left behind ends the child in this turn, before it has anything else to run.
    setImmediate(() => this.#send({ report: 'free' }))
  }

  abort(order: Abort): void {
    if (order.task !== this.#task) return
    this.#abort = order
    const run = this.#run
    if (run === undefined || run.reason !== undefined) return
    run.abort(new ForgeError(order.code, order.message, { id: run.claimed.job }), Infinity)
  }

  async #valueOf(run: Run): Promise<unknown> {
    const { fn, job } = run.handler
    const input = await parseStored(job.input, run.claimed.payload, run.claimed.job)
    const value = await fn(new JobContext(input, run, this.#desk))
    return job.output === undefined ? value : parse(job.output, value, 'result')
  }

  #finish(run: Run): void {
    this.#tell(run)
    run.ended = true
  }

  #noted(run: Run): void {
    const waitMs = this.#sentAt + notesMs - realTimers.now()
    if (waitMs <= 0) this.#tell(run)
    else this.#timer ??= setTimeout(() => this.#tell(run), waitMs)
  }

  #tell(run: Run): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const now = realTimers.now()
    const progress = run.takeNote(now)?.progress
    if (run.ended || (this.#lines.length === 0 && progress === undefined)) return
    this.#sentAt = now
    this.#send({ report: 'note', task: this.#task, lines: this.#lines, ...(progress && { progress }) })
    this.#lines = []
  }
}

/** As the engine would ask it: when the job is stored with it, and about tries since the last retry by hand. */
function backoffFor({ claimed }: Task, handler: Handler | undefined): Parameters<typeof packError>[1] {
  const ask = handler?.job.policy.backoff
  if (typeof ask !== 'function' || claimed.policy.backoff.type !== 'function') return undefined
  return { ask, failures: claimed.attempt - claimed.attemptBase }
}
