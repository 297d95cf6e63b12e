// Rates that the environment gives to workers: set for the queues they serve, before they claim anything.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runCommand } from '../cli/command.ts'
import { greet } from '../cli/handlers/jobs.ts'
import { handlersFile, scene } from './scene.ts'

const handlers = handlersFile('../../cli/handlers/jobs')

test('a starting worker sets them on each queue it serves, and a queue that others serve is left alone', async (t) => {
  const { folder, forge } = scene(t)
  await forge.admin.limit('greetings', { ratePerPriority: { high: '1/s', normal: '2/s', low: '3/s' } })
  await forge.admin.limit('elsewhere', { ratePerPriority: { high: '1/s' } })
  const env = { FORGEQ_RATE_LIMIT_HIGH: '1000/m', FORGEQ_RATE_LIMIT_LOW: 'none', FORGEQ_PROCESSES: '2' }
  const { code, stderr } = await runCommand(folder, ['worker', handlers, '--drain'], { env })
  assert.equal(code, 0, stderr)
  const rates = Object.fromEntries(
    (await forge.admin.queues()).map(({ queue, limits }) => [queue, limits.ratePerPriority]),
  )
  assert.deepEqual(rates, {
    default: { high: '1000/m' },
    elsewhere: { high: '1/s' },
    greetings: { high: '1000/m', normal: '2/s' },
  })
})

test('what an operator changed stays when a process is replaced', async (t) => {
  const { forge, start } = scene(t)
  const worker = start(['worker', handlers, '--max-jobs', '1'], { FORGEQ_RATE_LIMIT_NORMAL: '1000/m' })
  await worker.prints(/worker started/)
  await forge.admin.limit('greetings', { ratePerPriority: { normal: '500/m' } })
  await (await forge.enqueue(greet, { name: 'Ada' })).result()
  await worker.prints(/worker process is replaced/)
  await (await forge.enqueue(greet, { name: 'Bo' })).result()
  const queue = await forge.admin.queue('greetings')
  assert.deepEqual(queue?.limits.ratePerPriority, { normal: '500/m' })
  assert.deepEqual(await worker.ends('SIGTERM'), { code: 0, signal: null })
})
