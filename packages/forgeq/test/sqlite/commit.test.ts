// How often the engine commits and syncs: counted at the connection, so the figures hold on any machine.
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { defaultPolicy } from '#src/core/policy.js'
import { migrate } from '#src/sqlite/checks.js'
import { connect, findDriver, type Database } from '#src/sqlite/connect.js'
import { Engine } from '#src/sqlite/engine.js'
import { StoreClock } from '#src/sqlite/store-clock.js'
import type { Method } from '#src/store/calling-store.js'
import type { ExchangeReply, ExchangeRequest, Settlement } from '#src/store/records.js'
import { someJob, someWorker } from './files.ts'

interface Counted {
  readonly db: Database
  /** Submits calls that wait for the same turn and runs it. */
  turn(...calls: readonly (readonly [Method, ...unknown[]])[]): Promise<unknown[]>
  /** Runs an exchange that is answered late. */
  wait(request: ExchangeRequest): Promise<ExchangeReply>
  /** Hears that answers are sent while the turn goes on. */
  onSend(fn: () => void): void
  /** Runs before each commit; what it throws is the commit's error. */
  onCommit(fn: (isFull: boolean) => void): void
  /** Commits since the last look: all, and those that were synced to disk. */
  counts(): { commits: number; syncs: number }
}

function countedEngine(t: TestContext, durability: 'full' | 'relaxed' = 'full'): Counted {
  const db = connect(findDriver(false).driver, ':memory:')
  migrate(db, 'apply', 0)
  let [commits, syncs, isFull] = [0, 0, false]
  let sent = (): void => undefined
  let committing: (isFull: boolean) => void = () => undefined
  const counting = {
    prepare: (sql: string) => db.prepare(sql),
    close: () => db.close(),
    exec(sql: string) {
      if (sql.startsWith('PRAGMA synchronous')) isFull = sql.endsWith('FULL')
      if (sql === 'COMMIT') {
        committing(isFull)
        commits++
        if (isFull) syncs++
      }
      db.exec(sql)
    },
  }
  const engine = new Engine(counting, {
    durability,
    clock: new StoreClock(),
    hint: () => undefined,
    send: () => sent(),
  })
  t.after(() => engine.close())
  return {
    db,
    turn(...calls) {
      const answers = calls.map(
        ([method, ...args]) =>
          new Promise<unknown>((resolve, reject) => engine.submit({ method, args, resolve, reject })),
      )
      do engine.runTurn()
      while (engine.isWaiting)
      return Promise.all(answers)
    },
    wait(request) {
      const answer = new Promise((resolve, reject) =>
        engine.submit({ method: 'exchange', args: [request], mayWait: true, resolve, reject }),
      )
      engine.runTurn()
      return answer as Promise<ExchangeReply>
    },
    onSend: (fn) => (sent = fn),
    onCommit: (fn) => (committing = fn),
    counts() {
      const seen = { commits, syncs }
      commits = syncs = 0
      return seen
    },
  }
}

const enqueueOne = (): [Method, ...unknown[]] => ['enqueue', [someJob()], { atomic: true }]

test('what waits together is committed and synced once', async (t) => {
  // A turn is cut short when it takes long; here it takes no time.
  t.mock.method(performance, 'now', () => 0)
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
  await engine.turn(['register', worker], ['lost', 100])
  engine.counts()
  const idle = { worker: worker.id, settlements: [], wants: [{ queue: 'default', slots: 5 }], slots: 5, notes: [] }
  await engine.turn(['exchange', { ...idle, turn: 1 }], ['promote', 100], ['lost', 100], ['prune', 100])
  assert.deepEqual(engine.counts(), { commits: 0, syncs: 0 })
})

test('with nothing but others there, an exchange of a worker that holds suspects apart commits nothing', async (t) => {
  const engine = countedEngine(t)
  const worker = someWorker()
  const wants = [{ queue: 'default', slots: 5 }]
  const request = { settlements: [], wants, slots: 5, notes: [], worker: worker.id, suspects: 'apart' } as const
  await engine.turn(['register', worker], enqueueOne())
  const [{ claimed }] = (await engine.turn(['exchange', { ...request, turn: 1 }])) as [ExchangeReply]
  const error = { code: 'WORKER_LOST', name: 'WorkerLost', message: 'gone' }
  const settlements = claimed.map(({ job, claim }): Settlement => ({ job, claim, outcome: 'crash', error }))
  await engine.turn(['exchange', { ...request, turn: 2, settlements }])
  await engine.turn(enqueueOne())
  engine.counts()
  const [reply] = (await engine.turn(['exchange', { ...request, turn: 3 }])) as [ExchangeReply]
  assert.deepEqual([reply.claimed.length, reply.suspects], [0, false])
  assert.deepEqual(engine.counts(), { commits: 0, syncs: 0 })
})

test('with nothing but suspects there, an exchange that skips them or has no slots commits nothing', async (t) => {
  const engine = countedEngine(t)
  const [victim, worker] = [someWorker(), someWorker()]
  const wants = [{ queue: 'default', slots: 5 }]
  const request = { settlements: [], wants, slots: 5, notes: [] }
  await engine.turn(['register', victim], ['register', worker], enqueueOne())
  const first = engine.turn(['exchange', { ...request, worker: victim.id, turn: 1 }])
  const [{ claimed }] = (await first) as [ExchangeReply]
  const error = { code: 'WORKER_LOST', name: 'WorkerLost', message: 'gone' }
  const settlements = claimed.map(({ job, claim }): Settlement => ({ job, claim, outcome: 'crash', error }))
  await engine.turn(['exchange', { ...request, worker: victim.id, turn: 2, settlements, wants: [] }])
  engine.counts()
  const skip = { ...request, worker: worker.id, turn: 1, suspects: 'skip' } as const
  const replies = (await engine.turn(['exchange', skip], ['exchange', { ...skip, slots: 0 }])) as ExchangeReply[]
  assert.deepEqual(
    replies.map((reply) => [reply.claimed.length, reply.suspects]),
    [
      [0, true],
      [0, true],
    ],
  )
  assert.deepEqual(engine.counts(), { commits: 0, syncs: 0 })
})

const idleOf = (worker: string, turn = 1): ExchangeRequest => ({
  worker,
  turn,
  settlements: [],
  wants: [{ queue: 'default', slots: 5 }],
  slots: 5,
  notes: [],
  waits: true,
})

test('a worker that waits gets a job by the commit that stores it, before the disk has it; its enqueuer is told after', async (t) => {
  const engine = countedEngine(t)
  const worker = someWorker()
  await engine.turn(['register', worker])
  const order: string[] = []
  const claimed = engine.wait(idleOf(worker.id)).then((reply) => void order.push(`claimed ${reply.claimed.length}`))
  engine.onSend(() => order.push('sent'))
  engine.onCommit((isFull) => order.push(isFull ? 'synced' : 'written'))
  engine.counts()
  await Promise.all([claimed, engine.turn(enqueueOne()).then(() => order.push('stored'))])
  assert.deepEqual(order, ['written', 'sent', 'synced', 'claimed 1', 'stored'])
  assert.deepEqual(engine.counts(), { commits: 2, syncs: 1 })
})

test('a worker that waits elsewhere costs an enqueue nothing', async (t) => {
  const engine = countedEngine(t)
  const worker = someWorker()
  await engine.turn(['register', worker])
  const waiting = engine.wait({ ...idleOf(worker.id), wants: [{ queue: 'other', slots: 1 }] })
  engine.counts()
  await engine.turn(enqueueOne())
  assert.deepEqual(engine.counts(), { commits: 1, syncs: 1 })
  await engine.turn(['beat', worker.id, null, []])
  assert.deepEqual((await waiting).claimed, [])
})

test('a follow-up reaches a worker that waits only with its parent on disk', async (t) => {
  const engine = countedEngine(t)
  const [parent, other] = [someWorker(), someWorker()]
  await engine.turn(['register', parent], ['register', other], enqueueOne())
  const [{ claimed }] = (await engine.turn(['exchange', { ...idleOf(parent.id), waits: false }])) as [ExchangeReply]
  const waiting = engine.wait(idleOf(other.id))
  const order: string[] = []
  engine.onSend(() => order.push('sent early'))
  engine.onCommit((isFull) => order.push(isFull ? 'synced' : 'written'))
  const { job, claim } = claimed[0]!
  const settlement = { job, claim, outcome: 'complete', result: null, followUps: [someJob()] }
  await engine.turn(['exchange', { ...idleOf(parent.id, 2), waits: false, wants: [], settlements: [settlement] }])
  assert.equal((await waiting).claimed.length, 1)
  assert.deepEqual(order, ['synced'])
})

test('a job that may start only once reaches a worker that waits with its claim on disk', async (t) => {
  const engine = countedEngine(t)
  const worker = someWorker()
  await engine.turn(['register', worker])
  const waiting = engine.wait(idleOf(worker.id))
  const order: string[] = []
  engine.onSend(() => order.push('sent early'))
  engine.onCommit((isFull) => order.push(isFull ? 'synced' : 'written'))
  const policy = { ...defaultPolicy, delivery: 'at-most-once', maxAttempts: 1 } as const
  await engine.turn(['enqueue', [someJob({ policy })], { atomic: true }])
  assert.equal((await waiting).claimed.length, 1)
  assert.deepEqual(order, ['written', 'synced'])
  // Its turn again: the first answer may have been lost at the disk.
  order.length = 0
  await engine.turn(['exchange', { ...idleOf(worker.id), waits: false }])
  assert.deepEqual(order, ['written', 'synced'])
})

test('what is written but not known to be on disk has an unknown outcome', async (t) => {
  const engine = countedEngine(t)
  const worker = someWorker()
  await engine.turn(['register', worker])
  const waiting = engine.wait(idleOf(worker.id))
  engine.onCommit((isFull) => {
    if (isFull) throw Object.assign(new Error('disk I/O error'), { errcode: 10 })
  })
  await assert.rejects(engine.turn(enqueueOne()), { code: 'OUTCOME_UNKNOWN' })
  assert.equal((await waiting).claimed.length, 1)
  engine.onCommit(() => undefined)
  await engine.turn(enqueueOne())
})

test('a beat that arrives with the exchange it is to end does end it', async (t) => {
  const engine = countedEngine(t)
  const worker = someWorker()
  await engine.turn(['register', worker])
  const [, reply] = await engine.turn(
    ['beat', worker.id, null, []],
    ['exchange', idleOf(worker.id)],
    ['beat', worker.id, null, []],
  )
  assert.deepEqual((reply as ExchangeReply).claimed, [])
})

test('relaxed durability never syncs', async (t) => {
  const engine = countedEngine(t, 'relaxed')
  await engine.turn(enqueueOne())
  assert.deepEqual(engine.counts(), { commits: 1, syncs: 0 })
})

test('the claim of a job that may start only once is synced', async (t) => {
  const engine = countedEngine(t)
  const worker = someWorker()
  const policy = { ...defaultPolicy, delivery: 'at-most-once', maxAttempts: 1 } as const
  await engine.turn(['register', worker], ['enqueue', [someJob({ policy })], { atomic: true }])
  engine.counts()
  const want = {
    worker: worker.id,
    turn: 1,
    settlements: [],
    wants: [{ queue: 'default', slots: 5 }],
    slots: 5,
    notes: [],
  }
  await engine.turn(['exchange', want])
  assert.equal(engine.counts().syncs, 1)
})

test('a disk that is full refuses the whole turn with what to do, and the next one works', async (t) => {
  const engine = countedEngine(t)
  const { page_count: pages } = engine.db.prepare('PRAGMA page_count').get() as { page_count: number }
  engine.db.exec(`PRAGMA max_page_count = ${pages + 20}`)
  const big = someJob({ payload: JSON.stringify('x'.repeat(500_000)) })
  const small = someJob()
  const answers = await Promise.allSettled([
    engine.turn(['enqueue', [small], { atomic: true }], ['enqueue', [big], { atomic: true }], enqueueOne()),
  ])
  const [{ reason }] = answers as [PromiseRejectedResult]
  assert.match((reason as Error).message, /disk is full; free some space/)
  assert.equal((reason as { code: string }).code, 'STORE_UNAVAILABLE')
  engine.db.exec('PRAGMA max_page_count = 1000000')
  const [found] = (await engine.turn(['jobs', [small.id, big.id]])) as [unknown[]]
  assert.deepEqual(found, [])
  await engine.turn(['enqueue', [small, big], { atomic: true }])
})

test('a claim stays bounded: by payload, and by jobs it cannot hand out', async (t) => {
  const engine = countedEngine(t)
  const worker = someWorker()
  const payload = JSON.stringify('x'.repeat(900_000))
  const strange = Array.from({ length: 10_500 }, () => someJob({ type: 'strange' }))
  await engine.turn(
    ['register', worker],
    ['enqueue', Array.from({ length: 20 }, () => someJob({ payload })), { atomic: true }],
  )
  const ask = async (turn: number): Promise<ExchangeReply> => {
    const request = {
      worker: worker.id,
      turn,
      settlements: [],
      wants: [{ queue: 'default', slots: 50 }],
      slots: 50,
      notes: [],
    }
    const [reply] = (await engine.turn(['exchange', request])) as [ExchangeReply]
    return reply
  }
  const large = await ask(1)
  assert.ok(large.more)
  assert.ok(large.claimed.length >= 8 && large.claimed.length < 12, `${large.claimed.length} jobs of 0.9 MB`)
  assert.equal((await ask(2)).claimed.length + (await ask(3)).claimed.length, 20 - large.claimed.length)

  const known = someJob()
  await engine.turn(['enqueue', strange, { atomic: true }], ['enqueue', [known], { atomic: true }])
  const skipped = await ask(4)
  assert.deepEqual([skipped.claimed.length, skipped.more], [0, true])
  assert.equal((await ask(5)).claimed[0]?.job, known.id)
})
