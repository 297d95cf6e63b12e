import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defaultPolicy } from '#src/core/policy.js'
import { explainWait, type Explanation } from '#src/core/why.js'
import type { JobRecord, QueueRecord, WorkerRecord } from '#src/store/records.js'

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
const queue: QueueRecord = { queue: 'mail', paused: false, counts, oldestReadyAt: 0 }
const error = { code: 'HANDLER_ERROR', name: 'Error', message: 'mailbox full' }

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
