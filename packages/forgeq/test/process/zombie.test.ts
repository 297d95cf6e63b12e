// Processes that stand still for longer than their lease: what was theirs is others', and they are the first to know.
import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { describe, test, type TestContext } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { blocking, held, openEffects, timed } from './handlers/fenced.ts'
import { handlersFile, scene, stopOutsideWrites, until, type Scene } from './scene.ts'

const leaseMs = 5_000

interface Crew extends Omit<Scene, 'start'> {
  /** A process with a worker that has room for 10 jobs. */
  readonly startWorker: () => ChildProcess & { readonly pid: number }
  readonly fenced: () => readonly { readonly job: string; readonly claim: number; readonly pid: number }[]
}

function crew(t: TestContext): Crew {
  const { start: _, ...base } = scene(t)
  const [effectsFile, notes] = [join(base.folder, 'fenced.db'), join(base.folder, 'effects')]
  const db = openEffects(effectsFile)
  t.after(() => db.close())
  return {
    ...base,
    startWorker: () => {
      const args = [handlersFile('fenced'), base.store, effectsFile, notes]
      const child = spawn(process.execPath, args, { stdio: 'inherit' })
      t.after(async () => {
        if (child.exitCode === null && child.kill('SIGKILL')) await once(child, 'exit')
      })
      return child as ReturnType<Crew['startWorker']>
    },
    fenced: () => db.prepare('SELECT job, claim, pid FROM effect').all() as ReturnType<Crew['fenced']>,
  }
}

describe('longer than a lease', { concurrency: true }, () => {
  test('a process is stopped for two leases in the middle of its handlers: others run them, it is refused, and works on', async (t) => {
    const { forge, effects, startWorker, fenced } = crew(t)
    const zombie = startWorker()
    // The second one comes to its end at the very moment the process goes on, before it can know.
    const [waiting, late] = [await forge.enqueue(held), await forge.enqueue(timed, { ms: 2_000 })]
    await until(() => effects('start').length === 2, 'two starts')
    await stopOutsideWrites(zombie.pid, forge)
    const stoppedAt = performance.now()
    const heir = startWorker()
    await Promise.all([waiting.result(), late.result()])
    assert.ok(performance.now() - stoppedAt > leaseMs / 2, 'not before its lease was over')
    assert.ok(performance.now() - stoppedAt < 2 * leaseMs + 3_000)
    heir.kill('SIGTERM')
    await once(heir, 'exit')
    const third = await forge.enqueue(timed, { ms: 0 })
    await wait(2 * leaseMs - (performance.now() - stoppedAt))
    const seen = effects().length
    zombie.kill('SIGCONT')
    await third.result()
    await until(() => effects('refused').length === 2, 'two effects that are refused')
    const then = effects().slice(seen)
    assert.deepEqual(
      then.filter(({ id }) => id === waiting.id).map(({ what }) => what),
      ['LEASE_LOST', 'refused'],
    )
    const place = (what: string): number => then.findIndex((one) => one.what === what)
    assert.ok(place('start') > place('LEASE_LOST'), 'it aborts before it starts anything')
    for (const { id } of [waiting, late]) {
      const job = await forge.admin.job(id, ['attempts'])
      assert.deepEqual(
        job?.attempts?.map(({ outcome, claim }) => [outcome, claim]),
        [
          ['crash', 1],
          ['complete', 2],
        ],
      )
      assert.deepEqual(
        fenced().find(({ job: effected }) => effected === id),
        Object.assign(Object.create(null), { job: id, claim: 2, pid: heir.pid }),
      )
    }
    const own = (await forge.admin.workers()).filter(({ pid, closed }) => pid === zombie.pid && !closed)
    assert.equal(own.length, 1, 'it registered anew')
  })

  test('an event loop that is blocked for three leases: nothing is lost, nothing runs twice', async (t) => {
    const { forge, effects, startWorker, fenced } = crew(t)
    const blocked = startWorker()
    const beside = await forge.enqueue(timed, { ms: 1_000 })
    const block = await forge.enqueue(blocking, { ms: 3 * leaseMs })
    await until(() => effects('start').length === 2, 'two starts')
    startWorker()
    await Promise.all([beside.result(), block.result()])
    assert.equal(effects('start').length, 2)
    for (const { id } of [beside, block]) {
      const job = await forge.admin.job(id)
      assert.deepEqual([job?.state, job?.crashes], ['completed', 0])
    }
    assert.deepEqual(
      fenced().map(({ claim, pid }) => [claim, pid]),
      [
        [1, blocked.pid],
        [1, blocked.pid],
      ],
    )
  })
})
