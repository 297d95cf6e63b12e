// What a supervisor sees of processes that may not hear for themselves.
import assert from 'node:assert/strict'
import { setImmediate as turn } from 'node:timers/promises'
import { test } from 'node:test'
import { ManualClock, ManualTimers } from 'forgeq/testing'
import { ForgeError } from '#src/core/errors.js'
import type { WorkerRecord } from '#src/store/worker-record.js'
import type { Store } from '#src/store/store.js'
import { Oversight } from '#src/worker/oversight.js'

interface Scene {
  readonly oversight: Oversight
  records: Pick<WorkerRecord, 'id' | 'closed' | 'cancelling'>[] | ForgeError
  readonly seen: string[]
  readonly advance: (ms: number) => Promise<void>
  /** The store hints at an order for a worker. */
  readonly hint: () => Promise<void>
}

function scene(): Scene {
  const timers = new ManualTimers(new ManualClock())
  const listeners = new Set<() => void>()
  const store: Pick<Store, 'workers' | 'listen'> = {
    workers: async () => {
      if (here.records instanceof ForgeError) throw here.records
      return here.records as WorkerRecord[]
    },
    listen: (_topics, fn) => {
      const listener = (): void => fn('due')
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
  const seen: string[] = []
  const here: Scene = {
    oversight: new Oversight({
      store: store as Store,
      timers,
      random: () => 0,
      lateCancel: (worker, job) => seen.push(`${worker} does not end ${job}`),
      silent: (worker) => seen.push(`${worker} is silent`),
      unavailable: (error) => seen.push(error.code),
      failed: (error) => seen.push(String(error)),
    }),
    records: [],
    seen,
    advance: (ms) => timers.advance(ms),
    async hint() {
      for (const listener of listeners) listener()
      for (let turns = 0; turns < 5; turns += 1) await turn()
    },
  }
  return here
}

const open = { id: 'w', closed: false, cancelling: [] }

test('a cancelled job that is still held after the grace is told again and again, until it has ended', async () => {
  const here = scene()
  here.oversight.add('w')
  here.records = [{ ...open, cancelling: ['a'] }]
  await here.hint()
  await here.advance(5_200)
  assert.deepEqual(here.seen, [])
  await here.advance(100)
  assert.deepEqual(here.seen, ['w does not end a'])
  await here.advance(1_000)
  assert.equal(here.seen.length, 2)
  here.records = [open]
  await here.advance(10_000)
  assert.equal(here.seen.length, 2)
  await here.oversight.stop()
})

test('without a hint the cancel is seen at the next look', async () => {
  const here = scene()
  here.oversight.add('w')
  here.records = [{ ...open, cancelling: ['a'] }]
  await here.advance(2_000 + 5_250)
  assert.deepEqual(here.seen, ['w does not end a'])
  await here.oversight.stop()
})

for (const [how, records] of [
  ['was closed', [{ ...open, closed: true }]],
  ['was closed and is gone', []],
] as const) {
  test(`a worker whose record ${how} is silent, unless it notices`, async () => {
    const here = scene()
    here.oversight.add('w')
    here.oversight.add('v')
    here.records = [...records]
    await here.advance(4_000)
    here.oversight.remove('v')
    assert.deepEqual(here.seen, [])
    await here.advance(4_000)
    assert.deepEqual([...new Set(here.seen)], ['w is silent'])
    await here.oversight.stop()
  })
}

test('a store that does not answer is said, and tried again', async () => {
  const here = scene()
  here.oversight.add('w')
  here.records = new ForgeError('STORE_UNAVAILABLE', 'locked')
  await here.advance(2_000)
  assert.deepEqual(here.seen, ['STORE_UNAVAILABLE'])
  here.records = [{ ...open, cancelling: ['a'] }]
  await here.advance(10_000)
  assert.ok(here.seen.includes('w does not end a'))
  await here.oversight.stop()
})
