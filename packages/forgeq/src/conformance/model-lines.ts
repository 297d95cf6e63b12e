// Jobs with a key in the reference store: each key's line, the one of them that stands in the lanes for it (its token), and
// in queues with ordered keys the job whose turn it is. What closes a key: model-limits.ts.
import { slotsOfKey } from '../core/limit.ts'
import type { KeyLine } from '../store/queue-record.ts'
import { byOrder, type ModelJob } from './model-job.ts'
import { keyGate, type ModelLimits } from './model-limits.ts'

/** What lines see of the jobs. */
interface Pool {
  all(keep: (job: ModelJob) => boolean): ModelJob[]
  nextSeq(): number
}

const nameOf = (queue: string, key: string): string => JSON.stringify([queue, key])

export class ModelLines {
  readonly limits: ModelLimits
  protected readonly pool: Pool
  /** By queue and key: the job that has to end before another one of the key starts. */
  readonly turns: Map<string, { readonly queue: string; readonly job: string }> = new Map()
  /** Keys of which something changed in this call, in the order of it. */
  readonly #touched = new Map<string, readonly [queue: string, key: string]>()
  /** Where jobs stood that left their line in this call. */
  readonly #left = new Map<string, { readonly level: number; readonly token: number }>()
  /** Jobs that entered a line in this call. */
  readonly #entered = new Set<ModelJob>()

  constructor(pool: Pool, limits: ModelLimits) {
    this.pool = pool
    this.limits = limits
  }

  /** What may change who of a key is next: a line, what runs, a turn or a hold changed. */
  touch({ policy: { queue }, key }: Pick<ModelJob, 'policy' | 'key'>): void {
    if (key !== null) this.touchKey(queue, key)
  }

  touchKey(queue: string, key: string): void {
    this.#touched.set(nameOf(queue, key), [queue, key])
  }

  /** A claim has it: its token is used up. */
  take(job: ModelJob): void {
    job.token = null
    this.touch(job)
  }

  enter(job: ModelJob): void {
    job.token = null
    this.#entered.add(job)
    this.touch(job)
  }

  /** Not to be claimed any more; the place where it stood is left to the next of its line. */
  leave(job: ModelJob): void {
    const { key, token, policy } = job
    if (key !== null && token !== null) this.#left.set(nameOf(policy.queue, key), { level: policy.priority, token })
    this.take(job)
  }

  /** Nothing of this call happened. */
  undo(): void {
    this.#touched.clear()
    this.#entered.clear()
    this.#left.clear()
  }

  /** Before anything is claimed, and when a call is over. */
  putAllRight(now: number): void {
    for (const [queue, key] of this.#touched.values()) this.putRight(queue, key, now)
    this.#touched.clear()
  }

  endCall(now: number): void {
    this.putAllRight(now)
    this.#entered.clear()
  }

  /**
   * Whoever of the line is next stands in the lanes when its key has room, and nobody else of the key does: where another
   * one of its level stood, at its own place when it came in this call, else at the end.
   */
  putRight(queue: string, key: string, now: number): void {
    const line = this.line(queue, key)
    const next = this.next(queue, key, now)
    const mayStand = next !== undefined && this.hasRoom(next, now)
    const stood = line.find(({ token }) => token !== null)
    const name = nameOf(queue, key)
    const place = stood ? { level: stood.policy.priority, token: stood.token! } : this.#left.get(name)
    this.#left.delete(name)
    for (const job of line) job.token = null
    if (mayStand) {
      const own = this.#entered.has(next) ? next.seq : undefined
      next.token = place?.level === next.policy.priority ? place.token : (own ?? this.pool.nextSeq())
    }
    const opensAt = this.limits.keyOpensAt(queue, key, now) ?? this.typesOpenAt(queue, key, now)
    if (opensAt !== null && line.length > 0) this.limits.alarms.note(keyGate(queue, key), opensAt)
  }

  /** Who of a line may be next: one only where nobody overtakes. */
  protected candidates(queue: string, key: string): ModelJob[] {
    const line = this.line(queue, key)
    const turn = this.turnOf(queue, key)
    if (turn !== undefined) return line.filter((job) => job.id === turn)
    return this.limits.of(queue).limits.perKey.ordered ? line.slice(0, 1) : line
  }

  /** When the first of the types opens that keep a line waiting. */
  protected typesOpenAt(queue: string, key: string, now: number): number | null {
    const ends = this.candidates(queue, key).map((job) => this.limits.typeHeldUntil(queue, job.type, now) ?? Infinity)
    const first = Math.min(...ends)
    return first === Infinity ? null : first
  }

  /** Who waits, in order. */
  line(queue: string, key: string): ModelJob[] {
    const waits = (job: ModelJob): boolean => job.state === 'ready' && !job.parked && job.key === key
    return this.pool.all((job) => waits(job) && job.policy.queue === queue).sort(byOrder)
  }

  keysOf(queue: string): readonly string[] {
    const waits = (job: ModelJob): boolean => job.state === 'ready' && !job.parked && job.policy.queue === queue
    return [...new Set(this.pool.all(waits).flatMap((job) => job.key ?? []))]
  }

  /** The first whose type is not held back. */
  protected next(queue: string, key: string, now: number): ModelJob | undefined {
    return this.candidates(queue, key).find((job) => this.limits.typeHeldUntil(queue, job.type, now) === null)
  }

  /** Of one that stands in the lanes: limits and holds may have changed since. */
  mayStart(job: ModelJob, now: number): boolean {
    return this.next(job.policy.queue, job.key!, now) === job && this.hasRoom(job, now)
  }

  hasRoom(job: ModelJob, now: number): boolean {
    const [queue, key] = [job.policy.queue, job.key!]
    const slots = slotsOfKey(this.limits.of(queue).limits.perKey) ?? Infinity
    const isHeld = this.limits.typeHeldUntil(queue, job.type, now) !== null
    const isOpen = !isHeld && this.limits.keyOpensAt(queue, key, now) === null
    return isOpen && this.running(queue, key) < slots && (this.turnOf(queue, key) ?? job.id) === job.id
  }

  protected running(queue: string, key: string): number {
    return this.pool.all((job) => job.state === 'running' && job.key === key && job.policy.queue === queue).length
  }

  protected turnOf(queue: string, key: string): string | undefined {
    return this.turns.get(nameOf(queue, key))?.job
  }

  /** Claimed or parked, it is first until it has ended. */
  takeTurn({ id, key, policy: { queue } }: ModelJob): void {
    if (key === null || !this.isOrdered(queue)) return
    if (this.turnOf(queue, key) === undefined) this.turns.set(nameOf(queue, key), { queue, job: id })
  }

  protected isOrdered(queue: string): boolean {
    return this.limits.of(queue).limits.perKey.ordered
  }

  giveTurn(job: ModelJob): void {
    const { id, key, policy } = job
    if (key === null || this.turnOf(policy.queue, key) !== id) return
    this.turns.delete(nameOf(policy.queue, key))
    this.touch(job)
  }

  hasTurn({ id, key, policy: { queue } }: ModelJob): boolean {
    return key !== null && this.turnOf(queue, key) === id
  }

  forgetTurns(queue: string): void {
    for (const [name, turn] of this.turns) {
      if (turn.queue !== queue) continue
      this.turns.delete(name)
      // Others may come first now: the review of keys gives one of them the token.
      const key = this.pool.all((job) => job.id === turn.job)[0]?.key
      if (key) for (const job of this.line(queue, key)) job.token = null
    }
  }

  /** What a job waits for; `undefined` when it is not in a line. */
  look(job: ModelJob, now: number): KeyLine | undefined {
    const { id, key, state, parked, policy } = job
    if (key === null || state !== 'ready' || parked) return undefined
    const turn = this.turnOf(policy.queue, key)
    return {
      isNext: this.next(policy.queue, key, now) === job,
      running: this.running(policy.queue, key),
      ...this.limits.closedUntil(policy.queue, key, now),
      turnOf: turn === undefined || turn === id ? null : turn,
    }
  }
}
