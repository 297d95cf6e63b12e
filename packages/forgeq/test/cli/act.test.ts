// The commands that act on jobs and queues.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { commandIn, handlersFile } from './command.ts'

type Command = ReturnType<typeof commandIn>['forgeq']

const enqueue = async (forgeq: Command, ...args: string[]): Promise<string> =>
  (await forgeq(['enqueue', ...args])).stdout.trim()

const stateOf = async (forgeq: Command, id: string): Promise<unknown> =>
  (JSON.parse((await forgeq(['jobs', 'show', id, '--json'])).stdout) as { state: unknown }).state

const drain = async (forgeq: Command): Promise<void> => {
  const { code, stderr } = await forgeq(['worker', handlersFile, '--drain', '-p', '1'])
  assert.equal(code, 0, stderr)
}

test('cancel, promote and delete do it and say so', async (t) => {
  const { forgeq } = commandIn(t)
  const [one, two] = [await enqueue(forgeq, 'greet', '--in', '1h'), await enqueue(forgeq, 'greet', '--in', '1h')]
  const promoted = await forgeq(['jobs', 'promote', one, two])
  assert.deepEqual([promoted.code, promoted.stdout], [0, `${one} ready\n${two} ready\n`])
  const cancelled = await forgeq(['jobs', 'cancel', one, '--json'])
  assert.deepEqual(JSON.parse(cancelled.stdout), { data: [{ id: one, state: 'cancelled' }] })
  const deleted = await forgeq(['jobs', 'delete', two])
  assert.equal(deleted.stdout, `${two} deleted\n`)
  assert.equal((await forgeq(['jobs', 'show', two])).code, 3)
})

test('what a state does not allow is a conflict; some done and some not is exit code 8', async (t) => {
  const { forgeq } = commandIn(t)
  const [ready, later] = [await enqueue(forgeq, 'greet'), await enqueue(forgeq, 'greet', '--in', '1h')]
  const conflict = await forgeq(['jobs', 'retry', ready])
  assert.equal(conflict.code, 4)
  assert.match(conflict.stderr, new RegExp(`^error: job ${ready} is ready`))
  const partly = await forgeq(['jobs', 'promote', later, ready, '--json'])
  assert.equal(partly.code, 8)
  const { data } = JSON.parse(partly.stdout) as { data: Record<string, unknown>[] }
  assert.deepEqual(data[0], { id: later, state: 'ready' })
  assert.deepEqual([data[1]!['id'], data[1]!['code']], [ready, 'STATE_CONFLICT'])
})

test('a dead job runs again with another payload, which its schema must take', async (t) => {
  const { forgeq } = commandIn(t)
  const id = await enqueue(forgeq, 'greet', '{"nome":"Ada"}')
  await drain(forgeq)
  assert.equal(await stateOf(forgeq, id), 'dead')
  const refused = await forgeq(['jobs', 'retry', id, '--payload', '{"name":1}'])
  assert.equal(refused.code, 2)
  assert.match(refused.stderr, /payload\.name/)
  const retried = await forgeq(['dead', 'retry', id])
  assert.deepEqual([retried.code, retried.stdout], [0, `${id} ready\n`])
  await drain(forgeq)
  await forgeq(['jobs', 'retry', id, '--payload', '-'], { stdin: '{"name":"Ada"}' })
  await drain(forgeq)
  const done = await forgeq(['jobs', 'wait', id])
  assert.deepEqual([done.code, JSON.parse(done.stdout)], [0, { greeting: 'hello Ada' }])
})

test('all dead letters, or those of a type, are retried together', async (t) => {
  const { forgeq } = commandIn(t)
  const fails = [await enqueue(forgeq, 'fail', '1', '--retries', '0'), await enqueue(forgeq, 'fail', '2', '--retries', '0')]
  const greet = await enqueue(forgeq, 'greet', '{}', '--retries', '0')
  await drain(forgeq)
  assert.equal((await forgeq(['dead', 'retry'])).code, 2)
  const some = await forgeq(['dead', 'retry', '--all', '--type', 'fail'])
  assert.deepEqual(some.stdout.trim().split('\n').toSorted(), fails.map((id) => `${id} ready`).toSorted())
  assert.equal(await stateOf(forgeq, greet), 'dead')
  assert.equal((await forgeq(['dead', 'retry', '--all'])).stdout, `${greet} ready\n`)
  assert.equal((await forgeq(['dead', 'ls'])).stdout, '')
})

test('a paused queue hands nothing out until it is resumed', async (t) => {
  const { forgeq } = commandIn(t)
  const id = await enqueue(forgeq, 'greet', '{"name":"Ada"}', '-q', 'greetings')
  const paused = await forgeq(['queues', 'pause', 'greetings', '--json'])
  assert.deepEqual(JSON.parse(paused.stdout), { data: [{ queue: 'greetings', paused: true }] })
  await drain(forgeq)
  assert.equal(await stateOf(forgeq, id), 'ready')
  assert.match((await forgeq(['jobs', 'why', id])).stdout, /queues resume greetings/)
  assert.equal((await forgeq(['queues', 'resume', 'greetings'])).stdout, 'greetings resumed\n')
  await drain(forgeq)
  assert.equal(await stateOf(forgeq, id), 'completed')
})

test('pausing a queue that never had a job is done, but said', async (t) => {
  const { forgeq } = commandIn(t)
  await enqueue(forgeq, 'greet')
  const { code, stdout, stderr } = await forgeq(['queues', 'pause', 'deflaut'])
  assert.deepEqual([code, stdout], [0, 'deflaut paused\n'])
  assert.match(stderr, /never had a job/)
})
