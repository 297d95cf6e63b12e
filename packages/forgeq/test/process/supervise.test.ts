// What does not come up: crash loops with growing pauses, and faults that no restart would mend.
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { exit } from './handlers/effects.ts'
import { handlersFile, scene, until } from './scene.ts'

test('a process that dies soon is started anew, each time after a longer pause', async (t) => {
  const { start } = scene(t)
  const worker = start(['worker', handlersFile('dies-soon')])
  const died = /(?:"how":"exit code 3","restartMs":(\d+)[^]*?){4}/
  await worker.prints(died)
  const pauses = Array.from(worker.printed().matchAll(/"restartMs":(\d+)/g), ([, ms]) => Number(ms))
  const bounds = [100, 200, 400, 800, 1600]
  pauses
    .slice(0, 4)
    .forEach((ms, i) => assert.ok(ms >= bounds[i]! && ms <= bounds[i + 1]!, `pause ${i + 1} is ${ms} ms`))
  assert.deepEqual(await worker.ends('SIGTERM'), { code: 0, signal: null })
})

test('a module that ends its process at every load ends it after three times, and is named', async (t) => {
  const { start } = scene(t)
  const worker = start(['worker', handlersFile('effects'), handlersFile('crash-at-start'), '-p', '2'])
  assert.deepEqual(await worker.ends(), { code: 2, signal: null })
  const said = worker
    .printed()
    .match(/^error: \S*crash-at-start\.js cannot be loaded: .* \(exit code 3\), 3 times in a row/gm)
  assert.equal(said?.length, 1, worker.printed())
})

test('a module that never finishes loading is named, and keeps nobody from stopping', async (t) => {
  const { folder, start } = scene(t)
  writeFileSync(join(folder, 'stuck.mjs'), 'await new Promise(() => {})')
  const worker = start(['worker', 'stuck.mjs'])
  await worker.prints(/"module":"stuck\.mjs","forMs":5000,"msg":"worker process still loads a module/)
  assert.deepEqual(await worker.ends('SIGTERM'), { code: 0, signal: null })
  assert.doesNotMatch(worker.printed(), /was killed/)
})

test('handlers that cannot be loaded end it with exit code 2 and the reason, once', async (t) => {
  const { folder, start } = scene(t)
  writeFileSync(join(folder, 'broken.mjs'), 'export const = 1')
  const worker = start(['worker', 'broken.mjs', '-p', '2'])
  assert.deepEqual(await worker.ends(), { code: 2, signal: null })
  assert.equal(worker.printed().match(/error: broken\.mjs cannot be loaded: SyntaxError/g)?.length, 1)
})

test('a store that cannot be opened ends it with exit code 6', async (t) => {
  const { folder, start } = scene(t)
  writeFileSync(join(folder, 'file'), '')
  const worker = start(['worker', handlersFile('effects'), '--store', 'sqlite:file/jobs.db'])
  assert.equal((await worker.ends()).code, 6)
})

test('a store in memory is refused: the processes could not share it', async (t) => {
  const { start } = scene(t)
  const worker = start(['worker', handlersFile('effects'), '--store', 'sqlite::memory:'])
  assert.equal((await worker.ends()).code, 2)
  assert.match(worker.printed(), /give it a file/)
})

test('handlers in a queue that is not served are warned of', async (t) => {
  const { start } = scene(t)
  const worker = start(['worker', handlersFile('effects'), '-q', 'mails', '--drain'])
  assert.equal((await worker.ends()).code, 0)
  assert.match(worker.printed(), /"warn".*work goes to queue default, which this worker does not serve/)
})

test('a process that dies of its jobs is started anew after a short pause each time: they pay for it', async (t) => {
  const { forge, start } = scene(t)
  // Each takes its worker down once; the next time it has a process of its own.
  const jobs = await forge.enqueueMany(exit, [3, 3, 3, 3])
  const worker = start(['worker', handlersFile('effects'), '-c', '1'])
  await worker.prints(/(?:"how":"exit code 3","restartMs":(\d+)[^]*?){4}/)
  const pauses = Array.from(worker.printed().matchAll(/"restartMs":(\d+)/g), ([, ms]) => Number(ms))
  assert.deepEqual(
    pauses.filter((ms) => ms > 200),
    [],
  )
  for (const { id } of jobs) await until(async () => (await forge.admin.job(id))?.reason === 'poison', 'poison')
  assert.deepEqual(await worker.ends('SIGTERM'), { code: 0, signal: null })
})
