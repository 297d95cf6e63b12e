// The verbs of the reference store: what enqueueing, settling, time and operators do to its jobs. Where jobs wait:
// model-places.ts; how they are handed out: model-claims.ts; who may speak for a worker: model-crew.ts.
import { caps } from '../core/caps.ts'
import { idTime, isId } from '../core/id.ts'
import type { QueueSettings } from '../core/limit.ts'
import { followUpRefused } from '../core/refusal.ts'
import { keptMs, rememberMs } from '../core/retention.ts'
import { allows, isEnded, isPending, type State } from '../core/states.ts'
import type {
  ActRequest,
  ActVerdict,
  Enqueued,
  HoldBack,
  NewJob,
  Note,
  Order,
  Refusal,
  Settlement,
  Unique,
  Verdict,
} from '../store/records.ts'
import { isExpired, type ModelJob, newModelJob, obey, recordAttempt, renew, replaceWork, write } from './model-job.ts'
import { ModelMoves } from './model-moves.ts'

const refuse = (id: string, code: Refusal['code'], message: string): Enqueued => ({ id, refused: { code, message } })

export class ModelJobs extends ModelMoves {
  orders(worker: string): Order[] {
    return this.heldBy(worker)
      .filter((job) => job.cancelRequested)
      .map((job) => ({ job: job.id, claim: job.claim, order: 'cancel' }))
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
    const { byId, keys, lines, limits } = this
    const ofLimits = [limits.holds, limits.alarms.noted]
    const maps: readonly Map<string, unknown>[] = [byId, keys.held, keys.replacements, lines.turns, ...ofLimits]
    const before = structuredClone(maps)
    return () => {
      maps.forEach((map, index) => {
        map.clear()
        for (const [key, value] of before[index]!) map.set(key, value)
      })
      lines.undo()
    }
  }

  /** A follow-up may be old: its claim, not its age, proves that it is no late repetition. */
  protected add(job: NewJob, now: number, isFollowUp = false): Enqueued {
    const known = this.known(job)
    if (known) return known
    if (!isFollowUp && (!isId(job.id) || Math.abs(idTime(job.id) - now) > caps.idDriftMs)) {
      return refuse(job.id, 'INVALID_ID', 'it is no UUIDv7 made within a day of the time of the store; make a new id')
    }
    const holder = job.unique && this.holder(job.type, job.unique, now)
    if (holder !== undefined) return this.meetHolder(holder, job, now, isFollowUp)
    const refused = isFollowUp ? null : this.refusal(job)
    if (refused) return refused
    const added = newModelJob(job, now)
    this.byId.set(job.id, added)
    this.keys.take(added, now)
    this.wait(added, null, added.runAt, now)
    added.arrival = added.seq
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
  protected meetHolder(id: string, job: NewJob, now: number, isFollowUp = false): Enqueued {
    const holder = this.byId.get(id)
    const how = job.unique!.onConflict
    if (how === 'error') {
      const refused: Refusal = { code: 'UNIQUE_CONFLICT', message: `job ${id} holds the key`, holder: id }
      return { id: job.id, refused }
    }
    if (how === 'keep' || !holder || !allows(holder.state, 'replace')) return { id, duplicate: true }
    const isMoved = holder.policy.queue !== job.policy.queue
    const refused = isMoved && !isFollowUp ? this.refusal(job) : null
    if (refused) return refused
    this.replace(holder, job, now)
    this.keys.remember(job.id, job.type, id, now)
    return { id, duplicate: true, replaced: true }
  }

  /** A ready job that need not move keeps its place in line, so that updates cannot hold it up for ever. */
  protected replace(holder: ModelJob, job: NewJob, now: number): void {
    const before = { ...holder }
    if (!replaceWork(holder, job, now)) return
    if (before.state === 'ready' && !before.parked) this.lines.leave(before)
    holder.token = null
    const isSameKey = before.key === holder.key && before.policy.queue === holder.policy.queue
    if (!isSameKey) this.lines.giveTurn(before)
    this.wait(holder, 'replace', holder.runAt, now)
  }

  /** What the queue has against one more job. */
  protected refusal({ id, policy: { queue } }: NewJob): Enqueued | null {
    const { accepting, limits } = this.limits.of(queue)
    if (!accepting) return refuse(id, 'QUEUE_CLOSED', `queue ${queue} takes no new jobs; open it or use another one`)
    const isFull = limits.maxDepth !== null && this.depth(queue) >= limits.maxDepth
    return isFull ? refuse(id, 'QUEUE_FULL', `queue ${queue} is full; enqueue again when jobs have started`) : null
  }

  /** Jobs of a queue that wait. */
  protected depth(queue: string): number {
    return this.all((job) => job.policy.queue === queue && isPending(job.state)).length
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
    // It has the turn already, unless its queue was not ordered when it started.
    this.lines.takeTurn(job)
    const settlement = obey(job, given)
    const verb = settlement.outcome
    recordAttempt(job, settlement, now)
    // It no longer runs.
    this.lines.touch(job)
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
        this.holdBack(job, settlement.holdBack, now)
        this.wait(job, verb, now + settlement.delayMs, now)
        break
      case 'release':
        this.wait(job, verb, now, now)
        break
      case 'bury':
        this.holdBack(job, settlement.holdBack, now)
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

  protected holdBack(job: ModelJob, hold: HoldBack | undefined, now: number): void {
    if (hold !== undefined) this.limits.hold(job, hold.scope, now + hold.forMs)
  }

  /** First whoever should have started by now, then who is due, then what opens, then keys to be looked at again. */
  promote(limit: number, now: number): number {
    const late = this.all((job) => isExpired(job, now))
      .sort((a, b) => a.expireAt! - b.expireAt!)
      .slice(0, limit)
    for (const job of late) this.end(job, 'expire', 'cancelled', 'expired', now)
    const due = this.all((job) => job.state === 'scheduled' && job.runAt <= now)
      .sort((a, b) => a.runAt - b.runAt || a.seq - b.seq)
      .slice(0, limit - late.length)
    for (const job of due) this.enterLane(job, 'promote', now)
    const rung = this.limits.ring(limit, now)
    for (const { queue, of, name } of rung) {
      this.hint(`ready:${queue}`)
      if (of === 'key') this.lines.touchKey(queue, name)
    }
    const reviewed = this.limits.alarms.reviewed(limit - rung.length, (queue) => this.lines.keysOf(queue))
    for (const [queue, key] of reviewed) this.lines.touchKey(queue, key)
    return late.length + due.length + rung.length + reviewed.length
  }

  setQueue(queue: string, settings: QueueSettings, now: number): void {
    this.limits.change(queue, settings, now)
    if (!this.limits.of(queue).limits.perKey.ordered) this.lines.forgetTurns(queue)
    const onlyPauses = Object.entries(settings).every(([name, value]) =>
      name === 'paused' ? value === true : value === undefined,
    )
    if (!onlyPauses) this.hint(`ready:${queue}`)
  }

  prune(limit: number, now: number): { readonly removed: number; readonly more: boolean } {
    const over = this.all((job) => isEnded(job.state) && job.finishedAt! + this.keepMs(job) <= now)
    for (const job of over.slice(0, limit)) this.byId.delete(job.id)
    for (const [queue, key] of this.limits.forgetStarts(now)) this.lines.touchKey(queue, key)
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
          this.hint(`orders:${job.worker!}`)
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
        this.remove(job)
        return done('gone')
    }
  }
}
