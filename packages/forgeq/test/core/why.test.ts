import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defaultPolicy } from '#src/core/policy.js'
import { explainWait, type Explanation } from '#src/core/why.js'
import { unlimited, type QueueRecord } from '#src/store/queue-record.js'
import type { JobRecord } from '#src/store/records.js'
import type { WorkerRecord } from '#src/store/worker-record.js'

const now = 1_000_000
const id = '018f4e3a-7c00-7abc-8def-0123456789ab'

const job: JobRecord = {
  id,
  type: 'send-email',
  state: 'ready',
  policy: { ...defaultPolicy, queue: 'mail' },
  payload: '{}',
  result: null,
  reason: null,
  error: null,
  progress: null,
  claim: 0,
  attempt: 1,
  crashes: 0,
  createdAt: 0,
  runAt: 0,
  startedAt: null,
  finishedAt: null,
  resultUntil: null,
  expireAt: null,
  worker: null,
  cancelRequested: false,
  tags: [],
  unique: null,
  key: null,
}
const worker: WorkerRecord = {
  id: 'w',
  host: 'box',
  pid: 42,
  pidSpace: null,
  version: '1',
  queues: ['mail'],
  types: ['send-email'],
  slots: 2,
  leaseMs: 15_000,
  startedAt: 0,
  beatAt: now,
  expiresAt: now + 15_000,
  closed: false,
  held: 1,
  cancelling: [],
  facts: null,
}
const counts = { scheduled: 0, blocked: 0, ready: 1, running: 0, completed: 0, dead: 0, cancelled: 0 }
const queue: QueueRecord = { queue: 'mail', paused: false, ...unlimited, counts, oldestReadyAt: 0 }
const error = { code: 'HANDLER_ERROR', name: 'Error', message: 'mailbox full' }

const line = { isNext: true, running: 0, heldUntil: null, rateOpensAt: null, turnOf: null }
const perKey = { concurrency: 2, rate: { max: 5, perMs: 60_000 }, ordered: false }
const closed = { left: 0, opensAt: now + 20_000 }
const rate = { max: 100, perMs: 60_000 }

/** The queue with limits; `over` says what else is true of it. */
const limited = (limits: Partial<QueueRecord['limits']>, over: Partial<QueueRecord> = {}): QueueRecord => ({
  ...queue,
  limits: { ...queue.limits, ...limits },
  ...over,
})

const cases: [string, Explanation['reason'], RegExp, Partial<JobRecord>, WorkerRecord[], QueueRecord?][] = [
  ['ready with a free slot', 'next', /1 of 2 slots/, {}, [worker]],
  ['ready, all slots taken', 'no-free-slot', /All 2 slots/, {}, [{ ...worker, held: 2 }]],
  ['ready, suspect, no worker is empty', 'suspect', /2 crashes.* within 5 s/, { crashes: 2 }, [worker]],
  ['ready, suspect, a worker is empty', 'next', /3 of 4/, { crashes: 1 }, [worker, { ...worker, id: 'v', held: 0 }]],
  ['ready, type unknown', 'no-handler', /handles send-email/, {}, [{ ...worker, types: ['other'] }]],
  ['ready, queue not served', 'no-worker-for-queue', /queue mail, only a, b/, {}, [{ ...worker, queues: ['a', 'b'] }]],
  ['ready, nobody there', 'no-worker', /forgeq worker/, {}, []],
  ['ready, only a closed worker', 'no-worker', /start one/, {}, [{ ...worker, closed: true }]],
  ['ready, only a supervisor', 'no-worker', /start one/, {}, [{ ...worker, queues: [], types: [], slots: 0 }]],
  ['ready, only an expired worker', 'no-worker', /start one/, {}, [{ ...worker, expiresAt: now }]],
  ['ready, paused', 'queue-paused', /queues resume mail/, {}, [worker], { ...queue, paused: true }],
  [
    'ready, paused and closed, as after a move',
    'queue-paused',
    /forgeq move.* another store.*If that is not so/,
    {},
    [worker],
    { ...queue, paused: true, accepting: false },
  ],
  [
    'ready, paused and held back',
    'queue-paused',
    /is paused/,
    {},
    [],
    { ...queue, paused: true, heldUntil: now + 20_000 },
  ],
  [
    'ready, queue held back',
    'queue-held',
    /Queue mail .* another 20s, .*RateLimited: wait/,
    {},
    [],
    { ...queue, heldUntil: now + 20_000 },
  ],
  ['ready, held back until now', 'next', /slots/, {}, [worker], { ...queue, heldUntil: now }],
  [
    'ready, rate of its queue used up',
    'queue-rate',
    /rate of 100\/m and opens in 20s: .*queues limit mail --rate`/,
    {},
    [worker],
    limited({ rate }, { fill: { rate: closed, rates: {} } }),
  ],
  [
    'ready, rate of its queue open again',
    'next',
    /slots/,
    {},
    [worker],
    limited({ rate }, { fill: { rate: { left: 0, opensAt: now }, rates: {} } }),
  ],
  [
    'ready, rate not used up',
    'next',
    /slots/,
    {},
    [worker],
    limited({ rate }, { fill: { rate: { left: 1, opensAt: null }, rates: {} } }),
  ],
  [
    'ready, rate of its priority used up',
    'level-rate',
    /Priority normal of queue mail .* 100\/m and opens in 20s: .*--rate-normal`/,
    {},
    [worker],
    limited({ rates: { 5: rate } }, { fill: { rate: null, rates: { 5: closed } } }),
  ],
  [
    'ready, rate of a priority without a flag used up',
    'level-rate',
    /Priority 3 .*ratePerPriority 3 with `forge\.admin\.limit`/,
    { policy: { ...job.policy, priority: 3 } },
    [worker],
    limited({ rates: { 3: rate } }, { fill: { rate: null, rates: { 3: closed } } }),
  ],
  [
    'ready, rate of another priority used up',
    'next',
    /slots/,
    {},
    [worker],
    limited({ rates: { 2: rate } }, { fill: { rate: null, rates: { 2: closed } } }),
  ],
  [
    'ready, as many run as the queue may',
    'queue-concurrency',
    /may run 3 at a time, .*--concurrency`/,
    {},
    [worker],
    limited({ concurrency: 3 }, { counts: { ...counts, running: 3 } }),
  ],
  [
    'ready, fewer run',
    'next',
    /slots/,
    {},
    [worker],
    limited({ concurrency: 3 }, { counts: { ...counts, running: 2 } }),
  ],
  [
    'ready, type held back',
    'type-held',
    /type send-email in queue mail are held back for another 1m/,
    {},
    [worker],
    { ...queue, heldTypes: { 'send-email': now + 60_000 } },
  ],
  ['ready, other type held back', 'next', /slots/, {}, [worker], { ...queue, heldTypes: { other: now + 60_000 } }],
  [
    'ready, key held back',
    'key-held',
    /key is held back for another 20s/,
    { line: { ...line, heldUntil: now + 20_000 } },
    [worker],
  ],
  [
    'ready, key held back for longer than its rate',
    'key-held',
    /another 2m/,
    { line: { ...line, heldUntil: now + 120_000 } },
    [worker],
    limited({ perKey }),
  ],
  [
    'ready, rate of its key used up',
    'key-rate',
    /rate of 5\/m.* opens in 20s: .*--key-rate`/,
    { line: { ...line, rateOpensAt: now + 20_000 } },
    [worker],
    limited({ perKey }),
  ],
  [
    'ready, slots of its key taken',
    'key-slots',
    /^2 other jobs of its key .*--key-concurrency`/,
    { line: { ...line, running: 2, isNext: false } },
    [worker],
    limited({ perKey }),
  ],
  [
    'ready, the slot of its key taken, ordered',
    'key-slots',
    /^Another job of its key is running, as many as may: wait\.$/,
    { line: { ...line, running: 1 } },
    [worker],
    limited({ perKey: { ...perKey, concurrency: null, ordered: true } }),
  ],
  [
    'ready, another job has the turn of its key',
    'key-turn',
    new RegExp(`Job ${id} .*jobs why ${id}`),
    { line: { ...line, isNext: false, turnOf: id } },
    [],
    limited({ perKey: { ...perKey, concurrency: null, ordered: true } }),
  ],
  ['ready, behind others of its key', 'key-line', /come before it/, { line: { ...line, isNext: false } }, [worker]],
  ['ready, behind others, nobody there', 'no-worker', /start one/, { line: { ...line, isNext: false } }, []],
  ['ready, first of its key', 'next', /slots/, { line }, [worker]],
  ['scheduled', 'not-due', /due in 1\.5m\. .*promote/, { state: 'scheduled', runAt: now + 90_000 }, [worker]],
  ['scheduled after an error', 'not-due', /mailbox full/, { state: 'scheduled', runAt: now + 1, error }, [worker]],
  ['scheduled and overdue', 'not-promoted', /due for 10s/, { state: 'scheduled', runAt: now - 10_000 }, []],
  ['blocked', 'blocked', /other jobs/, { state: 'blocked' }, [worker]],
  [
    'running',
    'running',
    /Attempt 1 .* 5s on box \(process 42\)/,
    { state: 'running', worker: 'w', startedAt: now - 5000 },
    [worker],
  ],
  [
    'cancelling',
    'cancelling',
    /hears of it as soon as its event loop is free.*5 s/,
    { state: 'running', worker: 'w', cancelRequested: true },
    [worker],
  ],
  ['running, worker gone', 'worker-lost', /puts it back/, { state: 'running', worker: 'x' }, [worker]],
  ['completed', 'ended', /completed 1s ago/, { state: 'completed', finishedAt: now - 1000 }, []],
  [
    'dead',
    'ended',
    /\(exhausted\), attempt 6, after Error: mailbox full\. .*jobs retry/,
    { state: 'dead', reason: 'exhausted', error, attempt: 6 },
    [],
  ],
  [
    'expired',
    'ended',
    /expired .* before any worker started it/,
    { state: 'cancelled', reason: 'expired', finishedAt: now },
    [],
  ],
  ['cancelled', 'ended', /was cancelled/, { state: 'cancelled', reason: 'cancelled', finishedAt: now }, []],
]

for (const [name, reason, text, over, workers, record = queue] of cases) {
  test(`${name}: ${reason}`, () => {
    const subject = { ...job, ...over }
    const explanation = explainWait(subject, record, workers, now)
    assert.equal(explanation.reason, reason)
    assert.equal(explanation.state, subject.state)
    assert.match(explanation.text, text)
  })
}

test('a queue nobody has heard of is no obstacle', () => {
  assert.equal(explainWait(job, undefined, [worker], now).reason, 'next')
})
