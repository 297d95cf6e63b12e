// Where handlers share a process, a job that was running in a crash runs while nothing else does, and does not wait for ever.
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { defineJob, typed, type Handle } from 'forgeq'
import type { Claimed, ExchangeRequest } from '#src/store/records.js'
import { defaultPolicy } from '#src/core/policy.js'
import { Suspects } from '#src/worker/suspects.js'
import { bench, Gate, type Bench } from './bench.ts'

const suspect = { crashes: 1 } as Claimed
const innocent = { crashes: 0 } as Claimed

test('an empty worker takes a suspect alone, a busy one lets them wait for a part of 5 s, then only looks', () => {
  const suspects = new Suspects('alone', () => 0.5)
  assert.equal(suspects.next(true, 0), 'alone')
  suspects.hear({ claimed: [innocent], suspects: false }, true, 0)
  assert.equal(suspects.next(false, 100_000), 'skip')
  suspects.hear({ claimed: [], suspects: true }, true, 100_000)
  suspects.hear({ claimed: [innocent], suspects: true }, true, 102_000)
  assert.equal(suspects.next(false, 102_499), 'skip')
  assert.equal(suspects.next(false, 102_500), 'look')
  suspects.hear({ claimed: [], suspects: true }, true, 103_500)
  assert.equal(suspects.next(false, 104_000), 'look')
  assert.equal(suspects.next(true, 104_000), 'alone')
})

test('its patience begins anew when no suspect waits any more, which an answer about some queues does not say', () => {
  const suspects = new Suspects('alone', () => 1)
  suspects.hear({ claimed: [], suspects: true }, false, 0)
  suspects.hear({ claimed: [], suspects: false }, false, 1_000)
  assert.equal(suspects.next(false, 5_000), 'look')
  suspects.hear({ claimed: [], suspects: false }, true, 5_000)
  assert.equal(suspects.next(false, 60_000), 'skip')
  suspects.hear({ claimed: [], suspects: true }, false, 60_000)
  assert.equal(suspects.next(false, 64_999), 'skip')
  assert.equal(suspects.next(false, 65_000), 'look')
})

test('beside one that runs alone it claims nothing until it is empty; then others come before the next suspect', () => {
  const suspects = new Suspects('alone', () => 1)
  suspects.hear({ claimed: [suspect], suspects: true }, true, 0)
  assert.equal(suspects.next(false, 1), 'nothing')
  assert.equal(suspects.next(true, 2), 'skip')
  suspects.hear({ claimed: [innocent], suspects: true }, true, 2)
  assert.equal(suspects.next(false, 3), 'skip')
  assert.equal(suspects.next(true, 4), 'alone')
  suspects.hear({ claimed: [suspect], suspects: true }, true, 4)
  assert.equal(suspects.next(true, 5), 'skip')
  suspects.hear({ claimed: [], suspects: true }, true, 5)
  assert.equal(suspects.next(true, 6), 'alone')
})

test('apart, it fills free slots with suspects for 5 s, then waits until they ended', () => {
  const suspects = new Suspects('apart', () => 1)
  assert.equal(suspects.next(true, 0), 'apart')
  suspects.hear({ claimed: [suspect, suspect], suspects: true }, true, 0)
  assert.equal(suspects.next(false, 1_000), 'apart')
  suspects.hear({ claimed: [suspect], suspects: true }, true, 1_000)
  assert.equal(suspects.next(true, 2_000), 'apart', 'it became empty in between')
  suspects.hear({ claimed: [suspect], suspects: true }, true, 2_000)
  assert.equal(suspects.next(false, 4_999), 'apart')
  assert.equal(suspects.next(false, 5_000), 'nothing')
})

test('apart, it begins with two suspects and has twice as many every 250 ms, at most ten', () => {
  const suspects = new Suspects('apart', () => 1)
  assert.equal(suspects.most(70_000), 2)
  suspects.hear({ claimed: [suspect, suspect], suspects: true }, true, 0)
  assert.deepEqual(
    [0, 249, 250, 500, 750, 4_000].map((now) => suspects.most(now)),
    [2, 2, 4, 8, 10, 10],
  )
})

test('apart, others have as long a time before the next suspects', () => {
  const suspects = new Suspects('apart', () => 1)
  suspects.hear({ claimed: [innocent], suspects: true }, true, 0)
  assert.equal(suspects.next(false, 5_000), 'look')
  suspects.hear({ claimed: [suspect], suspects: true }, true, 6_000)
  assert.equal(suspects.next(true, 11_000), 'skip')
  suspects.hear({ claimed: [innocent], suspects: true }, true, 11_000)
  assert.equal(suspects.next(false, 15_999), 'skip')
  assert.equal(suspects.next(false, 16_000), 'look')
  assert.equal(suspects.next(true, 17_000), 'apart')
})

test('apart, a batch is over when none is left; the next one has its own time', () => {
  const suspects = new Suspects('apart', () => 1)
  suspects.hear({ claimed: [suspect], suspects: false }, true, 0)
  assert.equal(suspects.next(true, 3_000), 'apart')
  suspects.hear({ claimed: [innocent], suspects: false }, true, 3_000)
  assert.equal(suspects.next(false, 4_000), 'skip')
  assert.equal(suspects.next(true, 6_000), 'apart')
  suspects.hear({ claimed: [suspect], suspects: true }, true, 6_000)
  assert.equal(suspects.next(false, 10_999), 'apart')
  assert.equal(suspects.next(true, 11_000), 'skip')
})

test('a worker that can give each job a process of its own takes suspects like any other job', () => {
  const suspects = new Suspects('together', () => 0)
  suspects.hear({ claimed: [suspect], suspects: false }, true, 0)
  for (const isEmpty of [true, false]) assert.equal(suspects.next(isEmpty, 60_000), 'together')
})

/** Another worker claims the first `count` jobs of the queue and dies; any worker may bring them back. */
async function crash({ forge }: Bench, type: string, count: number): Promise<void> {
  const id = `victim-${Math.random()}`
  const facts = {
    host: 'h',
    pid: 1,
    pidSpace: null,
    version: '1',
    queues: ['default'],
    slots: count,
    leaseMs: 15_000,
    keepAlive: false,
  }
  await forge.store.register({ id, ...facts, types: [{ type, policy: defaultPolicy, inputSchema: null }] })
  const wants = [{ queue: 'default', slots: count }]
  const reply = await forge.store.exchange({ worker: id, turn: 1, settlements: [], wants, slots: count, notes: [] })
  assert.equal(!reply.closed && reply.claimed.length, count)
  await forge.store.leave(id)
}

test('suspects run one at a time and nothing with them; the others still run side by side', async (t) => {
  const b = bench()
  t.after(b.close)
  const running = new Set<string>()
  const beside = new Map<string, number>()
  const job = defineJob('job', { input: typed<void>() }, async ({ job: { id } }) => {
    running.add(id)
    for (const each of running) beside.set(each, Math.max(beside.get(each) ?? 0, running.size))
    for (let turns = 0; turns < 20; turns += 1) await new Promise(setImmediate)
    running.delete(id)
  })
  const enqueue = (count: number): Promise<readonly Handle<void>[]> =>
    b.forge.enqueueMany(
      job,
      Array.from({ length: count }, () => undefined),
    )
  const suspects = await enqueue(4)
  await crash(b, 'job', 4)
  const others = await enqueue(6)
  await b.forge.worker({ handlers: [job], concurrency: 5, signals: false, drain: true }).run()
  assert.deepEqual(
    suspects.map(({ id }) => beside.get(id)),
    [1, 1, 1, 1],
  )
  assert.equal(Math.max(...others.map(({ id }) => beside.get(id)!)), 5)
  for (const { id } of suspects) {
    const record = await b.forge.admin.job(id)
    assert.deepEqual([record?.state, record?.crashes], ['completed', 1])
  }
})

/** A worker with two slots, one of them taken for long, and a suspect that waits. */
async function busy(t: TestContext): Promise<
  Bench & {
    readonly end: () => void
    readonly suspect: string
    /** The ids of what started since. */
    readonly started: string[]
    readonly enqueue: () => Promise<string>
  }
> {
  const b = bench()
  const long = defineJob('long', { input: typed<string>(), timeout: '1h' }, ({ input }) => gates[input]!.opened)
  const quick = defineJob('quick', { input: typed<void>() }, () => {})
  const gates: Record<string, Gate> = { a: new Gate(), b: new Gate() }
  const worker = b.forge.worker({ handlers: [long, quick], concurrency: 2, signals: false })
  const over = worker.run()
  for (const input of ['a', 'b']) {
    const next = b.next('job:started')
    await b.forge.enqueue(long, input)
    await next
  }
  const { id } = await b.forge.enqueue(quick)
  await crash(b, 'quick', 1)
  const back = b.next('job:crashed')
  await b.advance(2_000)
  await back
  const started: string[] = []
  b.forge.on('job:started', (event) => started.push(event.id))
  const ended = b.next('job:completed')
  gates['b']!.open()
  await ended
  t.after(async () => {
    gates['a']!.open()
    await worker.stop()
    await over
    await b.close()
  })
  const enqueue = async (): Promise<string> => (await b.forge.enqueue(quick)).id
  return { ...b, end: () => gates['a']!.open(), suspect: id, started, enqueue }
}

test('a busy worker goes on without the suspect, then empties itself, takes it alone, and goes on', async (t) => {
  const { advance, next, tapped, end, suspect, started, enqueue } = await busy(t)
  await advance(5_000)
  const before = await enqueue()
  await advance(3_000)
  assert.deepEqual(started, [], 'it claims nothing any more')
  const completed = next('job:completed', ({ id }) => id === before)
  end()
  await completed
  assert.deepEqual(started, [suspect, before])
  const exchanges = tapped.calls.filter(({ method }) => method === 'exchange').map(({ args }) => args[0])
  const asked = new Set((exchanges as ExchangeRequest[]).filter(({ slots }) => slots > 0).map((one) => one.suspects))
  assert.deepEqual(asked, new Set([undefined, 'alone', 'skip']))
})

test('until its patience is over a busy worker runs what is behind the suspect', async (t) => {
  const { advance, next, suspect, started, enqueue, end } = await busy(t)
  let others = 0
  for (let ms = 0; ms < 6_000; ms += 50) {
    await enqueue()
    await advance(50)
    if (started.length > others) others = started.length
  }
  assert.ok(others < 110, `${others} of 120 started: it never stopped`)
  assert.ok(!started.includes(suspect))
  const taken = next('job:started', ({ id }) => id === suspect)
  end()
  await taken
})

test('a worker that empties itself goes on when another one has taken the suspect', async (t) => {
  const { forge, advance, next, suspect, started, enqueue } = await busy(t)
  await advance(5_000)
  const waiting = await enqueue()
  await advance(1_000)
  assert.deepEqual(started, [])
  const who = { host: 'h', pid: 1, pidSpace: null, version: '1' }
  const facts = { ...who, queues: ['default'], slots: 1, leaseMs: 600_000, keepAlive: false }
  const types = [{ type: 'quick', policy: defaultPolicy, inputSchema: null }]
  await forge.store.register({ id: 'other', ...facts, types })
  const wants = [{ queue: 'default', slots: 1 }]
  const request = { worker: 'other', turn: 1, settlements: [], wants, slots: 1, notes: [], suspects: 'alone' } as const
  const reply = await forge.store.exchange(request)
  assert.equal(!reply.closed && reply.claimed[0]?.job, suspect)
  const completed = next('job:completed')
  await advance(1_100)
  assert.equal((await completed).id, waiting)
})
