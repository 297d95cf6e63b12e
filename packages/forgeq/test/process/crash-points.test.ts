// Real processes that die at each named place, one after the other: whoever comes after them finishes every job, once.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { failpoints } from '#src/store/failpoint.js'
import { newId } from '../sqlite/files.ts'
import { hold } from './handlers/effects.ts'
import { handlersFile, scene, until } from './scene.ts'

const run = async (args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<unknown[]> => {
  const child = spawn(process.execPath, [handlersFile('one-of-each'), ...args], {
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  return once(child, 'exit')
}

for (const name of failpoints.filter((point) => !/^(supervisor|move)\./.test(point))) {
  test(`killed at ${name}: the next process finishes everything, once`, async (t) => {
    const { folder, store, forge } = scene(t)
    const ids = [newId(), newId(), newId()]
    const args = [store, ...ids]
    const log = join(folder, 'hits')
    const died = await run(args, { FORGEQ_FAILPOINTS: `${name}=kill@1`, FORGEQ_FAILPOINT_LOG: log })
    assert.deepEqual(died, [null, 'SIGKILL'])
    assert.ok(readFileSync(log, 'utf8').startsWith(`${name}=kill@1 `))

    // What a supervisor does.
    for (const { id } of await forge.admin.workers()) await forge.store.leave(id)
    assert.deepEqual(await run(args), [0, null])
    const { jobs } = await forge.admin.jobs()
    assert.deepEqual(new Set(jobs.map(({ type }) => type)), new Set(['parent', 'child', 'delayed', 'lost']))
    assert.equal(jobs.length, 4)
    for (const { id } of jobs) {
      const job = await forge.admin.job(id, ['attempts'])
      assert.deepEqual([job?.state, job?.attempt], ['completed', 1])
      const outcomes = job!.attempts!.map(({ outcome }) => outcome)
      assert.deepEqual(outcomes, [...Array<string>(job!.crashes).fill('crash'), 'complete'])
    }
    assert.equal((await forge.admin.workers()).filter(({ closed }) => !closed).length, 0)
  })
}

test('a supervisor that dies before it reports a death: the lease tells it, the job runs again', async (t) => {
  const { forge, effects, start } = scene(t)
  const { id } = await forge.enqueue(hold, null)
  const first = start(['worker', handlersFile('effects')], { FORGEQ_FAILPOINTS: 'supervisor.after-death=kill@1' })
  const { pid } = await until(() => effects('start')[0], 'the start of the job')
  process.kill(pid, 'SIGKILL')
  assert.deepEqual(await first.ends(), { code: null, signal: 'SIGKILL' })
  assert.equal((await forge.admin.job(id))?.state, 'running')
  start(['worker', handlersFile('effects')])
  await until(() => effects('start').length === 2, 'the second start')
  assert.equal((await forge.admin.job(id))?.crashes, 1)
})
