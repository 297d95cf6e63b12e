// Where the jobs of the reference store are: which wait, in which order, and the steps that bring one there. What is handed
// out of it: model-claims.ts; the verbs that move jobs: model-jobs.ts.
import type { State } from '../core/states.ts'
import type { Topic } from '../store/store.ts'
import { dueAt, holdsUntil, kindOf, type ModelJob, move, type Verb } from './model-job.ts'
import { ModelKeys } from './model-keys.ts'
import { ModelLimits } from './model-limits.ts'
import { ModelLines } from './model-lines.ts'

/** Who stands for a key stands among the fresh: keys take turns, whatever came back. */
const kindIn = (job: ModelJob): number => (job.key === null ? kindOf(job) : 2)

export interface Parts {
  readonly Limits: typeof ModelLimits
  readonly Lines: typeof ModelLines
}

export class ModelPlaces {
  readonly byId: Map<string, ModelJob> = new Map()
  readonly keys: ModelKeys = new ModelKeys()
  readonly limits: ModelLimits
  readonly lines: ModelLines
  protected readonly hint: (topic: Topic) => void
  #seq = 0

  constructor(hint: (topic: Topic) => void, { Limits = ModelLimits, Lines = ModelLines }: Partial<Parts> = {}) {
    this.hint = hint
    this.limits = new Limits()
    this.lines = new Lines(this, this.limits)
  }

  all(keep: (job: ModelJob) => boolean): ModelJob[] {
    return [...this.byId.values()].filter(keep)
  }

  nextSeq(): number {
    return ++this.#seq
  }

  /** What comes later comes after this number. */
  goPast(seq: number): void {
    this.#seq = Math.max(this.#seq, seq)
  }

  heldBy(worker: string): ModelJob[] {
    return this.all((job) => job.worker === worker)
  }

  protected running(queue: string): number {
    return this.all((job) => job.state === 'running' && job.policy.queue === queue).length
  }

  /** What of a queue stands in its lanes, in the order in which it is claimed: one job of a key stands for all of them. */
  lanes(queue: string): ModelJob[] {
    const placeOf = ({ key, token, seq }: ModelJob): number | null => (key === null ? seq : token)
    return this.all((job) => job.state === 'ready' && !job.parked && job.policy.queue === queue)
      .filter((job) => placeOf(job) !== null)
      .sort((a, b) => a.policy.priority - b.policy.priority || kindIn(a) - kindIn(b) || placeOf(a)! - placeOf(b)!)
  }

  protected parked(queue: string): ModelJob[] {
    return this.all((job) => job.state === 'ready' && job.parked && job.policy.queue === queue)
  }

  nextDueAt(): number | null {
    const next = Math.min(...this.all(() => true).map(dueAt), this.limits.alarms.nextAt())
    return next === Infinity ? null : next
  }

  /** Ready when `runAt` has come, else scheduled for then. */
  protected wait(job: ModelJob, verb: Verb | null, runAt: number, now: number): void {
    job.worker = job.startedAt = null
    if (runAt <= now) {
      this.enterLane(job, verb, now)
    } else {
      job.runAt = runAt
      move(job, verb, 'scheduled')
      job.seq = this.nextSeq()
      this.hint('due')
    }
  }

  protected enterLane(job: ModelJob, verb: Verb | null, now: number): void {
    move(job, verb, 'ready')
    job.parked = job.unparked = false
    job.readyAt = now
    job.seq = this.nextSeq()
    this.lines.enter(job)
    this.hint(`ready:${job.policy.queue}`)
  }

  protected park(job: ModelJob): void {
    job.parked = true
    this.lines.leave(job)
    this.lines.takeTurn(job)
  }

  protected unpark(job: ModelJob): void {
    job.parked = false
    job.unparked = true
    job.seq = this.nextSeq()
    this.lines.enter(job)
  }

  protected end(job: ModelJob, verb: Verb, state: State, reason: string | null, now: number): void {
    this.leave(job)
    move(job, verb, state)
    job.reason = reason
    job.finishedAt = now
    job.resultUntil = state === 'completed' ? now + job.policy.keepResultMs : null
    job.worker = null
    job.cancelRequested = false
    // Of a job that was cancelled or came too late, nothing was done that a window is there for.
    if (holdsUntil(job, 'done') || state === 'cancelled') this.keys.free(job)
    this.hint(`ended:${job.id}`)
  }

  protected remove(job: ModelJob): void {
    this.leave(job)
    this.keys.free(job)
    this.byId.delete(job.id)
  }

  /** It is in nobody's way any more. */
  protected leave(job: ModelJob): void {
    if (job.state === 'ready' && !job.parked) this.lines.leave(job)
    this.lines.giveTurn(job)
  }
}
