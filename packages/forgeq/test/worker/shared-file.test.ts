import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { defineJob, ForgeQ, typed } from 'forgeq'

test('workers of several stores on one file share the work: every job runs once, results reach whoever awaits them', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'forgeq-'))
  const forges = Array.from({ length: 3 }, () => new ForgeQ({ store: `sqlite:${join(folder, 'jobs.db')}` }))
  t.after(async () => {
    await Promise.all(forges.map((forge) => forge.close()))
    await rm(folder, { recursive: true })
  })
  const runs = new Map<number, number>()
  const square = defineJob('square', { input: typed<number>() }, async ({ input }) => {
    runs.set(input, (runs.get(input) ?? 0) + 1)
    await new Promise((resolve) => setImmediate(resolve))
    return input * input
  })
  const running = forges.slice(1).map((forge) => forge.worker({ handlers: [square], signals: false }).run())
  const [producer] = forges
  assert.ok(producer)
  const numbers = Array.from({ length: 1_000 }, (_, i) => i)
  const handles = await producer.enqueueMany(square, numbers)
  const results = await Promise.all(handles.map((handle) => handle.result({ timeout: '60s' })))
  assert.deepEqual(
    results,
    numbers.map((n) => n * n),
  )
  assert.ok([...runs.values()].every((count) => count === 1))
  await Promise.all(forges.map((forge) => forge.close()))
  await Promise.all(running)
})
