// The commands that act on jobs and queues.
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import type { ForgeQ } from 'forgeq'
import { commandIn } from './command.ts'
import { drain, forgeIn } from './forge-in.ts'
import { fail, greet } from './handlers/jobs.ts'

type Command = ReturnType<typeof commandIn>['forgeq']

const ada = { name: 'Ada' }

async function scene(t: TestContext): Promise<{ forgeq: Command; forge: ForgeQ }> {
  const { folder, forgeq } = commandIn(t)
  const forge = forgeIn(t, folder)
  await forge.ready()
  return { forgeq, forge }
}

const stateOf = async (forge: ForgeQ, id: string): Promise<unknown> => (await forge.admin.job(id))?.state

test('cancel, promote and delete do it and say so', async (t) => {
  const { forgeq, forge } = await scene(t)
  const [one, two] = await forge.enqueueMany(greet, [ada, ada], { delay: '1h' })
  const promoted = await forgeq(['jobs', 'promote', one!.id, two!.id])
  assert.deepEqual([promoted.code, promoted.stdout], [0, `${one!.id} ready\n${two!.id} ready\n`])
  const cancelled = await forgeq(['jobs', 'cancel', one!.id, '--json'])
  assert.deepEqual(JSON.parse(cancelled.stdout), { data: [{ id: one!.id, state: 'cancelled' }] })
  const deleted = await forgeq(['jobs', 'delete', two!.id])
  assert.equal(deleted.stdout, `${two!.id} deleted\n`)
  assert.equal(await stateOf(forge, two!.id), undefined)
})

test('what a state does not allow is a conflict; some done and some not is exit code 8', async (t) => {
  const { forgeq, forge } = await scene(t)
  const { id: ready } = await forge.enqueue(greet, ada)
  const { id: later } = await forge.enqueue(greet, ada, { delay: '1h' })
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
  const { forgeq, forge } = await scene(t)
  const id = (await forgeq(['enqueue', 'greet', '{"nome":"Ada"}'])).stdout.trim()
  await drain(forge)
  assert.equal(await stateOf(forge, id), 'dead')
  const refused = await forgeq(['jobs', 'retry', id, '--payload', '{"name":1}'])
  assert.equal(refused.code, 2)
  assert.match(refused.stderr, /payload\.name/)
  const retried = await forgeq(['dead', 'retry', id])
  assert.deepEqual([retried.code, retried.stdout], [0, `${id} ready\n`])
  await drain(forge)
  assert.equal(await stateOf(forge, id), 'dead')
  await forgeq(['jobs', 'retry', id, '--payload', '-'], { stdin: '{"name":"Ada"}' })
  await drain(forge)
  assert.deepEqual((await forge.admin.job(id))?.result, { greeting: 'hello Ada' })
})

test('all dead letters, or those of a type, are retried together', async (t) => {
  const { forgeq, forge } = await scene(t)
  const fails = await forge.enqueueMany(fail, [{ message: '1' }, { message: '2' }])
  const greetId = (await forgeq(['enqueue', 'greet', '{}'])).stdout.trim()
  await drain(forge)
  assert.equal((await forgeq(['dead', 'retry'])).code, 2)
  const some = await forgeq(['dead', 'retry', '--all', '--type', 'fail'])
  assert.deepEqual(some.stdout.trim().split('\n').toSorted(), fails.map(({ id }) => `${id} ready`).toSorted())
  assert.equal(await stateOf(forge, greetId), 'dead')
  assert.equal((await forgeq(['dead', 'retry', '--all'])).stdout, `${greetId} ready\n`)
  assert.equal((await forgeq(['dead', 'ls'])).stdout, '')
})

test('a paused queue hands nothing out until it is resumed', async (t) => {
  const { forgeq, forge } = await scene(t)
  const { id } = await forge.enqueue(greet, ada)
  const paused = await forgeq(['queues', 'pause', 'greetings', '--json'])
  assert.deepEqual(JSON.parse(paused.stdout), { data: [{ queue: 'greetings', paused: true }] })
  await drain(forge)
  assert.equal(await stateOf(forge, id), 'ready')
  assert.match((await forgeq(['jobs', 'why', id])).stdout, /queues resume greetings/)
  assert.equal((await forgeq(['queues', 'resume', 'greetings'])).stdout, 'greetings resumed\n')
  await drain(forge)
  assert.equal(await stateOf(forge, id), 'completed')
})

test('pausing a queue that never had a job is done, but said', async (t) => {
  const { forgeq } = await scene(t)
  const { code, stdout, stderr } = await forgeq(['queues', 'pause', 'deflaut'])
  assert.deepEqual([code, stdout], [0, 'deflaut paused\n'])
  assert.match(stderr, /never had a job/)
})
