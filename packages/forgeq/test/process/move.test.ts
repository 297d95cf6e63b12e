// Moves that die at any moment, and are run again; and those that have to wait for others, or give way to them.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { ForgeQ } from 'forgeq'
import { registration } from '../postgres/jobs.ts'
import { runCommand, startCommand, temporaryFolder, type Ran } from '../cli/command.ts'
import { drain } from '../cli/forge-in.ts'
import { greet } from '../cli/handlers/jobs.ts'
import { handlersFile, until } from './scene.ts'

const args = ['move', '--from', 'sqlite:from.db', '--to', 'sqlite:to.db']
const names = Array.from({ length: 1200 }, (_, i) => ({ name: `n${i}` }))

interface Scene {
  readonly folder: string
  readonly from: ForgeQ
  readonly to: ForgeQ
  readonly move: () => Promise<Ran>
  readonly undo: () => Promise<Ran>
  readonly die: (faults: string, ...flags: string[]) => Promise<void>
}

function scene(t: TestContext): Scene {
  const folder = temporaryFolder(t)
  const [from, to] = ['from.db', 'to.db'].map((file) => new ForgeQ({ store: `sqlite:${join(folder, file)}` }))
  t.after(() => Promise.all([from!.close(), to!.close()]))
  return {
    folder,
    from: from!,
    to: to!,
    move: () => runCommand(folder, args),
    undo: () => runCommand(folder, [...args, '--undo']),
    async die(faults, ...flags) {
      const died = startCommand(t, folder, [...args, ...flags], { FORGEQ_FAILPOINTS: faults })
      assert.deepEqual(await died.ends(), { code: null, signal: 'SIGKILL' })
    },
  }
}

/** Every job is in the target once, and does its work there once; nothing of it happens in the source. */
async function checkMoved({ from, to }: Scene, ids: readonly string[]): Promise<void> {
  const settings = (await to.store.queues()).map(({ queue, paused, accepting, limits }) => [
    queue,
    paused,
    accepting,
    limits.concurrency,
    limits.maxDepth,
  ])
  assert.deepEqual(settings, [
    ['greetings', false, true, 4, null],
    ['quiet', true, true, null, null],
    ['shut', true, false, null, 9],
  ])
  await Promise.all([drain(to), drain(from)])
  const jobs = await to.store.jobs(ids.slice(0, 1000))
  const rest = await to.store.jobs(ids.slice(1000))
  const all = [...jobs, ...rest]
  assert.equal(all.length, ids.length)
  assert.ok(all.every(({ state, claim }) => state === 'completed' && claim === 1))
  const counts = (await to.store.queues()).map((queue) => Object.values(queue.counts).reduce((a, b) => a + b))
  assert.deepEqual(counts, [ids.length, 0, 0])
  const left = (await from.store.queues()).find(({ queue }) => queue === 'greetings')
  assert.equal(left?.counts.ready, ids.length)
}

async function fill({ from }: Scene): Promise<string[]> {
  const jobs = await from.enqueueMany(greet, names)
  await from.admin.limit('greetings', { concurrency: 4 })
  await from.admin.pause('quiet')
  await from.admin.limit('shut', { accepting: false, maxDepth: 9 })
  await from.admin.pause('shut')
  return jobs.map(({ id }) => id)
}

for (const faults of ['after-close=kill@1', 'after-page=kill@1', 'after-page=kill@3', 'before-open=kill@1']) {
  test(`killed at move.${faults} and run again, it ends right`, async (t) => {
    const s = scene(t)
    const ids = await fill(s)
    await s.die(`move.${faults}`)
    // Nothing is to be had from either.
    await Promise.all([drain(s.from), drain(s.to)])
    const again = await s.move()
    assert.equal(again.code, 0, again.stderr)
    await checkMoved(s, ids)
  })
}

test('killed again and again at any moment, it ends right', async (t) => {
  const s = scene(t)
  const ids = await fill(s)
  let kills = 0
  for (let afterMs = 150; ; afterMs += 40) {
    const running = startCommand(t, s.folder, args)
    const timer = setTimeout(() => running.child.kill('SIGKILL'), afterMs)
    const { code, signal } = await running.ends()
    clearTimeout(timer)
    if (signal === null) {
      assert.equal(code, 0, running.printed())
      break
    }
    kills++
  }
  t.diagnostic(`killed ${kills} times`)
  assert.ok(kills > 3)
  await checkMoved(s, ids)
})

test('a move that died is taken back, also when that died: the source goes on, the target never does', async (t) => {
  const s = scene(t)
  const before = async (): Promise<unknown> =>
    (await s.from.store.queues()).map(({ queue, paused, accepting, limits }) => [queue, paused, accepting, limits])
  const ids = await fill(s)
  const settings = await before()
  await s.die('move.after-page=kill@1')
  await s.die('move.before-reopen=kill@1', '--undo')
  await drain(s.to)
  const undone = await s.undo()
  assert.equal(undone.code, 0, undone.stderr)
  assert.deepEqual(await before(), settings)
  await Promise.all([drain(s.from), drain(s.to)])
  const queue = (forge: ForgeQ) => forge.store.queues().then((queues) => queues[0]?.counts)
  assert.equal((await queue(s.from))?.completed, ids.length)
  const { ready, completed } = (await queue(s.to))!
  assert.ok(ready > 0 && ready < ids.length && completed === 0)
})

test('a half of a move in which somebody acted is not taken back, nor opened', async (t) => {
  const s = scene(t)
  await fill(s)
  await s.die('move.after-page=kill@1')
  const { jobs } = await s.to.store.find({ state: 'ready' }, null, 1)
  await s.to.admin.cancel(jobs.map(({ id }) => id))
  const { code, stderr } = await s.undo()
  assert.equal(code, 4)
  assert.match(stderr, new RegExp(`the target has gone on: job ${jobs[0]!.id} is not what it was`))
  await Promise.all([drain(s.from), drain(s.to)])
  for (const { store } of [s.from, s.to]) assert.equal((await store.queues())[0]?.counts.completed, 0)
})

test('a worker that is alive keeps both from being touched', async (t) => {
  const s = scene(t)
  await s.from.enqueue(greet, { name: 'Ada' }, { queue: 'nobody' })
  for (const [name, forge] of [
    ['source', s.from],
    ['target', s.to],
  ] as const) {
    const file = name === 'source' ? 'sqlite:from.db' : 'sqlite:to.db'
    const worker = startCommand(t, s.folder, ['worker', handlersFile('effects'), '--store', file])
    await until(async () => (await forge.admin.workers()).length > 1, 'the worker')
    const { code, stderr } = await s.move()
    assert.equal(code, 4, stderr)
    assert.match(
      stderr,
      new RegExp(`error: the ${name}: process \\d+ on .* works there, and 1 more: stop it first; one that`),
    )
    await worker.ends('SIGTERM')
  }
  assert.equal((await s.from.store.queues()).find(({ queue }) => queue === 'nobody')?.accepting, true)
  assert.equal((await s.move()).code, 0)
})

test('what a dead worker held comes back first', async (t) => {
  const s = scene(t)
  const { id } = await s.from.enqueue(greet, { name: 'Ada' })
  await s.from.store.register(registration('gone', { leaseMs: 1500, queues: ['greetings'] }))
  const types = [{ type: 'greet', policy: registration('x').types[0]!.policy, inputSchema: null }]
  await s.from.store.register(registration('dead', { leaseMs: 1500, queues: ['greetings'], types }))
  const wants = [{ queue: 'greetings', slots: 1 }]
  const reply = await s.from.store.exchange({ worker: 'dead', turn: 1, settlements: [], wants, slots: 1, notes: [] })
  assert.ok(!reply.closed && reply.claimed.length === 1)
  await until(async () => {
    const { now } = await s.from.store.open()
    return (await s.from.admin.workers()).every(({ expiresAt }) => expiresAt <= now)
  }, 'the end of its lease')
  const { code, stderr } = await s.move()
  assert.equal(code, 0, stderr)
  const job = await s.to.admin.job(id)
  assert.deepEqual([job?.state, job?.crashes], ['ready', 1])
})
