// Jobs that kill their process: they die for it, those that ran beside them do not.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AttemptView, JobView } from 'forgeq'
import { risky, type Harm } from './handlers/poison.ts'
import { handlersFile, scene, until } from './scene.ts'

test('50 of 1,000 jobs kill their process: they end dead as poison, the other 950 complete, suspects side by side', async (t) => {
  const { forge, start } = scene(t)
  const harms = Array.from({ length: 1_000 }, (_, i): Harm =>
    i % 20 !== 10 ? 'none' : i % 40 === 10 ? 'exit' : 'kill',
  )
  const handles = await forge.enqueueMany(
    risky,
    harms.map((harm) => ({ harm })),
  )
  const worker = start(['worker', handlersFile('poison'), '-p', '2', '-c', '10', '--log-level', 'silent'])
  // Some 50 workers die, and twice as many processes of suspects.
  await until(
    async () => {
      const { completed = 0, dead = 0 } = (await forge.admin.queues())[0]?.counts ?? {}
      return completed + dead === 1_000
    },
    'the end of all jobs',
    4,
  )
  assert.equal((await worker.ends('SIGTERM')).code, 0)

  const jobs: JobView[] = []
  for (const { id } of handles) jobs.push((await forge.admin.job(id, ['attempts']))!)
  const ends = jobs.map(({ state, reason }) => [state, reason])
  assert.deepEqual(
    ends,
    harms.map((harm) => (harm === 'none' ? ['completed', undefined] : ['dead', 'poison'])),
  )
  jobs.forEach(({ attempts = [], crashes, attempt }, i) => {
    // Once beside a poison job, then in a process of its own.
    if (harms[i] === 'none') return assert.ok(crashes <= 1)
    assert.deepEqual([crashes, attempt], [3, 1])
    assert.deepEqual(
      attempts.map(({ outcome }) => outcome),
      ['crash', 'crash', 'crash'],
    )
    // The first crash may be that of a neighbour; then it ran in a process of its own.
    for (const { error } of attempts.slice(1)) {
      const { exitCode, signal } = error!.process!
      assert.deepEqual([exitCode, signal], harms[i] === 'exit' ? [7, null] : [null, 'SIGKILL'])
      assert.match(
        error!.message,
        /^the process \(\d+\) that ran this job died: (exit code 7|SIGKILL), last seen with \d+ MiB of memory/,
      )
    }
  })

  const runs = jobs.flatMap(({ attempts = [] }) => attempts.map((run, i): Claim => ({ ...run, isSuspect: i > 0 })))
  const pairs = runs.flatMap((run) => (run.isSuspect ? beside(run, runs) : []))
  assert.ok(pairs.filter(({ isSuspect }) => isSuspect).length > 100, 'suspects run side by side')
  assert.deepEqual(
    pairs.filter(({ isSuspect }) => !isSuspect),
    [],
    'and with nobody else',
  )
})

interface Claim extends AttemptView {
  /** It was running in a crash before. */
  readonly isSuspect: boolean
}

/** What the same worker ran at the same time. */
const beside = (run: Claim, all: readonly Claim[]): readonly Claim[] =>
  all.filter(
    (other) =>
      other !== run && other.worker === run.worker && other.startedAt < run.endedAt && run.startedAt < other.endedAt,
  )
