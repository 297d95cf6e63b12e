// The commands that look: what people read, and what programs parse.
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { defineJob, typed } from 'forgeq'
import { foreignConnection } from '../sqlite/files.ts'
import { commandIn } from './command.ts'
import { drain, forgeIn } from './forge-in.ts'
import { fail, greet } from './handlers/jobs.ts'

type Command = ReturnType<typeof commandIn>['forgeq']
type Fields = Record<string, unknown>

const json = async (forgeq: Command, ...args: string[]): Promise<unknown> => {
  const { code, stdout, stderr } = await forgeq([...args, '--json'])
  assert.equal(code, 0, stderr)
  return JSON.parse(stdout)
}

const listed = async (forgeq: Command, ...args: string[]): Promise<Fields[]> =>
  ((await json(forgeq, ...args)) as { data: Fields[] }).data

interface Scene {
  readonly forgeq: Command
  readonly done: string
  readonly dead: string
  readonly later: string
  readonly ready: string
}

/** A completed, a dead, a scheduled and a ready job. */
async function scene(t: TestContext): Promise<Scene> {
  const { folder, forgeq } = commandIn(t)
  const forge = forgeIn(t, folder)
  const { id: done } = await forge.enqueue(greet, { name: 'Ada' }, { tags: ['vip'] })
  const { id: dead } = await forge.enqueue(fail, { message: '\u001B[31mred' })
  await drain(forge)
  const { id: later } = await forge.enqueue(greet, { name: 'Bo' }, { delay: '1h' })
  const { id: ready } = await forge.enqueue(greet, { name: 'Cy' })
  return { forgeq, done, dead, later, ready }
}

test('a store that is not there is said to be missing, and not made', async (t) => {
  const { forgeq } = commandIn(t)
  for (const args of [['status'], ['jobs', 'ls'], ['queues', 'pause', 'default']]) {
    const { code, stdout, stderr } = await forgeq(args)
    assert.deepEqual([code, stdout], [6, ''])
    assert.match(stderr, /there is no store at sqlite:\.forgeq\/forgeq\.db \(the default\)/)
  }
})

test('jobs are listed, filtered and paged', async (t) => {
  const { forgeq, done, dead, later, ready } = await scene(t)
  const ids = async (...args: string[]): Promise<unknown[]> =>
    (await listed(forgeq, 'jobs', 'ls', ...args)).map(({ id }) => id)
  assert.deepEqual(await ids(), [ready, later, dead, done])
  assert.deepEqual(await ids('--state', 'scheduled'), [later])
  assert.deepEqual(await ids('--queue', 'greetings'), [ready, later, done])
  assert.deepEqual(await ids('--type', 'fail'), [dead])
  assert.deepEqual(await ids('--tag', 'vip'), [done])
  assert.deepEqual(
    (await listed(forgeq, 'dead', 'ls')).map(({ id }) => id),
    [dead],
  )

  const first = (await json(forgeq, 'jobs', 'ls', '-n', '3')) as { page: { next: string; hasMore: boolean } }
  assert.equal(first.page.hasMore, true)
  assert.deepEqual(await ids('--cursor', first.page.next), [done])

  const { stdout } = await forgeq(['jobs', 'ls'])
  const rows = stdout.trim().split('\n')
  assert.match(rows[0]!, /^ID +TYPE +QUEUE +STATE +TRY +CREATED +NOW$/)
  assert.match(
    rows[2]!,
    new RegExp(`^${later} +greet +greetings +scheduled +1/2 +\\S.* +due in 1h`.replace('1h', '\\S+')),
  )
  // What a job says must not reach the terminal as a command.
  assert.match(rows[3]!, /exhausted: \\x1b\[31mred/)
  assert.equal(stdout.includes('\u001B'), false)
})

test('jobs are listed newest first, but in the order they start where that is known, as the help says', async (t) => {
  const { folder, forgeq } = commandIn(t)
  const forge = forgeIn(t, folder)
  const job = defineJob('job', { input: typed<string>() })
  await forge.enqueue(job, 'second')
  await forge.enqueue(job, 'third', { priority: 'low' })
  await forge.enqueue(job, 'first', { priority: 'high' })
  await forge.enqueue(job, 'later', { delay: '2h' })
  await forge.enqueue(job, 'soon', { delay: '1h' })
  const payloads = async (...args: string[]): Promise<unknown[]> =>
    (await listed(forgeq, 'jobs', 'ls', ...args)).map(({ payload }) => payload)
  assert.deepEqual(await payloads(), ['soon', 'later', 'first', 'third', 'second'])
  assert.deepEqual(await payloads('-s', 'ready'), ['first', 'second', 'third'])
  assert.deepEqual(await payloads('-s', 'scheduled'), ['soon', 'later'])
  const { stdout } = await forgeq(['jobs', '--help'])
  assert.match(stdout.replaceAll(/\s+/g, ' '), /newest first; with --state ready or scheduled, in the order they start/)
})

test('a list of large jobs ends early, and says where it goes on', async (t) => {
  const { folder, forgeq } = commandIn(t)
  const forge = forgeIn(t, folder)
  const large = defineJob('large', { input: typed<string>() })
  await forge.enqueueMany(
    large,
    Array.from({ length: 20 }, () => 'x'.repeat(1_000_000)),
  )
  const first = (await json(forgeq, 'jobs', 'ls', '-n', '1000')) as { data: Fields[]; page: { next: string } }
  assert.equal(first.data.length, 9)
  assert.equal((await listed(forgeq, 'jobs', 'ls', '-n', '1000', '--cursor', first.page.next)).length, 9)
})

test('a job is shown with its past', async (t) => {
  const { forgeq, done, dead } = await scene(t)
  const job = (await json(forgeq, 'jobs', 'show', done)) as Fields
  assert.deepEqual(job['result'], { greeting: 'hello Ada' })
  assert.deepEqual(job['progress'], { done: 1, total: 2, label: 'half' })
  assert.equal((job['attempts'] as Fields[])[0]!['outcome'], 'complete')
  assert.equal((job['logs'] as Fields[])[0]!['message'], 'greeting Ada')

  const { stdout } = await forgeq(['dead', 'show', dead])
  assert.match(stdout, /^state +dead \(exhausted\)$/m)
  assert.match(stdout, /^error +Error: \\x1b\[31mred$/m)
  assert.match(stdout, /^1 +1 +bury +\d{4}-/m)

  const logs = await listed(forgeq, 'jobs', 'logs', done)
  assert.deepEqual(
    logs.map(({ level, message }) => [level, message]),
    [['info', 'greeting Ada']],
  )
  assert.match((await forgeq(['jobs', 'logs', done])).stdout, /^\d{4}-\S+ info  greeting Ada$/m)
})

test('why says why, and what to do', async (t) => {
  const { forgeq, later, ready } = await scene(t)
  assert.equal(((await json(forgeq, 'jobs', 'why', later)) as Fields)['reason'], 'not-due')
  assert.equal(((await json(forgeq, 'jobs', 'why', ready)) as Fields)['reason'], 'no-worker')
  assert.match((await forgeq(['jobs', 'why', ready])).stdout, /forgeq worker/)
})

test('waiting for a job prints its result, at once when it has ended', async (t) => {
  const { forgeq, done, dead, later } = await scene(t)
  const [completed, died, timedOut] = await Promise.all([
    forgeq(['jobs', 'wait', done]),
    forgeq(['jobs', 'wait', dead]),
    forgeq(['jobs', 'wait', later, '--timeout', '20ms']),
  ])
  assert.deepEqual([completed.code, JSON.parse(completed.stdout)], [0, { greeting: 'hello Ada' }])
  assert.deepEqual([died.code, died.stdout], [1, ''])
  assert.equal(timedOut.code, 7)
})

test('an unknown id is exit code 3 everywhere', async (t) => {
  const { forgeq } = await scene(t)
  const unknown = '01a20331-d99f-771c-b9e0-0a63e1b94a6a'
  const asked = ['show', 'logs', 'wait', 'why', 'cancel'].flatMap((verb) =>
    [unknown, 'nonsense'].map((id) => [verb, id]),
  )
  for (const args of asked) {
    const { code, stderr } = await forgeq(['jobs', ...args])
    assert.equal(code, 3, `${args.join(' ')}: ${stderr}`)
    assert.match(stderr, /^error: /)
  }
})

test('status, queues and workers have the field names of the HTTP API', async (t) => {
  const { forgeq } = await scene(t)
  const status = (await json(forgeq, 'status')) as {
    store: Fields
    queues: Fields[]
    workers: Fields[]
    problems: string[]
  }
  assert.equal(status.store['kind'], 'sqlite')
  assert.match(status.problems.join('\n'), /One job is dead/)
  assert.match(status.problems.join('\n'), /No worker serves queue greetings \(1 ready, the oldest /)
  assert.deepEqual(await listed(forgeq, 'queues', 'ls'), status.queues)
  assert.deepEqual(Object.keys(status.queues[0]!), [
    'queue',
    'paused',
    'accepting',
    'concurrency',
    'rate',
    'ratePerPriority',
    'perKey',
    'maxDepth',
    'fill',
    'heldUntil',
    'heldTypes',
    'counts',
    'oldestReadyAt',
  ])
  assert.deepEqual(await listed(forgeq, 'workers', 'ls'), [])

  const { stdout } = await forgeq(['status'])
  assert.match(stdout, /^store +sqlite:\.forgeq\/forgeq\.db$/m)
  assert.match(stdout, /^jobs +1 scheduled, 1 ready, 1 completed, 1 dead$/m)
  assert.match(stdout, /^greetings +1 +0 +1 +1 +0 +0/m)
})

test('migrate applies what there is to apply, and plans it without doing it', async (t) => {
  const { folder, forgeq } = commandIn(t)
  const plan = (await json(forgeq, 'migrate', '--plan')) as { version: number; target: number; steps: string[] }
  assert.equal(plan.version, 0)
  assert.ok(plan.steps.length > 0)
  assert.match((await forgeq(['migrate', '--plan'])).stdout, /^From nothing to version \d+:\n {2}001 tables$/m)
  assert.deepEqual(readdirSync(folder), [])
  assert.equal(((await json(forgeq, 'migrate')) as { version: number }).version, plan.target)
  assert.match((await forgeq(['migrate'])).stdout, /up to date/)
})

test('migrate --plan and status tell where the schema is not as it was made', async (t) => {
  const { folder, forgeq } = commandIn(t)
  assert.deepEqual(((await json(forgeq, 'migrate')) as { drift: string[] }).drift, [])
  foreignConnection(t, join(folder, '.forgeq', 'forgeq.db')).exec('DROP INDEX forgeq_ready_moved')
  const told = 'The index forgeq_ready_moved is missing'
  const { drift } = (await json(forgeq, 'migrate', '--plan')) as { drift: string[] }
  assert.deepEqual([drift.length, drift[0]?.startsWith(told)], [1, true])
  for (const args of [['migrate', '--plan'], ['status']]) assert.ok((await forgeq(args)).stdout.includes(`! ${told}`))
  const { problems } = (await json(forgeq, 'status')) as { problems: string[] }
  assert.deepEqual(problems, drift)
})
