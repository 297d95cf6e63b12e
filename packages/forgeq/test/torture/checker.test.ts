// The checker against histories written by hand: a sound one, and for every invariant one that violates it and no other.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { invariants, limitInvariants } from './check.ts'
import { someJob, Story } from './story.ts'

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

test('every invariant but those of limits and unique keys has a history that violates it', () => {
  const others = invariants.filter((invariant) => !limitInvariants.includes(invariant))
  const all = new Set(others.map((invariant) => invariant.split(' ')[0]))
  const seen = Object.values(stories).map(([violated]) => violated)
  assert.deepEqual(new Set(seen.filter((id) => id !== 'I18')), all)
})
