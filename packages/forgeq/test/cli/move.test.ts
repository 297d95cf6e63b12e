// All jobs from one store to another: what comes along, what is refused, what is left behind, and back.
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { ForgeQ } from 'forgeq'
import { commandIn, runCommand, startCommand, type Ran } from './command.ts'
import { drain } from './forge-in.ts'
import { fail, greet } from './handlers/jobs.ts'

interface Scene {
  readonly folder: string
  readonly forgeq: (args: string[]) => Promise<Ran>
  readonly from: ForgeQ
  readonly to: ForgeQ
  readonly move: (...flags: string[]) => Promise<Ran>
}

const [source, target] = ['sqlite:from.db', 'sqlite:to.db']

function scene(t: TestContext): Scene {
  const { folder, forgeq } = commandIn(t)
  const [from, to] = ['from.db', 'to.db'].map((file) => new ForgeQ({ store: `sqlite:${join(folder, file)}` }))
  t.after(() => Promise.all([from!.close(), to!.close()]))
  const move = (...flags: string[]): Promise<Ran> => forgeq(['move', '--from', source, '--to', target, ...flags])
  return { folder, forgeq, from: from!, to: to!, move }
}

const ada = { name: 'Ada' }
const settings = async (forge: ForgeQ): Promise<unknown> =>
  (await forge.store.queues()).map(({ queue, paused, accepting, limits }) => ({ queue, paused, accepting, limits }))
const stateOf = async (forge: ForgeQ, id: string): Promise<unknown> => (await forge.admin.job(id))?.state

test('jobs, settings and types go to the target; the source keeps a copy that does nothing', async (t) => {
  const { folder, from, to, move } = scene(t)
  const { id: done } = await from.enqueue(greet, ada)
  const { id: dead } = await from.enqueue(fail, { message: 'no' })
  await drain(from)
  const { id: ready } = await from.enqueue(greet, ada)
  await from.admin.pause('quiet')
  await from.admin.limit('greetings', { rate: '100/m', concurrency: 3 })
  await from.admin.limit('shut', { accepting: false })
  const before = await settings(from)
  const moved = await move()
  assert.equal(moved.code, 0, moved.stderr)
  assert.match(moved.stdout, /^QUEUE +READY +COMPLETED +DEAD$/m)
  assert.match(moved.stderr, /^Moved 3 jobs; all compared\.$/m)
  assert.match(moved.stderr, /sqlite:from\.db keeps its copy, paused and closed\. `forgeq move --undo`/)
  assert.deepEqual(await settings(to), before)
  const ids = [done, dead, ready]
  const past = await to.store.jobs(ids, ['attempts', 'logs'])
  assert.deepEqual(past, await from.store.jobs(ids, ['attempts', 'logs']))
  assert.deepEqual(await to.store.types(), await from.store.types())
  await assert.rejects(from.enqueue(greet, ada), { code: 'QUEUE_CLOSED' })
  // Whoever looks at the source is not told to open it.
  const { stdout: status } = await runCommand(folder, ['status', '--store', source])
  assert.match(status, /Queue greetings is paused and takes no new jobs, as `forgeq move` leaves/)
  assert.doesNotMatch(status, /starts it/)
  await Promise.all([drain(from), drain(to)])
  assert.deepEqual([await stateOf(from, ready), await stateOf(to, ready)], ['ready', 'completed'])
})

test('run again when it was done, it changes nothing and says so', async (t) => {
  const { from, to, move } = scene(t)
  const { id } = await from.enqueue(greet, ada)
  await from.admin.limit('greetings', { maxDepth: 7 })
  await move()
  const before = [await settings(to), await settings(from)]
  const again = await move('--json')
  assert.equal(again.code, 0, again.stderr)
  const { jobs, loaded } = JSON.parse(again.stdout) as { jobs: number; loaded: number }
  assert.deepEqual([jobs, loaded], [1, 0])
  assert.deepEqual([await settings(to), await settings(from)], before)
  assert.equal(await stateOf(to, id), 'ready')
})

test('--plan counts, changes nothing and makes nothing', async (t) => {
  const { folder, from, move } = scene(t)
  await from.enqueueMany(greet, [ada, ada])
  const before = await settings(from)
  const planned = await move('--plan')
  assert.equal(planned.code, 0, planned.stderr)
  assert.match(planned.stdout, /^greetings +2$/m)
  assert.match(planned.stderr, /^Would move 2 jobs\.$/m)
  const asJson = JSON.parse((await move('--plan', '--json')).stdout) as Record<string, unknown>
  assert.deepEqual([asJson['plan'], asJson['jobs'], asJson['obstacles']], [true, 2, []])
  assert.deepEqual(await settings(from), before)
  assert.equal(existsSync(join(folder, 'to.db')), false)
})

test('a move that is run again by mistake brings nothing again, and shuts nothing', async (t) => {
  const { from, to, move } = scene(t)
  const [one, two] = await from.enqueueMany(greet, [ada, ada])
  await move()
  await drain(to)
  // As if its time were over.
  await to.store.act({ action: 'delete', ids: [one!.id] })
  const before = await settings(to)
  const { code, stderr } = await move()
  assert.equal(code, 4)
  assert.match(stderr, /queue greetings was moved before and is open in the target, where it has gone on/)
  assert.deepEqual([await stateOf(to, one!.id), await stateOf(to, two!.id)], [undefined, 'completed'])
  assert.deepEqual(await settings(to), before)
  const undone = await move('--undo')
  assert.equal(undone.code, 4)
  assert.deepEqual(await settings(to), before)
})

test('--undo lets the source go on, as it was, and the target do nothing', async (t) => {
  const { from, to, move } = scene(t)
  const { id } = await from.enqueue(greet, ada)
  await from.admin.pause('quiet')
  const before = await settings(from)
  await move()
  const undone = await move('--undo')
  assert.equal(undone.code, 0, undone.stderr)
  assert.match(undone.stderr, /sqlite:from\.db works again/)
  assert.deepEqual(await settings(from), before)
  await Promise.all([drain(from), drain(to)])
  assert.deepEqual([await stateOf(from, id), await stateOf(to, id)], ['completed', 'ready'])
  await assert.rejects(to.enqueue(greet, ada), { code: 'QUEUE_FULL' })
  const stale = await move()
  assert.equal(stale.code, 4)
  assert.match(stale.stderr, new RegExp(`job ${id} is in the target already, and is not the same`))
})

test('--undo is refused when the target has gone on', async (t) => {
  const { from, to, move } = scene(t)
  const { id } = await from.enqueue(greet, ada)
  await move()
  await to.enqueue(greet, ada)
  const { code, stderr } = await move('--undo')
  assert.equal(code, 4)
  assert.match(stderr, /the target has gone on: queue greetings has 2 ready jobs, in the source 1\. Move its jobs/)
  await assert.rejects(from.enqueue(greet, ada), { code: 'QUEUE_CLOSED' })
  await drain(to)
  assert.equal(await stateOf(to, id), 'completed')
  await to.enqueue(greet, ada)
})

test('what was shut by a move that was taken back is no source of another one', async (t) => {
  const { forgeq, from, move } = scene(t)
  await from.enqueue(greet, ada)
  await move()
  await move('--undo')
  const { code, stderr } = await forgeq(['move', '--from', target, '--to', 'sqlite:other.db'])
  assert.equal(code, 4)
  assert.match(stderr, /the source is itself the target of a move that is not over, or was taken back/)
})

test('a target with jobs of its own is refused before anything is changed', async (t) => {
  const { from, to, move } = scene(t)
  await from.enqueue(greet, ada)
  const { id } = await to.enqueue(greet, ada)
  const before = await settings(from)
  const { code, stderr } = await move()
  assert.equal(code, 4)
  assert.match(
    stderr,
    new RegExp(`jobs of the target are not in the source: 1 of them, as ${id}; move into an empty target`),
  )
  assert.deepEqual(await settings(from), before)
})

test('what names no two stores, or no source, is refused', async (t) => {
  const { folder, forgeq, from, move } = scene(t)
  const missing = await move()
  assert.deepEqual([missing.code, existsSync(join(folder, 'from.db'))], [6, false])
  assert.match(missing.stderr, /there is no store at sqlite:from\.db/)
  await from.enqueue(greet, ada)
  const before = await settings(from)
  const run = (to: string, ...flags: string[]): Promise<Ran> => forgeq(['move', '--from', source, '--to', to, ...flags])
  assert.equal((await run(source)).code, 2)
  const alias = await run(`sqlite:${join(folder, 'from.db')}`)
  assert.equal(alias.code, 2)
  assert.match(alias.stderr, /the source and the target are one store/)
  assert.deepEqual(await settings(from), before)
  assert.equal((await run('sqlite::memory:')).code, 2)
  assert.equal((await run(target, '--plan', '--undo')).code, 2)
  assert.equal((await forgeq(['move', '--from', source])).code, 2)
})

test('jobs of a queue that is new meanwhile are moved, too', async (t) => {
  const { folder, from, to } = scene(t)
  await from.enqueueMany(
    greet,
    Array.from({ length: 600 }, () => ada),
  )
  const stall = { FORGEQ_FAILPOINTS: 'move.after-page=stall(1500)@2' }
  const running = startCommand(t, folder, ['move', '--from', source, '--to', target], stall)
  while ((await from.store.queues()).some(({ accepting }) => accepting));
  const { id } = await from.enqueue(greet, ada, { queue: 'late' })
  assert.deepEqual(await running.ends(), { code: 0, signal: null })
  assert.match(running.printed(), /^Moved 601 jobs/m)
  assert.equal(await stateOf(to, id), 'ready')
  await assert.rejects(from.enqueue(greet, ada, { queue: 'late' }), { code: 'QUEUE_CLOSED' })
})
