// The workers of the reference store: who is registered, whose lease has run out, and when a silence excuses it.
import type { Claimed, Order, Registration, TypeRecord, Verdict } from '../store/records.ts'
import type { WorkerEnd, WorkerFacts, WorkerRecord } from '../store/worker-record.ts'
import type { ModelJob } from './model-job.ts'

export interface ModelWorker {
  readonly facts: Registration
  readonly startedAt: number
  slots: number
  beatAt: number
  vitals: WorkerFacts | null
  closed: boolean
  end: WorkerEnd | null
  /** After the store was away: not closed before this, however old the last beat is. */
  shieldedUntil: number
  turn: number
  /** What the last turn did: its repetition is answered with it. */
  answer: { readonly verdicts: readonly Verdict[]; readonly claimed: readonly Claimed[] }
}

export class ModelCrew {
  readonly types: Map<string, TypeRecord> = new Map()
  readonly #workers = new Map<string, ModelWorker>()
  /** The last beat by anyone, or the last look at who is lost. */
  #heardAt: number | null = null

  register(facts: Registration, now: number): void {
    for (const type of facts.types) this.types.set(type.type, type)
    this.hear(now)
    // Sent again after its answer was lost, it changes nothing.
    if (this.#workers.has(facts.id)) return
    this.#workers.set(facts.id, {
      facts,
      startedAt: now,
      slots: facts.slots,
      beatAt: now,
      vitals: null,
      closed: false,
      end: null,
      shieldedUntil: 0,
      turn: 0,
      answer: { verdicts: [], claimed: [] },
    })
  }

  /** The worker, unless it is closed or unknown. */
  open(id: string): ModelWorker | undefined {
    const worker = this.#workers.get(id)
    return worker?.closed ? undefined : worker
  }

  closed(id: string | null): ModelWorker | undefined {
    const worker = id === null ? undefined : this.#workers.get(id)
    return worker?.closed ? worker : undefined
  }

  close(id: string, end: WorkerEnd | null = null): void {
    const worker = this.#workers.get(id)
    if (!worker) return
    worker.closed = true
    worker.end ??= end
  }

  beat(worker: ModelWorker, vitals: WorkerFacts | null, now: number): void {
    worker.beatAt = now
    worker.vitals = vitals ?? worker.vitals
    this.hear(now)
  }

  /** Whether there is such a worker. */
  resize(id: string, slots: number): boolean {
    const worker = this.open(id)
    if (worker) worker.slots = slots
    return worker !== undefined
  }

  /** The order to work with other slots than it says it does. */
  resizes({ slots, vitals }: ModelWorker): readonly Order[] {
    return vitals === null || vitals.slots === slots ? [] : [{ order: 'resize', slots }]
  }

  /** Closes whose lease is over; answers when the next one will be. */
  closeExpired(now: number): number | null {
    this.hear(now)
    const open = [...this.#workers.values()].filter((worker) => !worker.closed)
    for (const worker of open) worker.closed = this.expiresAt(worker) <= now
    const next = Math.min(...open.filter((worker) => !worker.closed).map((worker) => this.expiresAt(worker)))
    return next === Infinity ? null : next
  }

  records(held: (id: string) => readonly Pick<ModelJob, 'id' | 'cancelRequested'>[]): readonly WorkerRecord[] {
    return [...this.#workers.values()]
      .map(({ facts: { types, keepAlive: _keepAlive, ...facts }, startedAt, slots, beatAt, vitals, closed }) => ({
        ...facts,
        slots,
        types: types.map(({ type }) => type),
        startedAt,
        beatAt,
        expiresAt: beatAt + facts.leaseMs,
        closed,
        held: held(facts.id).length,
        cancelling: held(facts.id)
          .filter(({ cancelRequested }) => cancelRequested)
          .map(({ id }) => id),
        facts: vitals,
      }))
      .filter((worker) => !worker.closed || worker.held > 0)
  }

  protected expiresAt(worker: ModelWorker): number {
    return Math.max(worker.beatAt + worker.facts.leaseMs, worker.shieldedUntil)
  }

  /** A sign of life. Whose lease is shorter than the silence before it is not closed for one full lease. */
  protected hear(now: number): void {
    for (const worker of this.#workers.values()) {
      if (now - (this.#heardAt ?? now) > worker.facts.leaseMs) worker.shieldedUntil = now + worker.facts.leaseMs
    }
    this.#heardAt = now
  }
}
