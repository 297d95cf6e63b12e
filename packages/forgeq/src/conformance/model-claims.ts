// How the reference store hands out jobs: level by level, what has room, suspects as the exchange takes them.
import type { Claimed, ExchangeRequest, Registration } from '../store/records.ts'
import { byOrder, holdsUntil, isExpired, type ModelJob, move } from './model-job.ts'
import { ModelPlaces } from './model-places.ts'

/** Of the ready jobs, those that were in a crash, those that were not, or both. */
type Part = 'all' | 'suspects' | 'others'

const isSuspect = (job: ModelJob): boolean => job.crashes > 0
const isIn = (part: Part, job: ModelJob): boolean => part === 'all' || isSuspect(job) === (part === 'suspects')
const knows = (worker: Registration, job: ModelJob): boolean => worker.types.some(({ type }) => type === job.type)

export class ModelClaims extends ModelPlaces {
  /** What an exchange brings, by how its worker takes suspects. */
  handOut(request: ExchangeRequest, worker: Registration, now: number): Claimed[] {
    const { wants, slots, suspects = 'together', suspectSlots = slots } = request
    this.lines.putAllRight(now)
    const take = (part: Part, most: number): Claimed[] => {
      const claimed: Claimed[] = []
      for (const { queue, slots: wanted } of wants) {
        claimed.push(...this.claim(queue, Math.min(wanted, most - claimed.length), worker, now, part))
      }
      return claimed
    }
    if (suspects === 'together') return take('all', slots)
    const held = this.heldBy(worker.id)
    const holdsOne = held.some(isSuspect)
    if (holdsOne && suspects !== 'apart') return []
    const takesSome = suspects !== 'skip' && held.every(isSuspect) && this.leavesSuspects(request, worker, now)
    const some = takesSome ? take('suspects', Math.min(slots, suspects === 'alone' ? 1 : suspectSlots)) : []
    return holdsOne || some.length > 0 ? some : take('others', slots)
  }

  /** Whether suspects that could be handed out to the worker now are where it wants jobs from, and it is careful with them. */
  leavesSuspects({ wants, suspects = 'together' }: ExchangeRequest, worker: Registration, now: number): boolean {
    if (suspects === 'together') return false
    const queues = wants.filter(({ queue, slots }) => slots > 0 && this.roomOf(queue, now) > 0)
    return queues.some(({ queue }) =>
      [...this.lanes(queue), ...this.parked(queue)].some(
        (job) => isSuspect(job) && this.fits(job, worker, now) && this.isLevelOpen(job, now),
      ),
    )
  }

  protected roomOf(queue: string, now: number): number {
    return this.limits.roomOf(queue, this.running(queue), now)
  }

  protected isLevelOpen({ policy: { queue, priority } }: ModelJob, now: number): boolean {
    return this.limits.isLevelOpen(queue, priority, now)
  }

  /** Whether the worker gets jobs of this type now. */
  protected fits(job: ModelJob, worker: Registration, now: number): boolean {
    return knows(worker, job) && this.limits.typeHeldUntil(job.policy.queue, job.type, now) === null
  }

  /** Claims for one want: what does not fit steps aside, and who should have started by now ends. */
  claim(queue: string, slots: number, worker: Registration, now: number, part: Part): Claimed[] {
    const most = Math.min(slots, this.roomOf(queue, now))
    this.unparkFitting(queue, most, worker, now, part)
    const claimed: Claimed[] = []
    const met = new Set<string>()
    // A claim of a store that is wrong ends as well: each look takes a job off, or back to those of its key that wait.
    const mostLooks = 2 * this.byId.size
    const isNew = ({ id, seq, token }: ModelJob): boolean => !met.has(`${id} ${token ?? seq}`)
    while (claimed.length < most && met.size < mostLooks) {
      // Looked up anew after each: a level may have closed, and a key may have brought its next job.
      const job = this.lanes(queue).find((one) => isIn(part, one) && isNew(one) && this.isLevelOpen(one, now))
      if (!job) break
      met.add(`${job.id} ${job.token ?? job.seq}`)
      claimed.push(...this.meet(job, worker, now))
    }
    return claimed
  }

  /** Brings back as many that stood aside as the claim could take. */
  protected unparkFitting(queue: string, most: number, worker: Registration, now: number, part: Part): void {
    const fitting = this.parked(queue).filter((job) => isIn(part, job) && this.fits(job, worker, now))
    const open = fitting.filter((job) => this.isLevelOpen(job, now)).sort(byOrder)
    for (const job of open.slice(0, Math.max(0, most))) this.unpark(job)
    // From here on keys take turns: whose turn comes with a claim goes to the end.
    this.lines.endCall(now)
  }

  protected meet(job: ModelJob, worker: Registration, now: number): Claimed[] {
    const claimed: Claimed[] = []
    // Limits may have been lowered since it got its place.
    const hasRoom = job.key === null || this.lines.mayStart(job, now)
    // Whatever becomes of it, the next of its key goes to the end.
    this.lines.take(job)
    if (hasRoom && !this.fits(job, worker, now)) this.park(job)
    else if (hasRoom && isExpired(job, now)) this.end(job, 'expire', 'cancelled', 'expired', now)
    else if (hasRoom) claimed.push(this.start(job, worker.id, now))
    this.lines.putAllRight(now)
    return claimed
  }

  protected start(job: ModelJob, worker: string, now: number): Claimed {
    this.lines.take(job)
    this.lines.takeTurn(job)
    this.limits.noteStart(job, now)
    move(job, 'claim', 'running')
    job.claim += 1
    job.worker = worker
    job.startedAt = now
    if (holdsUntil(job, 'start')) this.keys.free(job)
    const { id, claim, type, payload, attempt, attemptBase, crashes, createdAt, policy } = job
    return { job: id, claim, type, payload, attempt, attemptBase, crashes, createdAt, policy }
  }
}
