// When an event loop that stands still is ended, and who is blamed: with a clock and a main thread in the hand of the test.
import assert from 'node:assert/strict'
import { setImmediate as turn } from 'node:timers/promises'
import { test } from 'node:test'
import { Standstill, type Seen } from '#src/worker/standstill.js'
import { calledUntil, expectedBy, noLimit } from '#src/worker/watchdog.js'

const s = 1_000_000_000n
const job = '018f4e3a-7c00-7abc-8def-0123456789ab'

interface Scene {
  readonly instants: BigInt64Array
  /** Notes whose handler is being called, and when its limits are over. */
  readonly call: (until: bigint) => void
  /** What the main thread says while it stands still; without, it does not answer. */
  says: Seen
  looked: () => void
  readonly looks: boolean[]
  readonly over: (string | null)[]
  /** Looks twice at this instant. */
  readonly checkAt: (at: bigint) => Promise<void>
}

function scene(): Scene {
  const instants = new BigInt64Array(new SharedArrayBuffer(16))
  const calledJob = Buffer.from(new SharedArrayBuffer(36))
  let now = 0n
  const here: Scene = {
    instants,
    call(until) {
      calledJob.write(job)
      instants[calledUntil] = until
    },
    says: { failure: 'native' },
    looked: () => {},
    looks: [],
    over: [],
    async checkAt(at) {
      for (let look = 0n; look < 2n; look += 1n) {
        now = at + look
        standstill.check()
        await turn()
      }
    },
  }
  const standstill = new Standstill(
    { instants, calledJob },
    {
      now: () => now,
      look: async (stack) => {
        here.looks.push(stack)
        here.looked()
        return here.says
      },
      isOver: (blocker) => here.over.push(blocker),
    },
  )
  return here
}

const blockedBy = (leftMs: number | null): Seen => ({ told: { running: [], blocker: { job, leftMs } } })

test('an event loop that is in time, or need not come, is left alone', async () => {
  const { instants, looks, over, checkAt } = scene()
  await checkAt(100n * s)
  instants[expectedBy] = 101n * s
  await checkAt(101n * s - 1n)
  assert.deepEqual([looks, over], [[], []])
})

test('being late at one look proves nothing', async () => {
  const { instants, over, checkAt } = scene()
  for (let at = 1n; at < 10n; at += 1n) {
    instants[expectedBy] = at * s
    await checkAt(at * s)
  }
  assert.deepEqual(over, [])
})

test('a handler that is being called is to blame, when its own limits are over and not before', async () => {
  const { instants, call, looks, over, checkAt } = scene()
  instants[expectedBy] = 10n * s
  call(60n * s)
  for (const at of [11n, 30n, 59n]) await checkAt(at * s)
  assert.deepEqual([looks, over], [[], []])
  await checkAt(61n * s)
  assert.deepEqual([looks, over], [[true], [job]])
})

test('one without limits is never to blame', async () => {
  const { instants, call, over, checkAt } = scene()
  instants[expectedBy] = 10n * s
  call(noLimit)
  await checkAt(1_000_000n * s)
  assert.deepEqual(over, [])
})

test('a handler that has waited is known by what the main thread says; it is asked once, and again at its limits', async () => {
  const here = scene()
  here.instants[expectedBy] = 10n * s
  here.says = blockedBy(30_000)
  await here.checkAt(11n * s)
  for (const at of [12n, 20n, 40n]) await here.checkAt(at * s)
  assert.deepEqual([here.looks, here.over], [[false], []])
  here.says = blockedBy(-1)
  await here.checkAt(42n * s)
  assert.deepEqual(here.over, [job])
})

test('when nobody can tell who it is, it is over five seconds after others were due', async () => {
  const { instants, over, checkAt } = scene()
  instants[expectedBy] = 10n * s
  for (const at of [11n, 12n, 14n]) await checkAt(at * s)
  assert.deepEqual(over, [])
  await checkAt(15n * s + 1n)
  assert.deepEqual(over, [null])
})

test('an event loop that goes on while it is looked at is not ended', async () => {
  const here = scene()
  here.instants[expectedBy] = 10n * s
  here.call(11n * s)
  here.looked = () => (here.instants[expectedBy] = 50n * s)
  await here.checkAt(20n * s)
  assert.deepEqual([here.looks, here.over], [[true], []])
})
