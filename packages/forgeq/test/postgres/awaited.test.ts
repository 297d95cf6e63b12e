// Who waits for the end of a job in another process hears of it, and nothing is said where nobody waits.
import assert from 'node:assert/strict'
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { test, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { defineJob, ForgeQ, typed } from 'forgeq'
import { policy } from '#src/conformance/scene.js'
import { complete } from '#src/conformance/endings.js'
import { Awaited } from '#src/postgres/awaited.js'
import { postgres } from '#src/postgres/index.js'
import { ManualTimers } from '#src/testing/manual-timers.js'
import { ManualClock } from '#src/store/clock.js'
import type { NewJob } from '#src/store/records.js'
import type { Store, Topic } from '#src/store/store.js'
import { testDatabase } from './database.ts'
import { newJob, registration } from './jobs.ts'

const database = await testDatabase()

const open = (t: TestContext, schema: string): Store => {
  const store = postgres(database.url, { schema, allowUnsafe: true })
  t.after(() => store.close())
  return store
}

/** A process that completes whatever there is. */
const worker = async (t: TestContext, schema: string): Promise<ChildProcess> => {
  const child = fork(fileURLToPath(new URL('commands/worker.js', import.meta.url)), [database.url, schema])
  t.after(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.send('stop')
    await once(child, 'exit')
  })
  await once(child, 'message')
  return child
}

interface Said {
  readonly topics: readonly Topic[]
  readonly awaits?: string
  readonly asks?: true
}

/** What processes say to each other in a schema, as it comes. */
const overhear = async (
  t: TestContext,
  schema: string,
): Promise<{ said: Said[]; next: () => Promise<unknown>; bytes: number[] }> => {
  const ear = new pg.Client(database.url)
  await ear.connect()
  t.after(() => ear.end())
  const said: Said[] = []
  const bytes: number[] = []
  ear.on('notification', ({ payload }) => {
    said.push(JSON.parse(payload!) as Said)
    bytes.push(Buffer.byteLength(payload!))
  })
  await ear.query(`LISTEN "forgeq ${schema}"`)
  return { said, bytes, next: () => once(ear, 'notification') }
}

/**
 * Listens to the ends of jobs; what it returns resolves when so many of them are heard from then on. Who begins to listen is told of
 * all, for it may have missed them, and says what it waits for afterwards.
 */
const hearing = (store: Store, jobs: readonly NewJob[]): ((count: number) => Promise<void>) => {
  let heard: (topic: Topic) => unknown = () => undefined
  store.listen(
    jobs.map(({ id }): Topic => `ended:${id}`),
    (topic) => heard(topic),
  )
  return (count) =>
    new Promise((resolve) => {
      const topics = new Set<Topic>()
      heard = (topic) => topics.add(topic).size === count && resolve()
    })
}

test('who waits for jobs hears of each that ends in another process', async (t) => {
  const schema = database.schema()
  const [waiting, child] = [open(t, schema), await worker(t, schema)]
  const jobs = Array.from({ length: 60 }, () => newJob())
  const { said, next } = await overhear(t, schema)
  await waiting.open()
  const heard = hearing(waiting, jobs)
  while (!said.some(({ awaits }) => awaits !== undefined)) await next()
  const all = heard(jobs.length)
  // Whoever hears of these has heard of the waits before.
  await waiting.enqueue(jobs, { atomic: true })
  await all
  assert.equal(child.exitCode, null)
})

test('a result is told by a hint where nobody looks again', async (t) => {
  const schema = database.schema()
  const store = open(t, schema)
  await store.setQueue('default', { paused: true })
  await worker(t, schema)
  // Time stands still: after its first look nobody here looks by himself.
  const forge = new ForgeQ({ store, timers: new ManualTimers(new ManualClock()) })
  t.after(() => forge.close())
  const { said, next } = await overhear(t, schema)
  const handle = await forge.enqueue(
    defineJob('work', { input: typed<null>() }, () => {}),
    null,
  )
  const result = handle.result()
  while (!said.some(({ awaits }) => awaits?.includes(handle.id.slice(-12)))) await next()
  // Whoever hears of this has heard of the wait before.
  await store.setQueue('default', { paused: false })
  await result
})

test('where nobody waits elsewhere nothing is said of ends', async (t) => {
  const schema = database.schema()
  const store = open(t, schema)
  const { said, next } = await overhear(t, schema)
  const jobs = [newJob(), newJob()]
  const here = new Promise<Topic>((resolve) => void store.listen([`ended:${jobs[0]!.id}`], resolve))
  await store.register(registration('w'))
  await store.enqueue(jobs, { atomic: true })
  const wants = [{ queue: 'default', slots: 2 }]
  const first = await store.exchange({ worker: 'w', turn: 1, settlements: [], wants, slots: 2, notes: [] })
  assert.ok(!first.closed)
  const settlements = first.claimed.map((claim) => complete(claim))
  await store.exchange({ worker: 'w', turn: 2, settlements, wants: [], slots: 2, notes: [] })
  assert.equal(await here, `ended:${jobs[0]!.id}`)
  // What is said later comes later.
  await store.enqueue([{ ...newJob(), policy: { ...policy, queue: 'last' } }], { atomic: true })
  while (!said.some(({ topics }) => topics.includes('ready:last'))) await next()
  assert.deepEqual(
    said.flatMap(({ topics }) => topics).filter((topic) => topic.startsWith('ended:')),
    [],
  )
})

test('ten thousand waits go in messages that fit, and each end of them is heard', async (t) => {
  const schema = database.schema()
  const [waiting, working] = [open(t, schema), open(t, schema)]
  const { said, next, bytes } = await overhear(t, schema)
  await working.register(registration('w', { slots: 1000 }))
  working.listen(['ready:default'], () => {})
  const jobs = Array.from({ length: 10_000 }, () => newJob())
  await waiting.open()
  const heard = hearing(waiting, jobs)
  const tails = (): string[] => said.flatMap(({ awaits = '' }) => awaits.match(/.{12}/g) ?? [])
  while (new Set(tails()).size < jobs.length) await next()
  const all = heard(1000)
  await working.enqueue(jobs.slice(0, 1000), { atomic: true })
  const wants = [{ queue: 'default', slots: 1000 }]
  const first = await working.exchange({ worker: 'w', turn: 1, settlements: [], wants, slots: 1000, notes: [] })
  assert.ok(!first.closed && first.claimed.length === 1000)
  const settlements = first.claimed.map((claim) => complete(claim))
  await working.exchange({ worker: 'w', turn: 2, settlements, wants: [], slots: 1000, notes: [] })
  await all
  assert.ok(Math.max(...bytes) < 8000, `${Math.max(...bytes)} bytes`)
})

test('who begins to work later is told of those who wait already', async (t) => {
  const schema = database.schema()
  const waiting = open(t, schema)
  const { said, next } = await overhear(t, schema)
  await waiting.open()
  const jobs = Array.from({ length: 300 }, () => newJob())
  const heard = hearing(waiting, jobs)
  while (!said.some(({ awaits }) => awaits !== undefined)) await next()
  let isHeard = false
  const first = heard(1).then(() => (isHeard = true))
  await worker(t, schema)
  // One after the other, for as long as the process does not know yet.
  for (const job of jobs) {
    if (isHeard) break
    await waiting.enqueue([job], { atomic: true })
    for (let state = ''; state !== 'completed';) state = (await waiting.jobs([job.id]))[0]!.state
  }
  await first
})

test('a process that is killed is not waited for any longer when its waits are forgotten', () => {
  let now = 0
  const awaited = new Awaited({ all: () => [], has: () => true, say: () => {} }, () => now)
  const ids = [newJob().id, newJob().id, newJob().id]
  awaited.hear(
    ids
      .slice(0, 2)
      .map((id) => id.slice(-12))
      .join(''),
  )
  assert.deepEqual(
    ids.map((id) => awaited.isElsewhere(id)),
    [true, true, false],
  )
  awaited.forget(ids[0]!)
  now = 89_999
  assert.deepEqual(
    ids.map((id) => awaited.isElsewhere(id)),
    [false, true, false],
  )
  now = 90_000
  assert.deepEqual(
    ids.map((id) => awaited.isElsewhere(id)),
    [false, false, false],
  )
})
