// What a process may hold for a store that does not answer: so many jobs and no more, and none for longer than its deadline.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defineJob, ForgeError, typed, type Handle } from 'forgeq'
import { caps } from '#src/core/caps.js'
import { bench, Gate } from '../worker/bench.ts'
import type { TappedStore } from '../worker/tap.ts'

const plain = defineJob('plain', { input: typed<number>() })
const tooMany = { code: 'TOO_MANY_WAITING' }
/** Calls of this kind wait until the gate is opened. */
function held(tapped: TappedStore, call: 'enqueue' | 'open'): Gate {
  const gate = new Gate()
  tapped.tap(call, async (next) => {
    await gate.opened
    return next()
  })
  return gate
}

/** Every way in which the calls ended. */
const codesOf = async (calls: readonly Promise<unknown>[]): Promise<ReadonlySet<string>> =>
  new Set(
    (await Promise.allSettled(calls)).map((one) =>
      one.status === 'rejected' ? (one.reason as ForgeError).code : 'stored',
    ),
  )

const numbers = (n: number): number[] => Array.from({ length: n }, (_, i) => i)

test('beyond so many jobs that wait for an answer, an enqueue is refused at once', async (t) => {
  const { forge, tapped, close } = bench()
  t.after(close)
  await forge.ready()
  const gate = held(tapped, 'enqueue')
  const waiting = numbers(caps.enqueuesWaiting).map((n) => forge.enqueue(plain, n))
  await assert.rejects(forge.enqueue(plain, -1), (error: unknown) => {
    assert.ok(ForgeError.is(error, 'TOO_MANY_WAITING'))
    assert.match(error.message, /^10000 jobs wait for the store to answer/)
    return true
  })
  await assert.rejects(forge.enqueueMany(plain, [1, 2]), tooMany)
  gate.open()
  const handles = await Promise.all(waiting)
  assert.equal(new Set(handles.map(({ id }) => id)).size, caps.enqueuesWaiting)
  assert.equal((await forge.enqueue(plain, -1)).duplicate, false)
  assert.equal((await forge.admin.queue('default'))?.counts.ready, caps.enqueuesWaiting + 1)
})

test('those that failed wait no longer', async (t) => {
  const { forge, tapped, advance, close } = bench()
  t.after(close)
  await forge.ready()
  tapped.tap('enqueue', () => Promise.reject(new ForgeError('STORE_UNAVAILABLE', 'away')))
  const waiting = codesOf(numbers(caps.enqueuesWaiting).map((n) => forge.enqueue(plain, n)))
  await assert.rejects(forge.enqueue(plain, -1), tooMany)
  await advance(2_000)
  assert.deepEqual(await waiting, new Set(['STORE_UNAVAILABLE']))
  tapped.tap('enqueue')
  assert.equal((await forge.enqueueMany(plain, numbers(5))).length, 5)
})

test('a job that was never sent does not count', async (t) => {
  const { forge, close } = bench()
  t.after(close)
  await forge.ready()
  const bad = numbers(caps.enqueuesWaiting + 1).map(() => forge.enqueue(plain, Number.NaN))
  assert.deepEqual(await codesOf(bad), new Set(['INVALID_JSON']))
  assert.equal((await forge.enqueue(plain, 1)).duplicate, false)
})

test('those that wait for the store to open count, too', async (t) => {
  const { forge, tapped, close } = bench()
  t.after(close)
  const gate = held(tapped, 'open')
  const waiting = numbers(caps.enqueuesWaiting).map((n) => forge.enqueue(plain, n))
  await assert.rejects(forge.enqueue(plain, -1), tooMany)
  await assert.rejects(forge.enqueueMany(plain, [1]), tooMany)
  gate.open()
  assert.equal((await Promise.all(waiting)).length, caps.enqueuesWaiting)
})

test('of many jobs in one call only those in flight count', async (t) => {
  const { forge, tapped, close } = bench()
  t.after(close)
  await forge.ready()
  assert.equal((await forge.enqueueMany(plain, numbers(caps.enqueuesWaiting + 1))).length, caps.enqueuesWaiting + 1)
  const gate = held(tapped, 'enqueue')
  const calls: Promise<Handle<unknown>[]>[] = []
  for (let i = 0; i < 5; i += 1) calls.push(forge.enqueueMany(plain, numbers(2_500)))
  // Five times two chunks: a sixth call has no room, and none of the five is cut short by another one.
  await new Promise((resolve) => setImmediate(resolve))
  await assert.rejects(forge.enqueueMany(plain, numbers(2_500)), tooMany)
  gate.open()
  for (const handles of await Promise.all(calls)) assert.equal(handles.length, 2_500)
})

test('a store that never answers: the call ends by the deadline, and holds its jobs for as long as the store does', async (t) => {
  const { forge, tapped, advance, close } = bench()
  t.after(close)
  await forge.ready()
  const gate = held(tapped, 'enqueue')
  const one = forge.enqueue(plain, 1).catch((error: unknown) => error)
  await advance(2_600)
  const error = await one
  assert.ok(ForgeError.is(error, 'OUTCOME_UNKNOWN'))
  const waiting = codesOf(numbers(caps.enqueuesWaiting - 1).map((n) => forge.enqueue(plain, n)))
  await assert.rejects(forge.enqueue(plain, -1), tooMany)
  await advance(2_600)
  assert.deepEqual(await waiting, new Set(['OUTCOME_UNKNOWN']))
  await assert.rejects(forge.enqueue(plain, -1), tooMany)
  gate.open()
  tapped.tap('enqueue')
  await advance(0)
  // What the store has got meanwhile is known to it by its id.
  assert.equal((await forge.enqueue(plain, 1, { id: error.id! })).duplicate, true)
})

test('one that never opens: the call ends at the deadline, and nothing was sent', async (t) => {
  const { forge, tapped, advance, close } = bench()
  t.after(close)
  const gate = held(tapped, 'open')
  const waiting = codesOf([forge.enqueue(plain, 1), forge.enqueueMany(plain, [2, 3])])
  await advance(2_000)
  assert.deepEqual(await waiting, new Set(['STORE_UNAVAILABLE']))
  assert.equal(tapped.count('enqueue'), 0)
  gate.open()
  await advance(0)
  assert.equal((await forge.enqueue(plain, 1)).duplicate, false)
})

test('one that is being made has longer, and not for ever', async (t) => {
  const { forge, tapped, advance, close } = bench()
  t.after(close)
  let openGate = (): void => {}
  tapped.tap('open', async (next, [making]) => {
    ;(making as () => void)()
    await new Promise<void>((resolve) => (openGate = resolve))
    return next()
  })
  const failed = codesOf([forge.enqueue(plain, 1)])
  await advance(12_000)
  assert.deepEqual(await failed, new Set(['STORE_UNAVAILABLE']))
  openGate()
  await advance(0)
  const enqueued = forge.enqueue(plain, 2)
  await advance(11_999)
  openGate()
  assert.equal((await enqueued).duplicate, false)
})
