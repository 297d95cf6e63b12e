// 20,000 jobs of all states go from SQLite to PostgreSQL and back, by the command that people run: nothing is lost, nothing is
// other than it was.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { bury, cancel, complete, crash, failure, release, retry, snooze } from '#src/conformance/endings.js'
import { policy } from '#src/conformance/scene.js'
import { idSource } from '#src/core/id.js'
import { postgres } from '#src/postgres/index.js'
import { sqlite } from '#src/sqlite/index.js'
import type { JobImage, Trace } from '#src/store/moved.js'
import type { Claimed, NewJob, Settlement } from '#src/store/records.js'
import type { Store } from '#src/store/store.js'
import { runCommand, temporaryFolder } from '../cli/command.ts'
import { testDatabase } from './database.ts'
import { registration } from './jobs.ts'

const database = await testDatabase()
const nextId = idSource(
  () => Date.now(),
  (bytes) => void crypto.getRandomValues(bytes),
)
const total = 20_000

const newJob = (n: number): NewJob => ({
  id: nextId(),
  type: n % 11 === 0 ? 'strange' : 'work',
  payload: `{"n":${n},"text":"ä'€😀"}`,
  policy: { ...policy, queue: ['keyed', 'plain', 'rated'][n % 3]!, priority: n % 10, keepResultMs: 86_400_000 },
  ...(n % 3 === 0 && { key: `k${n % 60}` }),
  ...(n % 7 === 0 && { unique: { key: `u${n}`, until: 'done', onConflict: 'keep' } }),
  ...(n % 13 === 0 && { unique: { key: `w${n}`, forMs: 3_600_000, onConflict: 'keep' } }),
  ...(n % 5 === 0 && { delayMs: 3_600_000 + n }),
  ...(n % 17 === 0 && { expireMs: 7_200_000 }),
  ...(n % 4 === 0 && { tags: ['a', `t${n % 8}`] }),
})

const endings: readonly ((held: Claimed) => Settlement)[] = [
  (held) => complete(held, `{"of":"${held.job}"}`),
  (held) => bury(held, 'exhausted', failure('no')),
  (held) => retry(held, 3_600_000, failure('later')),
  (held) => snooze(held, 3_600_000),
  release,
  (held) => crash(held),
  (held) => cancel(held),
]

/** Leaves nobody who works. */
async function fill(store: Store): Promise<void> {
  await store.setQueue('keyed', { perKey: { ordered: true } })
  await store.setQueue('rated', { rate: { max: 100_000, perMs: 3_600_000 }, maxDepth: 50_000 })
  await store.setQueue('quiet', { paused: true, concurrency: 7 })
  const ids: string[] = []
  for (let n = 0; n < total; n += 1000) {
    const jobs = Array.from({ length: 1000 }, (_, i) => newJob(n + i))
    ids.push(...jobs.map(({ id }) => id))
    await store.enqueue(jobs, { atomic: true })
  }
  await store.register(registration('w', { slots: 1000, leaseMs: 600_000 }))
  const wants = ['keyed', 'plain', 'rated'].map((queue) => ({ queue, slots: 300 }))
  let settlements: Settlement[] = []
  for (let turn = 1; turn <= 16; turn++) {
    const request = { worker: 'w', turn, settlements, wants: turn === 16 ? [] : wants, slots: 900, notes: [] }
    const reply = await store.exchange(request)
    assert.ok(!reply.closed)
    settlements = reply.claimed.map((held, i) => endings[(i + turn) % endings.length]!(held))
    const notes = reply.claimed.slice(0, 50).map(({ job, claim }) => ({
      job,
      claim,
      progress: { done: turn, total: 16 },
      logs: [{ level: 'info', message: `turn ${turn}`, ageMs: 1 } as const],
    }))
    await store.beat('w', null, notes)
  }
  await store.leave('w')
  await store.act({ action: 'cancel', ids: ids.slice(-500) })
  await store.act({ action: 'retry', ids: ids.slice(0, 300), payload: '"anew"' })
}

const byId = (a: JobImage, b: JobImage): number => (a.id < b.id ? -1 : 1)

async function dumpAll(store: Store): Promise<{ jobs: readonly JobImage[]; traces: readonly string[] }> {
  const jobs: JobImage[] = []
  const traces: Trace[] = []
  let cursor: string | null = null
  do {
    const page = await store.dump(cursor, 1000)
    jobs.push(...page.jobs)
    traces.push(...page.traces)
    cursor = page.cursor
  } while (cursor !== null)
  // Limits of keys were set there, which has its promote calls look at them.
  const kept = traces.filter((trace) => !(trace.trace === 'alarm' && trace.on.startsWith('v')))
  return {
    jobs: jobs.toSorted(byId),
    traces: kept.map((trace) => JSON.stringify(trace, Object.keys(trace).toSorted())).toSorted(),
  }
}

const records = async (store: Store, jobs: readonly JobImage[]): Promise<unknown[]> => {
  const found: unknown[] = []
  for (let i = 0; i < jobs.length; i += 1000) {
    const ids = jobs.slice(i, i + 1000).map(({ id }) => id)
    found.push(...(await store.jobs(ids, ['attempts', 'logs', 'line'])))
  }
  return found
}

const queuesOf = async (store: Store): Promise<unknown> =>
  (await store.queues()).map(({ queue, paused, accepting, limits, counts, fill }) => ({
    queue,
    paused,
    accepting,
    limits,
    counts,
    fill,
  }))

test(`${total.toLocaleString('en')} jobs of all states go to PostgreSQL and back, and are the same`, async (t) => {
  const folder = temporaryFolder(t)
  const schema = database.schema()
  const stores = {
    first: sqlite(join(folder, 'first.db')),
    middle: postgres(database.url, { schema, allowUnsafe: true }),
    last: sqlite(join(folder, 'last.db')),
  }
  t.after(() => Promise.all(Object.values(stores).map((store) => store.close())))
  await fill(stores.first)
  const [queues, dumped] = [await queuesOf(stores.first), await dumpAll(stores.first)]
  const states = new Set(dumped.jobs.map(({ place }) => ('parked' in place && place.parked ? 'parked' : place.state)))
  assert.deepEqual([...states].sort(), ['cancelled', 'completed', 'dead', 'parked', 'ready', 'scheduled'])
  assert.equal(dumped.jobs.length, total)
  const before = await records(stores.first, dumped.jobs)
  const url = `${database.url}${database.url.includes('?') ? '&' : '?'}schema=${schema}`
  const move = async (from: string, to: string): Promise<void> => {
    const startedAt = performance.now()
    const env = { FORGEQ_ALLOW_VOLATILE: '1' }
    const { code, stdout, stderr } = await runCommand(folder, ['move', '--from', from, '--to', to, '--json'], { env })
    assert.equal(code, 0, stderr)
    const { jobs, loaded } = JSON.parse(stdout) as { jobs: number; loaded: number }
    assert.deepEqual([jobs, loaded], [total, total])
    t.diagnostic(`${from.split(':')[0]} to ${to.split(':')[0]}: ${Math.round(performance.now() - startedAt)} ms`)
  }
  await move('sqlite:first.db', url)
  assert.deepEqual(await dumpAll(stores.middle), dumped)
  assert.deepEqual(await records(stores.middle, dumped.jobs), before)
  assert.deepEqual(await queuesOf(stores.middle), queues)
  await move(url, 'sqlite:last.db')
  assert.deepEqual(await dumpAll(stores.last), dumped)
  assert.deepEqual(await records(stores.last, dumped.jobs), before)
  assert.deepEqual(await queuesOf(stores.last), queues)
  assert.deepEqual(await stores.last.types(), await stores.first.types())
})

test('a move to PostgreSQL that died is run again and ends right', async (t) => {
  const folder = temporaryFolder(t)
  const schema = database.schema()
  const from = sqlite(join(folder, 'from.db'))
  const to = postgres(database.url, { schema, allowUnsafe: true })
  t.after(() => Promise.all([from.close(), to.close()]))
  const jobs = Array.from({ length: 1600 }, (_, n) => newJob(n))
  for (const part of [jobs.slice(0, 800), jobs.slice(800)]) await from.enqueue(part, { atomic: true })
  const url = `${database.url}${database.url.includes('?') ? '&' : '?'}schema=${schema}`
  const args = ['move', '--from', 'sqlite:from.db', '--to', url]
  for (const faults of ['move.after-close=kill@1', 'move.after-page=kill@2', 'move.before-open=kill@1']) {
    const env = { FORGEQ_ALLOW_VOLATILE: '1', FORGEQ_FAILPOINTS: faults }
    assert.equal((await runCommand(folder, args, { env })).signal, 'SIGKILL')
    assert.ok((await to.queues()).every(({ limits }) => limits.concurrency === 0 && limits.maxDepth === 0))
  }
  const { code, stderr } = await runCommand(folder, args, { env: { FORGEQ_ALLOW_VOLATILE: '1' } })
  assert.equal(code, 0, stderr)
  assert.deepEqual((await dumpAll(to)).jobs, (await dumpAll(from)).jobs)
  assert.ok((await to.queues()).every(({ limits }) => limits.concurrency === null && limits.maxDepth === null))
})
