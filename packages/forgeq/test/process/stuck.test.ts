// Handlers beyond their limits: their process is replaced, the overdue job has failed with TIMEOUT, the others are unharmed.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { endless, ignore, late, patient, sleep, spin } from './handlers/stuck.ts'
import { handlersFile, isAlive, scene, until } from './scene.ts'

/** Timeout and grace of the handlers, and the second after it. */
const withinMs = 1_000 + 5_000 + 1_000

for (const [name, job] of [
  ['for ever in JavaScript', spin],
  ['in native code', sleep],
] as const) {
  test(`a handler that blocks its process ${name} fails with TIMEOUT in time; what ran beside it is handed back`, async (t) => {
    const { forge, effects, start } = scene(t)
    const beside = await forge.enqueue(patient, null)
    const worker = start(['worker', handlersFile('stuck'), '-c', '2'])
    const { pid } = await until(() => effects('start')[0], 'the start of the patient one')
    const { id } = await forge.enqueue(job, null)
    await until(() => effects('start').some((effect) => effect.id === id), 'the start of the blocking one')
    await until(async () => (await forge.admin.job(id))?.state === 'scheduled', 'its failure')
    const failed = await forge.admin.job(id, ['attempts'])
    const [attempt] = failed!.attempts!
    const tookMs = attempt!.endedAt.getTime() - attempt!.startedAt.getTime()
    assert.ok(tookMs <= withinMs, `it took ${tookMs} ms`)
    t.diagnostic(`${tookMs} ms after its claim`)
    assert.deepEqual([failed?.error?.code, failed?.attempt, failed?.crashes], ['TIMEOUT', 2, 0])
    assert.equal(isAlive(pid), false)
    await until(() => effects('start').some((effect) => effect.id === beside.id && effect.pid !== pid), 'a new process')
    const innocent = await forge.admin.job(beside.id)
    assert.deepEqual([innocent?.state, innocent?.attempt, innocent?.crashes], ['running', 1, 0])
    assert.match(worker.printed(), new RegExp(`"pid":${pid},"how":"stuck in a handler","restartMs":\\d+`))
    assert.match(worker.printed(), new RegExp(`process ${pid} is stuck in a handler and ends`))
    // Its end does not wait for a busy machine; that the stack is shown where there is time: quit.test.ts.
    if (job === spin) assert.match(worker.printed(), /at spinForEver \(.*stuck\.js:\d+:\d+\)|has no time to answer/)
    assert.equal((await worker.ends('SIGTERM')).code, 0)
  })
}

test('a handler that blocks for longer than its timeout, and then ends, costs no process', async (t) => {
  const { forge, effects, start } = scene(t)
  const { id } = await forge.enqueue(late, null)
  const worker = start(['worker', handlersFile('stuck')])
  await until(async () => (await forge.admin.job(id))?.state === 'scheduled', 'its failure')
  assert.equal((await forge.admin.job(id))?.error?.code, 'TIMEOUT')
  const { pid } = effects('end')[0]!
  assert.ok(isAlive(pid))
  assert.equal((await worker.ends('SIGTERM')).code, 0)
  assert.doesNotMatch(worker.printed(), /is stuck|process died/)
})

test('a process in which a handler ignores its abort is replaced at once', async (t) => {
  const { forge, effects, start } = scene(t)
  const [{ id }, beside] = [await forge.enqueue(ignore, null), await forge.enqueue(patient, null)]
  const worker = start(['worker', handlersFile('stuck'), '-c', '2'])
  const { pid } = await until(() => effects('start').length === 2 && effects('start')[0], 'two starts')
  await worker.prints(/"reason":"stuck","msg":"worker process is replaced"/)
  assert.match(worker.printed(), /job does not react to its abort, still runs/)
  await until(() => effects('start').some((effect) => effect.id === beside.id && effect.pid !== pid), 'a new process')
  assert.equal(isAlive(pid), false)
  const [failed, innocent] = [await forge.admin.job(id), await forge.admin.job(beside.id)]
  assert.deepEqual([failed?.error?.code, failed?.attempt, failed?.crashes], ['TIMEOUT', 2, 0])
  assert.deepEqual([innocent?.attempt, innocent?.crashes], [1, 0])
  assert.equal((await worker.ends('SIGTERM')).code, 0)
})

test('a process that was stopped for longer than its handler may take, and goes on, is not stuck', async (t) => {
  const { forge, effects, start } = scene(t)
  const { id } = await forge.enqueue(ignore, null)
  const worker = start(['worker', handlersFile('stuck')])
  const { pid } = await until(() => effects('start')[0], 'the start')
  process.kill(pid, 'SIGSTOP')
  const stoppedAt = performance.now()
  await until(() => performance.now() - stoppedAt > 6_500, 'the end of its limits')
  process.kill(pid, 'SIGCONT')
  await until(async () => (await forge.admin.job(id))?.state === 'scheduled', 'its failure')
  assert.equal((await forge.admin.job(id))?.error?.code, 'TIMEOUT')
  assert.doesNotMatch(worker.printed(), /is stuck/)
})

test('a blocked process whose supervisor is killed ends', async (t) => {
  const { forge, effects, start } = scene(t)
  await forge.enqueue(endless, null)
  const worker = start(['worker', handlersFile('stuck')])
  const { pid } = await until(() => effects('start')[0], 'the start of the job')
  await worker.ends('SIGKILL')
  const orphanedAt = performance.now()
  await until(() => !isAlive(pid), 'the end of the process')
  assert.ok(performance.now() - orphanedAt < 8_000)
})
