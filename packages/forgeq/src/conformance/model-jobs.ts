// The jobs of the reference store: who is next, who holds what, and what each verb does to them.
// One job's own life: model-job.ts. Who may speak for a worker: model-crew.ts.
import { caps } from '../core/caps.ts'
import { idTime, isId } from '../core/id.ts'
import { followUpRefused } from '../core/refusal.ts'
import { keptMs, rememberMs } from '../core/retention.ts'
import { allows, isEnded, isPending, type State } from '../core/states.ts'
import type {
  ActRequest,
  ActVerdict,
  Claimed,
  Enqueued,
  ExchangeRequest,
  NewJob,
  Note,
  Order,
  Refusal,
  Registration,
  Settlement,
  Unique,
  Verdict,
} from '../store/records.ts'
import type { Topic } from '../store/store.ts'
import {
  dueAt,
  isExpired,
  type ModelJob,
  move,
  newModelJob,
  obey,
  recordAttempt,
  renew,
  replaceWork,
  type Verb,
  write,
} from './model-job.ts'
import { ModelKeys } from './model-keys.ts'

/** Of the ready jobs, those that were in a crash, those that were not, or both. */
type Part = 'all' | 'suspects' | 'others'

const isSuspect = (job: ModelJob): boolean => job.crashes > 0
const isIn = (part: Part, job: ModelJob): boolean => part === 'all' || isSuspect(job) === (part === 'suspects')
const knows = (worker: Registration, job: ModelJob): boolean => worker.types.some(({ type }) => type === job.type)

const refuse = (id: string, code: Refusal['code'], message: string): Enqueued => ({ id, refused: { code, message } })

const holdsUntil = ({ unique }: ModelJob, until: 'done' | 'start'): boolean =>
  unique !== null && 'until' in unique && unique.until === until

export class ModelJobs {
  readonly byId: Map<string, ModelJob> = new Map()
  readonly keys: ModelKeys = new ModelKeys()
  readonly paused: Set<string> = new Set()
  readonly #hint: (topic: Topic) => void
  #seq = 0

  constructor(hint: (topic: Topic) => void) {
    this.#hint = hint
  }

  all(keep: (job: ModelJob) => boolean): ModelJob[] {
    return [...this.byId.values()].filter(keep)
  }

  heldBy(worker: string): ModelJob[] {
    return this.all((job) => job.worker === worker)
  }

  orders(worker: string): Order[] {
    return this.heldBy(worker)
      .filter((job) => job.cancelRequested)
      .map((job) => ({ job: job.id, claim: job.claim, order: 'cancel' }))
  }

  /** The ready jobs of a queue in the order in which they are claimed. */
  line(queue: string): ModelJob[] {
    return this.all((job) => job.state === 'ready' && job.policy.queue === queue).sort(
      (a, b) =>
        a.policy.priority - b.policy.priority ||
        Number(b.parked) - Number(a.parked) ||
        Number(b.claim > 0) - Number(a.claim > 0) ||
        a.seq - b.seq,
    )
  }

  nextDueAt(): number | null {
    const next = Math.min(...this.all(() => true).map(dueAt))
    return next === Infinity ? null : next
  }

  enqueue(jobs: readonly NewJob[], atomic: boolean, now: number): readonly Enqueued[] {
    const undo = atomic ? this.undo() : undefined
    const answers = jobs.map((job) => this.add(job, now))
    if (!undo || !answers.some((answer) => 'refused' in answer)) return answers
    undo()
    return answers.map((answer, index) =>
      'refused' in answer
        ? answer
        : refuse(jobs[index]!.id, 'BATCH_REFUSED', 'not stored: another job of this call was refused'),
    )
  }

  /** Gives what takes back all that is done from now on. */
  undo(): () => void {
    const maps: readonly Map<string, unknown>[] = [this.byId, this.keys.held, this.keys.replacements]
    const before = structuredClone(maps)
    return () =>
      maps.forEach((map, index) => {
        map.clear()
        for (const [key, value] of before[index]!) map.set(key, value)
      })
  }

  /** A follow-up may be old: its claim, not its age, proves that it is no late repetition. */
  protected add(job: NewJob, now: number, isFollowUp = false): Enqueued {
    const known = this.known(job)
    if (known) return known
    if (!isFollowUp && (!isId(job.id) || Math.abs(idTime(job.id) - now) > caps.idDriftMs)) {
      return refuse(job.id, 'INVALID_ID', 'it is no UUIDv7 made within a day of the time of the store; make a new id')
    }
    const holder = job.unique && this.holder(job.type, job.unique, now)
    if (holder !== undefined) return this.meet(holder, job, now)
    const added = newModelJob(job, now)
    this.byId.set(job.id, added)
    this.keys.take(added, now)
    this.wait(added, null, added.runAt, now)
    return { id: job.id, duplicate: false }
  }

  /** The answer to an enqueue that was made before, or has the id of another one. */
  protected known(job: NewJob): Enqueued | undefined {
    const known = this.byId.get(job.id)
    if (known?.type === job.type && (known.edited || known.payload === job.payload)) {
      return { id: job.id, duplicate: true }
    }
    const replacement = job.unique?.onConflict === 'replace' ? this.keys.replacements.get(job.id) : undefined
    if (!known && replacement?.type === job.type) return { id: replacement.holder, duplicate: true, replaced: true }
    if (!known && !replacement) return undefined
    return refuse(job.id, 'ID_CONFLICT', 'this id belongs to another type or payload; make a new id for a new job')
  }

  /** The id of the job that holds the key; it may be gone. */
  protected holder(type: string, unique: Unique, now: number): string | undefined {
    return this.keys.holder(type, unique, now)
  }

  /** What becomes of an enqueue whose key is held. */
  protected meet(id: string, job: NewJob, now: number): Enqueued {
    const holder = this.byId.get(id)
    const how = job.unique!.onConflict
    if (how === 'error') {
      const refused: Refusal = { code: 'UNIQUE_CONFLICT', message: `job ${id} holds the key`, holder: id }
      return { id: job.id, refused }
    }
    if (how === 'keep' || !holder || !allows(holder.state, 'replace')) return { id, duplicate: true }
    this.replace(holder, job, now)
    this.keys.remember(job.id, job.type, id, now)
    return { id, duplicate: true, replaced: true }
  }

  /** A ready job that need not move keeps its place in line, so that updates cannot hold it up for ever. */
  protected replace(holder: ModelJob, job: NewJob, now: number): void {
    if (replaceWork(holder, job, now)) this.wait(holder, 'replace', holder.runAt, now)
  }

  /** Ready when `runAt` has come, else scheduled for then. */
  protected wait(job: ModelJob, verb: Verb | null, runAt: number, now: number): void {
    job.worker = job.startedAt = null
    if (runAt <= now) {
      this.enterLane(job, verb, now)
    } else {
      job.runAt = runAt
      move(job, verb, 'scheduled')
      job.seq = ++this.#seq
      this.#hint('due')
    }
  }

  protected enterLane(job: ModelJob, verb: Verb | null, now: number): void {
    move(job, verb, 'ready')
    job.parked = false
    job.readyAt = now
    job.seq = ++this.#seq
    this.#hint(`ready:${job.policy.queue}`)
  }

  /** What an exchange brings, by how its worker takes suspects. */
  handOut(request: ExchangeRequest, worker: Registration, now: number): Claimed[] {
    const { wants, slots, suspects = 'together' } = request
    const take = (part: Part, most: number): Claimed[] => {
      const claimed: Claimed[] = []
      for (const { queue, slots: wanted } of wants) {
        claimed.push(...this.claim(queue, Math.min(wanted, most - claimed.length), worker, now, part))
      }
      return claimed
    }
    if (suspects === 'together') return take('all', slots)
    const held = this.heldBy(worker.id)
    if (held.some(isSuspect)) return []
    const isAlone = suspects === 'alone' && held.length === 0 && this.leavesSuspects(request, worker)
    const alone = isAlone ? take('suspects', Math.min(slots, 1)) : []
    return alone.length > 0 ? alone : take('others', slots)
  }

  /** Whether suspects that the worker knows are where it wants jobs from, and it does not take them as any other job. */
  leavesSuspects({ wants, suspects = 'together' }: ExchangeRequest, worker: Registration): boolean {
    if (suspects === 'together') return false
    const queues = wants.filter(({ queue, slots }) => slots > 0 && !this.paused.has(queue))
    return queues.some(({ queue }) => this.line(queue).some((job) => isSuspect(job) && knows(worker, job)))
  }

  /** Claims for one want: unknown types step aside, and who should have started by now ends. */
  claim(queue: string, slots: number, worker: Registration, now: number, part: Part): Claimed[] {
    const claimed: Claimed[] = []
    for (const job of this.paused.has(queue) ? [] : this.line(queue)) {
      if (claimed.length >= slots) break
      if (!isIn(part, job)) continue
      if (!knows(worker, job)) job.parked = true
      else if (isExpired(job, now)) this.end(job, 'expire', 'cancelled', 'expired', now)
      else claimed.push(this.start(job, worker.id, now))
    }
    return claimed
  }

  protected start(job: ModelJob, worker: string, now: number): Claimed {
    move(job, 'claim', 'running')
    job.claim += 1
    job.worker = worker
    job.startedAt = now
    if (holdsUntil(job, 'start')) this.keys.free(job)
    const { id, claim, type, payload, attempt, attemptBase, crashes, createdAt, policy } = job
    return { job: id, claim, type, payload, attempt, attemptBase, crashes, createdAt, policy }
  }

  protected fenced(worker: string, hold: { readonly job: string; readonly claim: number }): ModelJob | undefined {
    const job = this.byId.get(hold.job)
    return job?.worker === worker && job.claim === hold.claim ? job : undefined
  }

  note(worker: string, note: Note, now: number): void {
    const job = this.fenced(worker, note)
    if (job) write(job, note, now)
  }

  /** `isRescue`: not by the holder itself, which must not take it for its own later. */
  settle(worker: string, settlement: Settlement, isRescue: boolean, now: number): Verdict {
    const last = this.byId.get(settlement.job)?.settled
    if (!isRescue && last?.claim === settlement.claim && last.worker === worker) return last.verdict
    const job = this.fenced(worker, settlement)
    if (!job) return 'lost'
    const verdict = job.cancelRequested && settlement.outcome !== 'cancel' ? 'cancelled' : 'applied'
    job.settled = { claim: job.claim, worker: isRescue ? null : worker, verdict }
    this.carryOut(job, settlement, now)
    return verdict
  }

  protected carryOut(job: ModelJob, given: Settlement, now: number): void {
    const settlement = obey(job, given)
    const verb = settlement.outcome
    recordAttempt(job, settlement, now)
    switch (settlement.outcome) {
      case 'complete':
        job.result = settlement.result
        this.end(job, verb, 'completed', null, now)
        for (const next of settlement.followUps ?? []) {
          const answer = this.add(next, now, true)
          if ('refused' in answer) throw followUpRefused(job.id, answer.refused)
        }
        break
      case 'retry':
        job.attempt += 1
        this.wait(job, verb, now + settlement.delayMs, now)
        break
      case 'snooze':
        this.wait(job, verb, now + settlement.delayMs, now)
        break
      case 'release':
        this.wait(job, verb, now, now)
        break
      case 'bury':
        this.end(job, verb, 'dead', settlement.reason, now)
        break
      case 'cancel':
        this.end(job, verb, 'cancelled', 'cancelled', now)
        break
      case 'crash':
        job.crashes += 1
        if (job.cancelRequested) this.end(job, verb, 'cancelled', 'cancelled', now)
        else if (settlement.bury) this.end(job, verb, 'dead', settlement.bury, now)
        else this.wait(job, verb, now, now)
    }
  }

  protected end(job: ModelJob, verb: Verb, state: State, reason: string | null, now: number): void {
    move(job, verb, state)
    job.reason = reason
    job.finishedAt = now
    job.resultUntil = state === 'completed' ? now + job.policy.keepResultMs : null
    job.worker = null
    job.cancelRequested = false
    // Of a job that was cancelled or came too late, nothing was done that a window is there for.
    if (holdsUntil(job, 'done') || state === 'cancelled') this.keys.free(job)
    this.#hint(`ended:${job.id}`)
  }

  promote(limit: number, now: number): number {
    const due = this.all((job) => dueAt(job) <= now)
      .sort((a, b) => dueAt(a) - dueAt(b) || a.seq - b.seq)
      .slice(0, limit)
    for (const job of due) {
      if (isExpired(job, now)) this.end(job, 'expire', 'cancelled', 'expired', now)
      else this.enterLane(job, 'promote', now)
    }
    return due.length
  }

  prune(limit: number, now: number): { readonly removed: number; readonly more: boolean } {
    const over = this.all((job) => isEnded(job.state) && job.finishedAt! + this.keepMs(job) <= now)
    for (const job of over.slice(0, limit)) this.byId.delete(job.id)
    this.keys.prune(now)
    return { removed: Math.min(over.length, limit), more: over.length > limit }
  }

  /** However short its result is kept, an ended id is remembered, so that an enqueue may be sent again. */
  protected keepMs(job: ModelJob): number {
    return Math.max(keptMs(job.state, job.policy.keepResultMs), rememberMs)
  }

  act(id: string, request: ActRequest, now: number): ActVerdict {
    const job = this.byId.get(id)
    if (!job) return { id, done: false, code: 'NOT_FOUND' }
    // Asked again, a cancel has the same answer.
    if (request.action === 'cancel' && job.state === 'cancelled') return { id, done: true, state: 'cancelled' }
    if (!allows(job.state, request.action)) return { id, done: false, code: 'STATE_CONFLICT', state: job.state }
    const done = (state: State | 'gone'): ActVerdict => ({ id, done: true, state })
    switch (request.action) {
      case 'cancel':
        if (isPending(job.state)) {
          this.end(job, 'cancel', 'cancelled', 'cancelled', now)
        } else {
          job.cancelRequested = true
          this.#hint(`orders:${job.worker!}`)
        }
        return done(job.state)
      case 'retry': {
        const holder = job.unique ? this.holder(job.type, job.unique, now) : undefined
        if (holder !== undefined && holder !== id) return { id, done: false, code: 'UNIQUE_CONFLICT', holder }
        this.keys.take(job, now)
        renew(job, request.payload)
        this.wait(job, 'retry', now, now)
        return done('ready')
      }
      case 'promote':
        this.enterLane(job, 'promote', now)
        return done('ready')
      case 'delete':
        this.keys.free(job)
        this.byId.delete(id)
        return done('gone')
    }
  }
}
