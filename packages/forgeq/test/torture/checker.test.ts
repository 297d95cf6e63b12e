// The checker against histories written by hand: a sound one, and for every invariant one that violates it and no other.
import { unlimited } from '#src/store/queue-record.js'
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defaultPolicy } from '#src/core/policy.js'
import { states, type Outcome, type State } from '#src/core/states.js'
import type { AttemptRecord, JobRecord } from '#src/store/records.js'
import { check, invariants } from './check.ts'
import type { Event, Fact, History, Sent } from './events.ts'

const { queue, priority, maxAttempts } = defaultPolicy
const someJob: Sent = { id: '', type: 'work', queue, priority, payload: '{}', maxAttempts, once: false }

interface Place {
  readonly pid: number
  readonly thread?: number
}

/** Instants are those of the store and of the processes alike. */
class Story {
  readonly #events: Event[] = []
  readonly #jobs = new Map<string, JobRecord>()
  leftovers: string[] = []
  isDrained = true

  note(t: number, pid: number, fact: Fact & Partial<Place>): this {
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
  claim(id: string, home: number, from: number, to: number, outcome: Outcome, place: Place = { pid: home }): this {
    const job = this.#jobs.get(id)!
    const claim = job.claim + 1
    const worker = `w${home}`
    const turn = this.#events.length
    const held = { job: id, claim }
    const settlements = [{ ...held, outcome }]
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
    this.note(from, home, taken).note(from, place.pid, { ...place, e: 'start', ...held, home, payload })
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

  change(id: string, facts: Partial<JobRecord>): this {
    this.#jobs.set(id, { ...this.#jobs.get(id)!, ...facts })
    return this
  }

  forget(id: string): this {
    this.#jobs.delete(id)
    return this
  }

  violated(): string[] {
    return [...new Set(check(this.#history()).map(({ invariant }) => invariant.split(' ')[0]!))]
  }

  #history(): History {
    const jobs = [...this.#jobs.values()]
    const counts = Object.fromEntries(
      states.map((state) => [state, jobs.filter((job) => job.state === state).length]),
    ) as Record<State, number>
    const queues =
      jobs.length === 0 ? [] : [{ queue: 'default', paused: false, ...unlimited, counts, oldestReadyAt: null }]
    const events = [...this.#events].sort((a, b) => a.t - b.t)
    return { events, final: { jobs, queues, workers: [], leftovers: this.leftovers, isDrained: this.isDrained } }
  }
}

function endOf(outcome: Outcome, at: number): Partial<JobRecord> {
  const state = ({ complete: 'completed', bury: 'dead', cancel: 'cancelled' } as Partial<Record<Outcome, State>>)[
    outcome
  ]
  return state === undefined ? { state: 'ready' } : { state, finishedAt: at }
}

function record(t: number, { id, type, queue, priority, payload, maxAttempts, unique }: Sent): JobRecord {
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
    key: null,
    unique: unique ?? null,
    attempts: [] as AttemptRecord[],
  }
}

const untilDone = { key: 'k', until: 'done' } as const
const untilStart = { key: 's', until: 'start' } as const

const done = (story: Story, id = 'a'): Story => story.claim(id, 10, 100, 200, 'complete')

/** A worker dies, and the handler in its process goes on for a while. */
const orphan = (forMs: number): Story =>
  new Story()
    .job(1, 'a')
    .claim('a', 10, 100, 200, 'crash', { pid: 20 })
    .claim('a', 11, 250, 260, 'complete')
    .note(200 + forMs, 20, { e: 'sign', job: 'a', claim: 1 })

/** A thread is killed, its process works on. */
const inThread = (): Story =>
  new Story()
    .job(1, 'a')
    .job(2, 'b')
    .claim('a', 10, 100, 200, 'crash', { pid: 10, thread: 5 })
    .claim('a', 12, 300, 400, 'complete')
    .claim('b', 10, 340, 380, 'complete')

const stories: Readonly<Record<string, [violated: string, story: Story]>> = {
  'an accepted job is not there': ['I1', done(new Story().job(1, 'a')).job(2, 'b').forget('b')],
  'a job is there that nobody sent': ['I2', done(new Story().stray(1, 'a'))],
  'a job is there whose enqueue failed for certain': [
    'I2',
    done(
      new Story()
        .stray(1, 'a')
        .note(1, 1, { e: 'enqueue', op: 0, job: { ...someJob, id: 'a' } })
        .note(2, 1, { e: 'op-failed', op: 0, code: 'STORE_UNAVAILABLE' }),
    ),
  ],
  'a payload is another': ['I3', done(new Story().job(1, 'a')).change('a', { payload: '{"a":1}' })],
  'a handler got another payload': [
    'I3',
    done(new Story().job(1, 'a')).note(100, 10, {
      e: 'exchanged',
      worker: 'w10',
      turn: 1,
      closed: false,
      settlements: [],
      verdicts: [],
      claimed: [{ job: 'a', claim: 1, payload: '{"b":1}' }],
    }),
  ],
  'a job ended twice': ['I4', done(new Story().job(1, 'a')).claim('a', 10, 300, 400, 'complete')],
  'a job is dead after it completed': ['I4', done(new Story().job(1, 'a')).change('a', { state: 'dead' })],
  'two held a job at a time': [
    'I5',
    new Story()
      .job(1, 'a')
      .claim('a', 10, 100, 300, 'release')
      .note(90, 10, { e: 'fault', kind: 'stop', pid: 10, ms: 500 })
      .claim('a', 11, 200, 400, 'complete'),
  ],
  'a claim number was given twice': [
    'I5',
    done(new Story().job(1, 'a')).note(150, 11, {
      e: 'exchanged',
      worker: 'w11',
      turn: 1,
      closed: false,
      settlements: [],
      verdicts: [],
      claimed: [{ job: 'a', claim: 1, payload: '{}' }],
    }),
  ],
  'a stale settlement was taken': [
    'I6',
    new Story()
      .job(1, 'a')
      .claim('a', 10, 100, 200, 'crash')
      .claim('a', 11, 300, 400, 'complete')
      .note(150, 10, { e: 'end', job: 'a', claim: 1 })
      .note(500, 10, {
        e: 'exchanged',
        worker: 'w10',
        turn: 9,
        closed: false,
        settlements: [{ job: 'a', claim: 1, outcome: 'complete' }],
        verdicts: ['applied'],
        claimed: [],
      }),
  ],
  'a handler ran on after its lease was lost': [
    'I6',
    done(new Story().job(1, 'a')).note(150, 10, { e: 'lease-lost', worker: 'w10' }),
  ],
  'two handlers ran at a time, and nobody stood still': [
    'I7',
    new Story()
      .job(1, 'a')
      .claim('a', 10, 100, 200, 'crash')
      .claim('a', 11, 300, 400, 'complete')
      .note(350, 10, { e: 'end', job: 'a', claim: 1 }),
  ],
  'an isolated handler ran on long after its worker had died': ['I7', orphan(3_000)],
  'an isolated handler ran beside the next one, and its worker lived': [
    'I7',
    orphan(300).job(250, 'b').claim('b', 10, 350, 360, 'complete'),
  ],
  'an isolated handler ran on although its worker had settled its claim': [
    'I7',
    orphan(500).note(200, 10, {
      e: 'exchange',
      worker: 'w10',
      turn: 9,
      settlements: [{ job: 'a', claim: 1, outcome: 'crash' }],
    }),
  ],
  'a handler in a thread ran beside the next one': [
    'I7',
    inThread().note(350, 10, { e: 'sign', job: 'a', claim: 1, thread: 5 }),
  ],
  'an isolated handler was neither aborted nor killed when its lease was lost': [
    'I6',
    new Story()
      .job(1, 'a')
      .claim('a', 10, 100, 9_000, 'complete', { pid: 20 })
      .note(150, 10, { e: 'lease-lost', worker: 'w10' }),
  ],
  'a follow-up is missing': [
    'I8',
    done(new Story().job(1, 'a')).note(200, 10, {
      e: 'exchange',
      worker: 'w10',
      turn: 5,
      settlements: [{ job: 'a', claim: 1, outcome: 'complete', followUps: [{ ...someJob, id: 'b' }] }],
    }),
  ],
  'what may start once was started twice': [
    'I9',
    new Story().job(1, 'a', { once: true }).claim('a', 10, 100, 200, 'release').claim('a', 10, 300, 400, 'complete'),
  ],
  'a fourth crash': [
    'I10',
    [1, 2, 3, 4]
      .reduce((story, n) => story.claim('a', n + 10, n * 100, n * 100 + 50, 'crash'), new Story().job(1, 'a'))
      .claim('a', 20, 900, 950, 'complete'),
  ],
  'a try too many': [
    'I10',
    new Story().job(1, 'a', { maxAttempts: 1 }).claim('a', 10, 100, 200, 'retry').claim('a', 10, 300, 400, 'complete'),
  ],
  'a higher level waited': [
    'I13',
    done(new Story().job(1, 'a').job(2, 'b', { priority: 2 })).claim('b', 11, 300, 400, 'complete'),
  ],
  'a later one was first': ['I14', done(new Story().job(1, 'b').job(2, 'a')).claim('b', 11, 300, 400, 'complete')],
  'two jobs held a key': [
    'I18',
    done(done(new Story().job(1, 'a', { unique: untilDone }).job(50, 'b', { unique: untilDone })), 'b'),
  ],
  'a key that is held until the start was held by two': [
    'I18',
    done(done(new Story().job(1, 'a', { unique: untilStart }).job(50, 'b', { unique: untilStart })), 'b'),
  ],
  'a cancelled job completed': [
    'I19',
    done(new Story().job(1, 'a')).note(50, 1, { e: 'cancelled', id: 'a', was: 'running' }),
  ],
  'a cancelled job was started': [
    'I19',
    new Story()
      .job(1, 'a')
      .note(50, 1, { e: 'cancelled', id: 'a', was: 'cancelled' })
      .claim('a', 10, 100, 200, 'cancel'),
  ],
  'a job was started early': ['I20', done(new Story().job(1, 'a', { delayMs: 500 }))],
  'a job was started after it had expired': ['I20', done(new Story().job(1, 'a', { expireMs: 50 }))],
  'a paused queue handed out': [
    'I21',
    done(new Story().job(1, 'a'))
      .note(50, 1, { e: 'paused', queue: 'default', at: 50 })
      .note(500, 1, { e: 'resuming', queue: 'default', at: 500 }),
  ],
  'a job never ended': ['I22', new Story().job(1, 'a')],
  'a row is left over': ['I23', Object.assign(done(new Story().job(1, 'a')), { leftovers: ['1 row in uniq'] })],
}

test('a sound history violates nothing', () => {
  const story = new Story()
    .job(1, 'a')
    .job(2, 'b', { delayMs: 50 })
    .job(3, 'c', { unique: untilDone })
    .job(3, 'd', { unique: untilStart })
    .claim('a', 10, 10, 20, 'retry')
    .claim('c', 10, 15, 20, 'complete')
    .claim('d', 10, 15, 70, 'complete')
    .job(16, 'e', { unique: untilStart })
    .claim('e', 11, 17, 20, 'complete')
    .claim('b', 10, 60, 70, 'crash')
    .claim('b', 11, 80, 90, 'complete')
    .claim('a', 11, 80, 90, 'bury')
    .note(95, 1, { e: 'cancelled', id: 'a', was: 'refused' })
  assert.deepEqual(story.violated(), [])
})

test('a key may change hands within an instant', () => {
  const story = done(new Story().job(1, 'a', { unique: untilDone })).job(1, 'b', { unique: untilDone })
  assert.deepEqual(story.change('b', { state: 'cancelled', finishedAt: 1 }).violated(), [])
})

test('an isolated handler may outlive its worker for a moment, and notice late that its lease is lost', () => {
  assert.deepEqual(orphan(500).violated(), [])
  assert.deepEqual(inThread().violated(), [])
  const aborted = new Story()
    .job(1, 'a')
    .job(2, 'b')
    .claim('a', 10, 100, 400, 'complete', { pid: 20 })
    .note(150, 10, { e: 'lease-lost', worker: 'w10' })
    .claim('b', 10, 160, 200, 'complete')
    .note(170, 20, { e: 'abort', job: 'a', claim: 1, code: 'LEASE_LOST' })
  assert.deepEqual(aborted.violated(), [])
})

for (const [name, [violated, story]] of Object.entries(stories)) {
  test(`seen: ${name}`, () => assert.deepEqual(story.violated(), [violated]))
}

test('every invariant has a history that violates it', () => {
  const all = new Set(invariants.map((invariant) => invariant.split(' ')[0]))
  assert.deepEqual(new Set(Object.values(stories).map(([violated]) => violated)), all)
})
