// Store time against wall clocks that lie, stand, go back and jump.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { StoreClock } from '#src/sqlite/store-clock.js'
import { machineTime, WallClock } from '#src/sqlite/wall-clock.js'
import { temporaryFile } from './files.ts'

const hour = 3_600_000
const day = 24 * hour

test('store time goes on while the wall clock is behind', () => {
  let [wall, monotonic] = [1_000_000, 0]
  const clock = new StoreClock(
    undefined,
    new WallClock({ wall: () => wall, monotonic: () => monotonic, machine: () => undefined }),
  )
  assert.equal(clock.now(), 1_000_000)
  clock.hear(5_000_000)
  const first = clock.now()
  assert.ok(first >= 5_000_000 && first < 5_001_000, `${first}`)
  const until = performance.now() + 5
  while (performance.now() < until);
  assert.ok(clock.now() > first)
  wall = 9_000_000
  monotonic = 4_000_000
  assert.equal(clock.now(), 9_000_000)
})

const told = (errorMs: number) => {
  const clocks = { machineMs: 1_000 * day, monotonicMs: 0, errorMs, checks: 0 }
  const wall = new WallClock({
    wall: () => clocks.machineMs + clocks.errorMs,
    monotonic: () => clocks.monotonicMs,
    machine: () => (clocks.checks++, clocks.machineMs + 3),
  })
  const pass = (ms: number): void => {
    clocks.machineMs += ms
    clocks.monotonicMs += ms
  }
  return { clocks, wall, pass, offMs: () => Math.abs(wall.now() - clocks.machineMs) }
}

for (const errorMs of [hour, -hour, day, -day]) {
  test(`a process whose clock is off by ${errorMs / hour} h goes by the machine's`, () => {
    const { pass, offMs } = told(errorMs)
    for (let i = 0; i < 100; i++) {
      assert.ok(offMs() < 10)
      pass(137)
    }
  })
}

test('a clock that flips between two times is never followed', () => {
  const { clocks, pass, offMs } = told(0)
  for (let i = 0; i < 100; i++) {
    clocks.errorMs = i % 2 === 0 ? day : -hour
    assert.ok(offMs() < 10)
    pass(10)
  }
})

test('a machine that is set to another time is followed', () => {
  const { clocks, pass, offMs } = told(0)
  assert.ok(offMs() < 10)
  pass(10)
  clocks.machineMs += hour
  assert.ok(offMs() < 10)
  clocks.machineMs -= 2 * hour
  assert.ok(offMs() < 10)
})

test('a small difference is left alone, and a steady clock is checked once a second', () => {
  const { clocks, wall, pass } = told(200)
  for (let i = 0; i < 100; i++) {
    assert.equal(wall.now() - clocks.machineMs, 200)
    pass(100)
  }
  assert.equal(clocks.checks, 10)
})

test('the machine stamps files with its time', () => {
  const at = machineTime()
  assert.ok(at !== undefined && Math.abs(at - Date.now()) < 1_000)
})

const faketime = spawnSync('faketime', ['--version']).error === undefined

for (const offset of ['+1h', '-1h', '+1d', '-1d']) {
  test(
    `worker processes with a clock off by ${offset} change nothing`,
    { skip: !faketime && 'needs faketime' },
    (t) => {
      const script = new URL('commands/clock-process.js', import.meta.url).pathname
      const path = temporaryFile(t)
      const run = (env: NodeJS.ProcessEnv, command: string, args: readonly string[]): unknown => {
        const { stdout, stderr } = spawnSync(command, args, { env: { ...process.env, ...env }, encoding: 'utf8' })
        assert.equal(stderr, '')
        return JSON.parse(stdout)
      }
      run({}, process.execPath, [script, path, 'enqueue'])
      const seen = run({}, 'faketime', ['-f', offset, process.execPath, script, path, 'work']) as { offMs: number }
      const { offMs, ...rest } = seen
      assert.deepEqual(rest, { ready: 'completed', later: 'scheduled', closed: 0 })
      assert.ok(Math.abs(offMs) < 60_000, `store time is off by ${offMs} ms`)
    },
  )
}
