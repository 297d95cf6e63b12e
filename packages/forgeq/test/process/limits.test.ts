// Limits held by several worker processes that are killed again and again: what the store has on record of every claim
// shows whether there ever were more than there may be.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AttemptRecord, JobRecord } from '#src/store/records.js'
import { mostAtOnce, shortestWindow } from './claims.ts'
import { failsOnce, work } from './handlers/effects.ts'
import { handlersFile, scene, until, type Scene } from './scene.ts'

test('the checks see one claim too many', () => {
  const claims = [0, 10, 20].map((startedAt) => ({ startedAt, endedAt: startedAt + 11 }))
  assert.equal(mostAtOnce(claims), 2)
  assert.equal(mostAtOnce(claims.map(({ startedAt }) => ({ startedAt, endedAt: startedAt + 10 }))), 1)
  assert.equal(shortestWindow(claims, 2), 20)
})

/** Waits for the end of all jobs; a process that starts the nth job of `kills` is killed. */
async function playThrough({ forge, effects }: Scene, ids: readonly string[], kills: readonly number[]) {
  for (const n of kills) {
    const { pid } = await until(() => effects('start')[n], `start ${n}`)
    try {
      process.kill(pid, 'SIGKILL')
    } catch (error) {
      // It may have been the victim before.
      assert.equal((error as NodeJS.ErrnoException).code, 'ESRCH')
    }
  }
  const records = async (): Promise<readonly JobRecord[]> => forge.store.jobs(ids, ['attempts'])
  const jobs = await until(async () => {
    const now = await records()
    return now.every(({ finishedAt }) => finishedAt !== null) && now
  }, 'the end of all jobs')
  assert.deepEqual([...new Set(jobs.map(({ state }) => state))], ['completed'])
  return jobs
}

const claimsOf = (jobs: readonly JobRecord[]): readonly AttemptRecord[] => jobs.flatMap(({ attempts }) => attempts!)

test('rates, slots and keys hold while processes are killed, and nothing of them leaks', async (t) => {
  const stage = scene(t)
  const { forge, effects, start } = stage
  await forge.admin.limit('default', {
    concurrency: 6,
    rate: { max: 40, per: '500ms' },
    perKey: { concurrency: 2, rate: { max: 9, per: '700ms' } },
  })
  const calls = Array.from({ length: 240 }, (_, i) => work.with({ ms: 15 }, { key: `key-${i % 6}` }))
  const handles = await forge.enqueueMany(calls)
  const worker = start(['worker', handlersFile('effects'), '-p', '4', '-c', '8', '--log-level', 'warn'])
  const jobs = await playThrough(
    stage,
    handles.map(({ id }) => id),
    [20, 60, 100, 140],
  )

  const claims = claimsOf(jobs)
  assert.ok(claims.length > jobs.length, 'some were running when their process was killed')
  assert.ok(new Set(effects('start').map(({ pid }) => pid)).size > 4, 'others took the place of the killed')
  assert.ok(mostAtOnce(claims) <= 6, `${mostAtOnce(claims)} at a time`)
  assert.ok(shortestWindow(claims, 40) >= 500, `41 starts in ${shortestWindow(claims, 40)} ms`)
  for (const key of new Set(jobs.map((job) => job.key))) {
    const ofKey = claimsOf(jobs.filter((job) => job.key === key))
    assert.ok(mostAtOnce(ofKey) <= 2, `${mostAtOnce(ofKey)} of ${key} at a time`)
    assert.ok(shortestWindow(ofKey, 9) >= 700, `10 starts of ${key} in ${shortestWindow(ofKey, 9)} ms`)
  }

  const again = await forge.enqueueMany(calls.slice(0, 12))
  for (const handle of again) await handle.result({ timeout: '10s' })
  assert.equal((await worker.ends('SIGTERM')).code, 0)
})

test('the jobs of an ordered key follow each other through failures and killed processes', async (t) => {
  const stage = scene(t)
  const { forge, start } = stage
  await forge.admin.limit('default', { perKey: { ordered: true } })
  const calls = Array.from({ length: 90 }, (_, i) => failsOnce.with({ ms: 15 }, { key: `key-${i % 6}` }))
  const handles = await forge.enqueueMany(calls)
  const worker = start(['worker', handlersFile('effects'), '-p', '3', '-c', '8', '--log-level', 'warn'])
  const jobs = await playThrough(
    stage,
    handles.map(({ id }) => id),
    [10, 40, 90],
  )

  for (const key of new Set(jobs.map((job) => job.key))) {
    const ofKey = jobs.filter((job) => job.key === key)
    for (const [i, job] of ofKey.slice(1).entries()) {
      assert.ok(job.attempts![0]!.startedAt >= ofKey[i]!.finishedAt!, `job ${i + 1} of ${key} did not wait`)
    }
  }
  assert.equal((await worker.ends('SIGTERM')).code, 0)
})
