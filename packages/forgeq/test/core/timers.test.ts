import assert from 'node:assert/strict'
import { test } from 'node:test'
import { realTimers } from '#src/timers.js'

const dayMs = 86_400_000
const longestMs = 2 ** 31 - 1

test('a wait that is longer than a timer of the system can be ends when it is over, not at once', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const ended: string[] = []
  realTimers.after(30 * dayMs, () => ended.push('30 days'))
  realTimers.after(90 * dayMs, () => ended.push('90 days'))
  const cancel = realTimers.after(40 * dayMs, () => ended.push('cancelled'))
  t.mock.timers.tick(longestMs)
  t.mock.timers.tick(30 * dayMs - longestMs - 1)
  assert.deepEqual(ended, [])
  t.mock.timers.tick(1)
  assert.deepEqual(ended, ['30 days'])
  cancel()
  // One step for each timer of the system: what a timer starts counts from the end of the step.
  t.mock.timers.tick(2 * longestMs - 30 * dayMs)
  t.mock.timers.tick(longestMs)
  t.mock.timers.tick(90 * dayMs - 3 * longestMs)
  assert.deepEqual(ended, ['30 days', '90 days'])
})

test('no timer of the system is asked for more than it can wait', (t) => {
  const asked: unknown[] = []
  t.mock.method(globalThis, 'setTimeout', (_fn: () => void, ms: number) => void asked.push(ms))
  realTimers.after(30 * dayMs, () => {})
  realTimers.after(Infinity, () => {})
  assert.deepEqual(asked, [longestMs, longestMs])
})
