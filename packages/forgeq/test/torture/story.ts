// A history written by hand, as short as it may be. Instants are those of the store and of the processes alike.
import { defaultPolicy } from '#src/core/policy.js'
import { states, type Outcome, type State } from '#src/core/states.js'
import { unlimited, type QueueRecord } from '#src/store/queue-record.js'
import type { QueueSettings } from '#src/core/limit.js'
import type { AttemptRecord, JobRecord } from '#src/store/records.js'
import { check } from './check.ts'
import type { Event, Fact, History, Sent, Settled } from './events.ts'

const { queue, priority, maxAttempts } = defaultPolicy
export const someJob: Sent = { id: '', type: 'work', queue, priority, payload: '{}', maxAttempts, once: false }

export interface Place {
  readonly pid: number
  readonly thread?: number
  /** What its settlement says beside its outcome. */
  readonly settled?: Partial<Settled>
}

export class Story {
  readonly #events: Event[] = []
  readonly #jobs = new Map<string, JobRecord>()
  leftovers: string[] = []
  isDrained = true
  now = 1_000
  /** What the store says of the queue of all jobs. */
  record: Partial<QueueRecord> = {}

  note(t: number, pid: number, fact: Fact & Omit<Partial<Place>, 'settled'>): this {
    this.#events.push({ t, pid, ...fact })
    return this
  }

  /** A job that is in the store. */
  stray(t: number, id: string, facts: Partial<Sent> = {}): this {
    this.#jobs.set(id, record(t, { ...someJob, id, ...facts }))
    return this
  }

  /** A job that a producer sent and the store took. */
  job(t: number, id: string, facts: Partial<Sent> = {}): this {
    this.stray(t, id, facts)
    const job = { ...someJob, id, ...facts }
    const op = this.#events.length
    return this.note(t, 1, { e: 'enqueue', op, job }).note(t, 1, { e: 'enqueued', op, id, duplicate: false })
  }

  /** A claim from `from` to `to` by a worker in process `home`, its handler in that or elsewhere. */
  claim(
    id: string,
    home: number,
    from: number,
    to: number,
    outcome: Outcome,
    { settled, ...place }: Place = { pid: home },
  ): this {
    const job = this.#jobs.get(id)!
    const claim = job.claim + 1
    const worker = `w${home}`
    const turn = this.#events.length
    const held = { job: id, claim }
    const settlements = [{ ...held, outcome, ...settled }]
    const attempt = { claim, attempt: job.attempt, outcome, worker, startedAt: from, endedAt: to, error: null }
    this.change(id, {
      claim,
      attempts: [...job.attempts!, attempt],
      attempt: job.attempt + (outcome === 'retry' ? 1 : 0),
      crashes: job.crashes + (outcome === 'crash' ? 1 : 0),
      ...endOf(outcome, to),
    })
    const { payload } = job
    const taken = {
      e: 'exchanged',
      worker,
      turn,
      closed: false,
      settlements: [],
      verdicts: [],
      claimed: [{ ...held, payload }],
    } as const
    this.note(from, home, { e: 'exchange', worker, turn, settlements: [] })
      .note(from, home, taken)
      .note(from, place.pid, { ...place, e: 'start', ...held, home, payload })
    if (outcome === 'crash') {
      return this.note(to, 9, { e: 'rescue', settlements: [{ ...held, outcome, worker }] }).note(to, 9, {
        e: 'rescued',
        settlements: [{ ...held, outcome, worker }],
        verdicts: ['applied'],
      })
    }
    return this.note(to, place.pid, { ...place, e: 'end', ...held })
      .note(to, home, { e: 'exchange', worker, turn: turn + 1, settlements })
      .note(to, home, {
        e: 'exchanged',
        worker,
        turn: turn + 1,
        closed: false,
        settlements,
        verdicts: ['applied'],
        claimed: [],
      })
  }

  /** A job that a producer sent, and how it was answered: with the job that holds its key, or with a refusal. */
  ask(t: number, id: string, facts: Partial<Sent>, answer: { id: string; replaced?: true } | { code: string }): this {
    const op = this.#events.length
    this.note(t, 1, { e: 'enqueue', op, job: { ...someJob, id, ...facts }, at: t })
    if ('code' in answer) return this.note(t + 1, 1, { e: 'op-failed', op, code: answer.code, at: t + 1 })
    return this.note(t + 1, 1, { e: 'enqueued', op, duplicate: true, ...answer })
  }

  /** An operator limits the queue of all jobs. */
  limit(t: number, settings: QueueSettings): this {
    return this.note(t, 1, { e: 'limiting', queue, settings, at: t }).note(t, 1, {
      e: 'limited',
      queue,
      settings,
      at: t,
    })
  }

  change(id: string, facts: Partial<JobRecord>): this {
    this.#jobs.set(id, { ...this.#jobs.get(id)!, ...facts })
    return this
  }

  forget(id: string): this {
    this.#jobs.delete(id)
    return this
  }

  violated(): string[] {
    return [...new Set(this.violatedInFull().map((invariant) => invariant.split(' ')[0]!))]
  }

  violatedInFull(): string[] {
    return [...new Set(check(this.#history()).map(({ invariant }) => invariant))]
  }

  #history(): History {
    const jobs = [...this.#jobs.values()]
    const counts = Object.fromEntries(
      states.map((state) => [state, jobs.filter((job) => job.state === state).length]),
    ) as Record<State, number>
    const queues =
      jobs.length === 0 ? [] : [{ queue, paused: false, ...unlimited, counts, oldestReadyAt: null, ...this.record }]
    const events = [...this.#events].sort((a, b) => a.t - b.t)
    return {
      events,
      final: { now: this.now, jobs, queues, workers: [], leftovers: this.leftovers, isDrained: this.isDrained },
    }
  }
}

function endOf(outcome: Outcome, at: number): Partial<JobRecord> {
  const state = ({ complete: 'completed', bury: 'dead', cancel: 'cancelled' } as Partial<Record<Outcome, State>>)[
    outcome
  ]
  return state === undefined ? { state: 'ready' } : { state, finishedAt: at }
}

function record(t: number, { id, type, queue, priority, payload, maxAttempts, unique, key }: Sent): JobRecord {
  return {
    id,
    type,
    state: 'ready',
    policy: { ...defaultPolicy, queue, priority, maxAttempts },
    payload,
    result: null,
    reason: null,
    error: null,
    progress: null,
    claim: 0,
    attempt: 1,
    crashes: 0,
    createdAt: t,
    runAt: t,
    startedAt: null,
    finishedAt: null,
    resultUntil: null,
    expireAt: null,
    worker: null,
    cancelRequested: false,
    tags: [],
    key: key ?? null,
    unique: unique ?? null,
    attempts: [] as AttemptRecord[],
  }
}
