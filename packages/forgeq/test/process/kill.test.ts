// Worker processes that are killed: started anew, their jobs run again at once, nothing lost.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { block, hold, work } from './handlers/effects.ts'
import { handlersFile, isAlive, scene, until } from './scene.ts'

test('SIGKILL of one of four processes: it is started anew, its jobs run again, nothing is lost', async (t) => {
  const { forge, effects, start } = scene(t)
  const handles = await forge.enqueueMany(
    work,
    Array.from({ length: 60 }, () => ({ ms: 250 })),
  )
  const worker = start(['worker', handlersFile('effects'), '-p', '4', '-c', '3', '--log-level', 'warn'])
  // The latest start has almost all of its 250 ms before it.
  const { pid: victim } = await until(() => effects('start').at(-1), 'a start')
  process.kill(victim, 'SIGKILL')
  const killedAt = performance.now()
  const lost = await until(() => {
    const ended = new Set(effects('end').map(({ id }) => id))
    const held = effects('start').filter(({ id, pid }) => pid === victim && !ended.has(id))
    return held.length > 0 ? held : undefined
  }, 'jobs of the killed process')
  const again = await until(
    () => effects('start').find(({ id, pid }) => id === lost[0]!.id && pid !== victim),
    'a second start',
  )
  assert.ok(performance.now() - killedAt < 10_000, 'its jobs came back before its lease of 15 s ran out')
  assert.notEqual(again.pid, victim)

  for (const handle of handles) await handle.result({ timeout: '60s' })
  const ended = effects('end').map(({ id }) => id)
  assert.deepEqual(new Set(ended), new Set(handles.map(({ id }) => id)))
  const twice = effects('start').length - handles.length
  assert.equal(twice, lost.length, 'only what the killed process held ran again')
  const record = await forge.admin.job(lost[0]!.id)
  assert.deepEqual([record?.state, record?.attempt, record?.crashes], ['completed', 1, 1])

  await until(async () => (await forge.admin.workers()).filter(({ slots }) => slots > 0).length === 4, 'four workers')
  assert.match(
    worker.printed(),
    new RegExp(`"pid":${victim},"how":"SIGKILL","restartMs":\\d+,"msg":"worker process died`),
  )
  assert.match(worker.printed(), /job lost its worker, runs again/)
  assert.equal((await worker.ends('SIGTERM')).code, 0)
})

test('processes whose supervisor is killed hand their jobs back and end', async (t) => {
  const { forge, effects, start } = scene(t)
  const { id } = await forge.enqueue(hold, null)
  const worker = start(['worker', handlersFile('effects')])
  const { pid } = await until(() => effects('start')[0], 'the start of the job')
  await worker.ends('SIGKILL')
  await until(() => !isAlive(pid), 'the end of the process')
  assert.equal((await forge.admin.job(id))?.state, 'ready')
})

test('after the death of a whole tree the next one has its jobs at once, not after the lease', async (t) => {
  const { forge, effects, start } = scene(t)
  const { id } = await forge.enqueue(block, null)
  const first = start(['worker', handlersFile('effects')])
  const { pid } = await until(() => effects('start')[0], 'the start of the job')
  process.kill(first.child.pid!, 'SIGSTOP')
  process.kill(pid, 'SIGKILL')
  await first.ends('SIGKILL')
  const killedAt = performance.now()
  start(['worker', handlersFile('effects')])
  await until(() => effects('start').find((effect) => effect.pid !== pid), 'the second start')
  assert.ok(performance.now() - killedAt < 10_000, 'its lease of 15 s was not waited for')
  const job = await forge.admin.job(id)
  assert.deepEqual([job?.attempt, job?.crashes], [1, 1])
})

test('16 processes on one file finish 5,000 jobs, each once, none failed and no process lost', async (t) => {
  const { forge, effects, start } = scene(t)
  const worker = start(['worker', handlersFile('effects'), '-p', '16', '-c', '5', '--log-level', 'warn'])
  const handles = await forge.enqueueMany(
    work,
    Array.from({ length: 5_000 }, () => ({ ms: 0 })),
  )
  await until(async () => (await forge.admin.queues())[0]?.counts.completed === 5_000, '5,000 completed jobs')
  const ended = effects('end')
  assert.equal(ended.length, 5_000)
  assert.deepEqual(new Set(ended.map(({ id }) => id)), new Set(handles.map(({ id }) => id)))
  assert.ok(new Set(ended.map(({ pid }) => pid)).size > 1)
  assert.equal((await worker.ends('SIGTERM')).code, 0)
  // That a process had to wait for the lock of the file is no fault; that a job or a process suffered from it is.
  assert.doesNotMatch(worker.printed(), /"msg":"(job|worker) |    at /)
})
