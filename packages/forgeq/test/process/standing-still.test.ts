// The only process of a supervisor stands still: the supervisor sees to what is due, and replaces it.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runCommand } from '../cli/command.ts'
import { nap, plain } from './handlers/blocking.ts'
import { handlersFile, isAlive, scene, stopOutsideWrites, until } from './scene.ts'

/** The lease, a look each at the lease, at the record and at the process that does not notice, and a busy machine. */
const replacedWithinMs = 15_000 + 2_000 + 2_000 + 6_000 + 5_000

test('a stopped process is named, what is due is moved, its job runs again, and another process takes its place', async (t) => {
  const { folder, forge, effects, start } = scene(t)
  // It keeps the output of the worker open, which the end of the test waits for.
  t.after(() => {
    const [first] = effects('start')
    if (first !== undefined && isAlive(first.pid)) process.kill(first.pid, 'SIGKILL')
  })
  const worker = start(['worker', handlersFile('blocking')])
  const handle = await forge.enqueue(nap, { ms: 1_500 })
  const { pid } = await until(() => effects('start')[0], 'the start')
  await stopOutsideWrites(pid, forge)
  const stoppedAt = performance.now()
  const due = await forge.enqueue(plain, null, { delay: '1s' })
  await until(async () => (await forge.admin.job(due.id))?.state === 'ready', 'that what is due is ready')
  const status = await until(async () => {
    const { stdout } = await runCommand(folder, ['status'])
    return /no sign of life/.test(stdout) && stdout
  }, 'that status names it')
  assert.match(
    status,
    new RegExp(`Process ${pid} on \\S+ has given no sign of life for 1[\\d.]+s: .*; its job runs elsewhere`),
  )
  await worker.prints(new RegExp(`"pid":${pid},"how":"stood still for longer than its lease"`))
  const tookMs = performance.now() - stoppedAt
  t.diagnostic(`replaced ${Math.round(tookMs)} ms after it was stopped`)
  assert.ok(tookMs < replacedWithinMs)
  assert.equal(isAlive(pid), false)
  assert.equal(await due.result({ timeout: '30s' }), 'fine')
  assert.equal(await handle.result({ timeout: '30s' }), 'awake')
  const job = await forge.admin.job(handle.id)
  assert.deepEqual([job?.attempt, job?.crashes], [1, 1])
  assert.equal((await worker.ends('SIGTERM')).code, 0)
})
