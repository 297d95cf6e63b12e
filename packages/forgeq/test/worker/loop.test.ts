import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { ManualClock, ManualTimers } from 'forgeq/testing'
import { Loop } from '#src/worker/loop.js'

function timed(): { timers: ManualTimers; advance: (ms: number) => Promise<void> } {
  const timers = new ManualTimers(new ManualClock())
  return { timers, advance: (ms) => timers.advance(ms) }
}
const fail = (error: unknown): never => {
  throw error
}

test('the body runs when it said, and earlier when it is woken', async () => {
  const { timers, advance } = timed()
  let runs = 0
  const loop = new Loop(async () => ((runs += 1), 1_000), timers, fail)
  await advance(5_000)
  assert.equal(runs, 0, 'not before it is woken')
  loop.wake()
  await turn()
  assert.equal(runs, 1)
  await advance(999)
  assert.equal(runs, 1)
  await advance(1)
  assert.equal(runs, 2)
  loop.wake(10)
  loop.wake(500)
  await advance(10)
  assert.equal(runs, 3)
  await advance(999)
  assert.equal(runs, 3)
  await loop.stop()
})

test('woken while it runs, it runs once more; never twice at a time', async () => {
  const { timers, advance } = timed()
  let runs = 0
  let inside = 0
  const loop: Loop = new Loop(
    async () => {
      runs += 1
      inside += 1
      assert.equal(inside, 1)
      if (runs === 1) for (let i = 0; i < 5; i += 1) loop.wake()
      await turn()
      inside -= 1
      return undefined
    },
    timers,
    fail,
  )
  loop.wake()
  loop.wake()
  await advance(10_000)
  assert.equal(runs, 2)
  await loop.stop()
})

test('what the body throws goes to fail, and the loop can be woken again', async () => {
  const { timers, advance } = timed()
  const errors: unknown[] = []
  const loop = new Loop(
    () => Promise.reject(new Error(`no ${errors.length}`)),
    timers,
    (error) => errors.push(error),
  )
  loop.wake()
  await advance(1)
  loop.wake()
  await advance(1)
  assert.deepEqual(errors.map(String), ['Error: no 0', 'Error: no 1'])
  await loop.stop()
})

test('stop waits for the body, and nothing runs afterwards', async () => {
  const { timers, advance } = timed()
  let ended = false
  let runs = 0
  const loop = new Loop(
    async () => {
      runs += 1
      await turn()
      ended = true
      return 1
    },
    timers,
    fail,
  )
  loop.wake()
  await turn()
  await Promise.all([loop.stop(), loop.stop()])
  assert.equal(ended, true)
  loop.wake()
  await advance(100)
  assert.equal(runs, 1)
})
