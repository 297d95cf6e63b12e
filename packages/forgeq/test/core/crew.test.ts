import assert from 'node:assert/strict'
import { test } from 'node:test'
import { canWork, describeCrashLoops, describeSilent } from '#src/core/crew.js'
import type { CrashLoop, WorkerRecord } from '#src/store/worker-record.js'

const now = 1_000_000

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
  expiresAt: now + 1,
  closed: false,
  held: 1,
  cancelling: [],
  facts: null,
}

const supervisor = (...loops: readonly CrashLoop[]): WorkerRecord => ({
  ...worker,
  slots: 0,
  facts: { slots: 0, busy: 0, rssBytes: 1, loopLagMs: 0, stuck: 0, crew: { processes: 4, up: 3, loops } },
})

test('whoever is there and has slots can work', () => {
  assert.equal(canWork(worker, now), true)
  assert.equal(canWork({ ...worker, closed: true }, now), false)
  assert.equal(canWork(worker, now + 1), false)
  assert.equal(canWork(supervisor(), now), false)
})

test('a crash loop is told with its place, its reason and its next start', () => {
  const loop = { place: 2, failures: 5, how: 'exit code 3', nextStartAt: now + 12_000 }
  const [text, ...others] = describeCrashLoops([worker, supervisor(loop)], now)
  assert.equal(
    text,
    'Worker process 2 of 4 (supervisor 42 on box) has died 5 times in a row (exit code 3) and starts again in 12s: its log says why.',
  )
  assert.deepEqual(others, [])
  assert.match(describeCrashLoops([supervisor({ ...loop, nextStartAt: null })], now)[0]!, /and is there again/)
  assert.match(describeCrashLoops([supervisor({ ...loop, nextStartAt: now - 1 })], now)[0]!, /starts again now/)
  assert.deepEqual(describeCrashLoops([supervisor()], now), [])
  assert.deepEqual(describeCrashLoops([{ ...supervisor(loop), closed: true }], now), [])
})

test('a worker that has missed two signs of life is named, until its record is closed', () => {
  const silent = { ...worker, beatAt: now - 12_000, expiresAt: now + 3_000 }
  const who = 'Process 42 on box has given no sign of life for 12s: it stands still or is gone'
  assert.deepEqual(describeSilent([worker, silent], now), [
    `${who}; its job runs elsewhere when its lease is over, in 3s.`,
  ])
  assert.deepEqual(describeSilent([{ ...silent, held: 2, expiresAt: now }], now), [
    `${who}; its 2 jobs run elsewhere when its lease is over, now.`,
  ])
  assert.deepEqual(describeSilent([{ ...silent, held: 0 }], now), [`${who}.`])
  assert.deepEqual(
    describeSilent(
      [
        { ...silent, closed: true },
        { ...silent, beatAt: now - 10_000 },
      ],
      now,
    ),
    [],
  )
})
