// SIGTERM: what runs may end, what does not end is handed back unharmed, and by the deadline everything is over.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { block, deaf, hold, work } from './handlers/effects.ts'
import { handlersFile, isAlive, scene, until } from './scene.ts'

test('running jobs may end; nothing is claimed any more; exit code 0', async (t) => {
  const { forge, effects, start } = scene(t)
  const handles = await forge.enqueueMany(
    work,
    Array.from({ length: 20 }, () => ({ ms: 400 })),
  )
  const worker = start(['worker', handlersFile('effects'), '-p', '2', '-c', '3'], { FORGEQ_SHUTDOWN_TIMEOUT: '20s' })
  await until(() => effects('start').length >= 3, 'running jobs')
  assert.deepEqual(await worker.ends('SIGTERM'), { code: 0, signal: null })
  const [started, ended] = [effects('start'), effects('end')]
  assert.equal(started.length, ended.length)
  assert.ok(ended.length < handles.length)
  const [queue] = await forge.admin.queues()
  assert.deepEqual(
    [queue?.counts.completed, queue?.counts.ready, queue?.counts.running],
    [ended.length, 20 - ended.length, 0],
  )
})

test('what does not end by the deadline goes back to the front of its queue, with no attempt counted', async (t) => {
  const { forge, effects, start } = scene(t)
  const [held, ignored] = [await forge.enqueue(hold, null), await forge.enqueue(deaf, null)]
  const worker = start(['worker', handlersFile('effects')])
  await until(() => effects('start').length === 2, 'two running jobs')
  const later = await forge.enqueue(work, { ms: 0 })
  const toldAt = performance.now()
  await until(async () => (await forge.admin.job(later.id))?.state === 'completed', 'the job behind them')
  assert.equal((await worker.ends('SIGTERM')).code, 0)
  assert.ok(performance.now() - toldAt < 10_000)
  for (const { id } of [held, ignored]) {
    const job = await forge.admin.job(id)
    assert.deepEqual([job?.state, job?.attempt, job?.crashes], ['ready', 1, 0])
  }
  assert.match(
    worker.printed(),
    new RegExp(`stopping: waits for 2 jobs \\(hold ${held.id}, deaf ${ignored.id}\\), for at most 3 s`),
  )

  const fresh = await forge.enqueue(work, { ms: 0 })
  const seen = effects().length
  start(['worker', handlersFile('effects'), '-c', '3'])
  await until(() => effects('end').some(({ id }) => id === fresh.id), 'the fresh job')
  assert.deepEqual(
    effects()
      .slice(seen, seen + 3)
      .map(({ id }) => id),
    [held.id, ignored.id, fresh.id],
  )
})

test('a process that cannot even hear is killed at the deadline; its job comes back, and nothing is counted', async (t) => {
  const { forge, effects, start } = scene(t)
  const { id } = await forge.enqueue(block, null)
  const worker = start(['worker', handlersFile('effects')])
  const { pid } = await until(() => effects('start')[0], 'the blocked process')
  const toldAt = performance.now()
  assert.equal((await worker.ends('SIGTERM')).code, 0)
  assert.ok(performance.now() - toldAt < 8_000, 'a deadline of 3 s, and room for a busy machine')
  assert.equal(isAlive(pid), false)
  assert.match(worker.printed(), /missed the deadline, was killed/)
  const job = await forge.admin.job(id)
  assert.deepEqual([job?.state, job?.attempt, job?.crashes], ['ready', 1, 0])
})

test('the second signal hands back at once', async (t) => {
  const { forge, effects, start } = scene(t)
  const { id } = await forge.enqueue(hold, null)
  const worker = start(['worker', handlersFile('effects')], { FORGEQ_SHUTDOWN_TIMEOUT: '10m' })
  await until(() => effects('start')[0], 'the running job')
  worker.child.kill('SIGTERM')
  await worker.prints(/stopping: waits for 1 job/)
  const ended = worker.ends()
  // Signals that come together are one wish: it is repeated as somebody at a terminal would.
  const again = setInterval(() => worker.child.kill('SIGINT'), 400)
  assert.deepEqual(await ended, { code: 130, signal: null })
  clearInterval(again)
  assert.equal((await forge.admin.job(id))?.state, 'ready')
})

test('with --drain it ends by itself when nothing is left to do', async (t) => {
  const { forge, effects, start } = scene(t)
  await forge.enqueueMany(
    work,
    Array.from({ length: 30 }, () => ({ ms: 20 })),
  )
  await forge.enqueue(work, { ms: 0 }, { delay: '1h' })
  const worker = start(['worker', handlersFile('effects'), '-p', '2', '-c', '4', '--drain'])
  assert.deepEqual(await worker.ends(), { code: 0, signal: null })
  assert.equal(effects('end').length, 30)
  const [queue] = await forge.admin.queues()
  assert.deepEqual([queue?.counts.completed, queue?.counts.scheduled, queue?.counts.running], [30, 1, 0])
})
