// SIGQUIT shows what runs, SIGTERM ends in time whatever the store does, and after it nothing is claimed.
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { work } from './handlers/effects.ts'
import { loop, loopThread, native, waitProcess, waitThread } from './handlers/isolated.ts'
import { endless, patient, sleep } from './handlers/stuck.ts'
import { handlersFile, isAlive, scene, until } from './scene.ts'
import { onlyOnFiles, shut } from './stage-store.ts'

test('SIGQUIT: a process whose event loop is free tells what waits, and goes on', async (t) => {
  const { forge, effects, start } = scene(t)
  const { id } = await forge.enqueue(patient, null)
  const worker = start(['worker', handlersFile('stuck')])
  const { pid } = await until(() => effects('start')[0], 'the start')
  process.kill(pid, 'SIGQUIT')
  const shown = new RegExp(`process ${pid} runs, 1 job\\n  patient ${id}, attempt 1, for .*\\n.*its event loop is free`)
  await worker.prints(shown)
  assert.ok(isAlive(pid))
  assert.equal((await worker.ends('SIGTERM')).code, 0)
})

test('SIGQUIT at the supervisor: a blocked process shows where its JavaScript is, and goes on', async (t) => {
  const { forge, effects, start } = scene(t)
  const beside = await forge.enqueue(patient, null)
  const worker = start(['worker', handlersFile('stuck'), '-c', '2'])
  await until(() => effects('start')[0], 'the first start')
  const { id } = await forge.enqueue(endless, null)
  const { pid } = await until(() => effects('start')[1], 'the second start')
  worker.child.kill('SIGQUIT')
  await worker.prints(/at spinForEver \(.*stuck\.js:\d+:\d+\)/)
  for (const line of [
    `  patient ${beside.id}, attempt 1`,
    `  endless ${id}, attempt 1`,
    ', blocks the event loop',
    `process ${pid} is blocked, 2 jobs`,
  ]) {
    assert.ok(worker.printed().includes(line), line)
  }
  assert.ok(isAlive(pid))
  assert.equal((await worker.ends('SIGTERM')).code, 0)
})

test('SIGQUIT: of a process in native code is said that it tells nothing', async (t) => {
  const { forge, effects, start } = scene(t)
  await forge.enqueue(sleep, null)
  const worker = start(['worker', handlersFile('stuck')])
  await until(() => effects('start')[0], 'the start')
  worker.child.kill('SIGQUIT')
  await worker.prints(/is blocked\n.*its main thread tells nothing: it is inside native code/)
  assert.equal((await worker.ends('SIGTERM')).code, 0)
})

test('SIGQUIT: where isolated handlers are is shown, also of those that block their thread or process', async (t) => {
  const { forge, effects, start } = scene(t)
  const types = [loop, loopThread, waitProcess, waitThread, native] as const
  const ids: string[] = []
  for (const type of types) ids.push((await forge.enqueue(type, null)).id)
  const worker = start(['worker', handlersFile('isolated'), '-c', '5'])
  await until(() => effects('start').length === types.length, 'all of them')
  worker.child.kill('SIGQUIT')
  await worker.prints(/its event loop is free/)
  const shown = worker.printed()
  const [inProcess, inThread] = [/, in process \d+\n/.source, /, in a thread of its own\n/.source]
  const file = /file:.*isolated\.js:\d+:\d+/.source
  const says = [
    `${inProcess} +at spinInProcess \\(${file}\\)`,
    `${inThread} +at spinInThread \\(${file}\\)`,
    `${inProcess} +it waits`,
    `${inThread} +it waits`,
    `${inThread} +it tells nothing: it is inside native code`,
  ]
  for (const [i, { name }] of types.entries()) {
    assert.match(shown, new RegExp(`  ${name} ${ids[i]}, attempt 1, for [\\d.]+m?s${says[i]}`))
  }
  await worker.ends('SIGTERM')
})

test('SIGQUIT at an isolated process neither ends it nor costs its job anything', async (t) => {
  const { forge, effects, start } = scene(t)
  const { id } = await forge.enqueue(loop, null)
  const worker = start(['worker', handlersFile('isolated')])
  const { pid } = await until(() => effects('start')[0], 'the start')
  process.kill(pid, 'SIGQUIT')
  worker.child.kill('SIGQUIT')
  await worker.prints(/its event loop is free/)
  assert.ok(isAlive(pid))
  assert.equal((await worker.ends('SIGTERM')).code, 0)
  assert.equal((await forge.admin.job(id))?.crashes, 0)
})

test('SIGTERM while the store does not answer: it ends by the deadline', async (t) => {
  const { folder, store, forge, effects, start } = scene(t)
  await forge.enqueue(patient, null)
  const worker = start(['worker', handlersFile('stuck')])
  await until(() => effects('start')[0], 'the start')
  await shut(t, folder, store)
  const toldAt = performance.now()
  assert.deepEqual(await worker.ends('SIGTERM'), { code: 0, signal: null }, worker.printed())
  assert.ok(performance.now() - toldAt < 4_000, `it took ${performance.now() - toldAt} ms of 3 s`)
})

test('SIGTERM while it waits for the store at its start: it ends at once, for nothing runs yet', async (t) => {
  const { folder, store, forge, start } = scene(t)
  // A file may not be there yet, a schema has to be.
  if (onlyOnFiles.skip !== false) await forge.ready()
  await shut(t, folder, store)
  const worker = start(['worker', handlersFile('stuck')])
  const { pid } = worker.child
  // The others Node catches from the start, whoever hears them.
  await until(() => catches(pid!, sighup), 'that it hears signals')
  assert.deepEqual(await worker.ends('SIGTERM'), { code: 0, signal: null })
})

const sighup = 1
/** By the mask of the system; where it has none this cannot be seen. */
const catches = (pid: number, signal: number): boolean =>
  !existsSync('/proc/self/status') ||
  (BigInt(`0x${/^SigCgt:\s*(\w+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]}`) >> BigInt(signal - 1)) %
    2n ===
    1n

test('SIGTERM under load: nothing is claimed any more, what runs ends', async (t) => {
  const { forge, effects, start } = scene(t)
  await forge.enqueue(work, { ms: 4_000 }, { priority: 0 })
  await forge.enqueueMany(
    work,
    Array.from({ length: 2_000 }, () => ({ ms: 20 })),
  )
  const worker = start(['worker', handlersFile('effects'), '-p', '2', '-c', '5', '--log-level', 'warn'], {
    FORGEQ_SHUTDOWN_TIMEOUT: '20s',
  })
  await until(() => effects('end').length > 20, 'some completed jobs')
  const toldAt = Date.now()
  assert.deepEqual(await worker.ends('SIGTERM'), { code: 0, signal: null })
  assert.ok(Date.now() - toldAt > 2_000, 'the long job was waited for')
  const seen: number[] = []
  let cursor: string | undefined
  do {
    const page = await forge.admin.jobs({}, { limit: 1000, ...(cursor !== undefined && { cursor }) })
    for (const { id } of page.jobs) {
      const job = await forge.admin.job(id, ['attempts'])
      seen.push(job?.startedAt?.getTime() ?? 0, ...(job?.attempts ?? []).map(({ startedAt }) => startedAt.getTime()))
      assert.ok(job?.state === 'completed' || job?.state === 'ready', job?.state)
      assert.deepEqual([job.attempt, job.crashes], [1, 0], worker.printed())
    }
    cursor = page.cursor
  } while (cursor !== undefined)
  // Supervisor and processes hear of it one after the other; the machine may be busy.
  assert.ok(Math.max(...seen) < toldAt + 1_000, `claimed ${Math.max(...seen) - toldAt} ms after the signal`)
  const [queue] = await forge.admin.queues()
  assert.equal(queue?.counts.running, 0)
  assert.ok(queue.counts.ready > 0)
})

test('processes whose supervisor is killed abort what runs within a second, hand it back and leave', async (t) => {
  const { forge, effects, start } = scene(t)
  const { id } = await forge.enqueue(patient, null)
  const worker = start(['worker', handlersFile('stuck')], { FORGEQ_SHUTDOWN_TIMEOUT: '10m' })
  const { pid } = await until(() => effects('start')[0], 'the start of the job')
  const killedAt = performance.now()
  await worker.ends('SIGKILL')
  await until(() => effects('abort')[0], 'the abort')
  assert.ok(performance.now() - killedAt < 1_000)
  await until(() => !isAlive(pid), 'the end of the process')
  const job = await forge.admin.job(id)
  assert.deepEqual([job?.state, job?.attempt, job?.crashes], ['ready', 1, 0])
})
