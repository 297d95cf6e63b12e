// How often the engine commits and syncs: counted at the connection, so the figures hold on any machine.
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { migrate } from '#src/sqlite/checks.js'
import { connect, findDriver } from '#src/sqlite/connect.js'
import { Engine } from '#src/sqlite/engine.js'
import type { Method } from '#src/sqlite/operations.js'
import type { ExchangeReply, Settlement } from '#src/store/records.js'
import { someJob, someWorker } from './files.ts'

interface Counted {
  /** Submits calls that wait for the same turn and runs it. */
  turn(...calls: readonly (readonly [Method, ...unknown[]])[]): Promise<unknown[]>
  /** Commits since the last look: all, and those that were synced to disk. */
  counts(): { commits: number; syncs: number }
}

function countedEngine(t: TestContext, durability: 'full' | 'relaxed' = 'full'): Counted {
  const db = connect(findDriver(false).driver, ':memory:')
  migrate(db, 'apply', 0)
  let [commits, syncs, isFull] = [0, 0, false]
  const counting = {
    prepare: (sql: string) => db.prepare(sql),
    close: () => db.close(),
    exec(sql: string) {
      if (sql.startsWith('PRAGMA synchronous')) isFull = sql.endsWith('FULL')
      if (sql === 'COMMIT') {
        commits++
        if (isFull) syncs++
      }
      db.exec(sql)
    },
  }
  const engine = new Engine(counting, { path: ':memory:', durability, now: Date.now, hint: () => undefined })
  t.after(() => engine.close())
  return {
    turn(...calls) {
      const answers = calls.map(
        ([method, ...args]) =>
          new Promise<unknown>((resolve, reject) => engine.submit({ method, args, resolve, reject })),
      )
      engine.runTurn()
      return Promise.all(answers)
    },
    counts() {
      const seen = { commits, syncs }
      commits = syncs = 0
      return seen
    },
  }
}

const enqueueOne = (): [Method, ...unknown[]] => ['enqueue', [someJob()], { atomic: true }]

test('what waits together is committed and synced once', async (t) => {
  const engine = countedEngine(t)
  await engine.turn(...Array.from({ length: 50 }, enqueueOne))
  assert.deepEqual(engine.counts(), { commits: 1, syncs: 1 })
})

test('a call that fails does not fail the others of its turn', async (t) => {
  const engine = countedEngine(t)
  const worker = someWorker()
  const stale = { worker: worker.id, settlements: [], wants: [], slots: 0, notes: [] }
  await engine.turn(['register', worker], ['exchange', { ...stale, turn: 2, notes: [{ job: 'x', claim: 1 }] }])
  const job = someJob()
  const [failed, stored] = await Promise.allSettled([
    engine.turn(['exchange', { ...stale, turn: 1 }], ['enqueue', [job], { atomic: true }]),
    engine.turn(['jobs', [job.id]]),
  ])
  assert.equal(failed.status === 'rejected' && (failed.reason as { code: string }).code, 'LEASE_LOST')
  assert.equal(stored.status === 'fulfilled' && (stored.value[0] as { id: string }[])[0]?.id, job.id)
})

test('a life of 200 jobs costs three commits, two of them synced', async (t) => {
  const engine = countedEngine(t)
  const worker = someWorker()
  await engine.turn(['register', worker])
  engine.counts()

  await engine.turn(['enqueue', Array.from({ length: 200 }, () => someJob()), { atomic: true }])
  assert.deepEqual(engine.counts(), { commits: 1, syncs: 1 })

  const request = { worker: worker.id, notes: [], wants: [{ queue: 'default', slots: 200 }], slots: 200 }
  const [claimed] = (await engine.turn(['exchange', { ...request, turn: 1, settlements: [] }])) as [ExchangeReply]
  assert.equal(claimed.claimed.length, 200)
  // A claim promises nothing: after power loss no holder is left.
  assert.deepEqual(engine.counts(), { commits: 1, syncs: 0 })

  const settlements = claimed.claimed.map(({ job, claim }): Settlement => ({
    job,
    claim,
    outcome: 'complete',
    result: null,
  }))
  await engine.turn(['exchange', { ...request, turn: 2, settlements }])
  assert.deepEqual(engine.counts(), { commits: 1, syncs: 1 })
})

test('with nothing to do, a worker and its duties commit nothing', async (t) => {
  const engine = countedEngine(t)
  const worker = someWorker()
  await engine.turn(['register', worker])
  engine.counts()
  const idle = { worker: worker.id, settlements: [], wants: [{ queue: 'default', slots: 5 }], slots: 5, notes: [] }
  await engine.turn(['exchange', { ...idle, turn: 1 }], ['promote', 100], ['lost', 100], ['prune', 100])
  assert.deepEqual(engine.counts(), { commits: 0, syncs: 0 })
})

test('relaxed durability never syncs', async (t) => {
  const engine = countedEngine(t, 'relaxed')
  await engine.turn(enqueueOne())
  assert.deepEqual(engine.counts(), { commits: 1, syncs: 0 })
})
