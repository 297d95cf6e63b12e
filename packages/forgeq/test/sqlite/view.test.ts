// The enqueue view, as a program in another language uses it.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test, type TestContext } from 'node:test'
import { caps } from '#src/core/caps.js'
import { idSource, isId } from '#src/core/id.js'
import type { Database } from '#src/sqlite/connect.js'
import { ManualClock } from '#src/store/clock.js'
import type { Store } from '#src/store/store.js'
import { foreignConnection, newId, openStore, someJob, someWorker, temporaryFile } from './files.ts'

async function scene(t: TestContext): Promise<{ store: Store; app: Database }> {
  const path = temporaryFile(t)
  const store = openStore(t, path)
  await store.open()
  return { store, app: foreignConnection(t, path) }
}

test('an insert becomes a job with the defaults', async (t) => {
  const { store, app } = await scene(t)
  app.exec(`INSERT INTO forgeq_enqueue (type, payload) VALUES ('mail', '{"n": 9007199254740993}')`)
  const { jobs } = await store.find({}, null, 10)
  assert.equal(jobs.length, 1)
  const [job] = jobs
  assert.ok(isId(job!.id), job!.id)
  assert.equal(job!.state, 'ready')
  assert.equal(job!.payload, '{"n": 9007199254740993}')
  assert.equal(job!.policy.maxAttempts, 6)
  assert.equal(job!.policy.queue, 'default')
  const [queue] = await store.queues()
  assert.equal(queue?.counts.ready, 1)
})

test('many rows in the transaction of the application, or none', async (t) => {
  const { store, app } = await scene(t)
  const insert = `INSERT INTO forgeq_enqueue (type, payload, priority)
    SELECT 'mail', json_object('n', value), value % 10 FROM generate_series(1, 30)`.replace(
    'generate_series(1, 30)',
    `(WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < 30) SELECT value FROM n)`,
  )
  app.exec(`BEGIN; ${insert}; ROLLBACK`)
  assert.equal((await store.find({}, null, 100)).jobs.length, 0)
  app.exec(`BEGIN; ${insert}; COMMIT`)
  const { jobs } = await store.find({}, null, 100)
  assert.equal(jobs.length, 30)
  assert.equal(new Set(jobs.map((job) => job.id)).size, 30)
})

test('a delay, a unique key, an id and an announced policy hold', async (t) => {
  const { store, app } = await scene(t)
  const [type] = someWorker().types
  const policy = { ...type!.policy, queue: 'slow', priority: 2, timeoutMs: 7_000, maxAttempts: 3 }
  await store.register(someWorker({ types: [{ ...type!, policy }] }))
  const id = newId()
  for (let i = 0; i < 2; i++) {
    app
      .prepare(
        `INSERT INTO forgeq_enqueue (type, payload, id, delay_ms, unique_key, max_attempts) VALUES ('mail', '1', ?, 60000, 'k', 9)`,
      )
      .run(id)
  }
  app.exec(`INSERT INTO forgeq_enqueue (type, unique_key) VALUES ('mail', 'k')`)
  const { jobs } = await store.find({}, null, 10)
  assert.equal(jobs.length, 1)
  assert.equal(jobs[0]?.id, id)
  assert.equal(jobs[0]?.state, 'scheduled')
  assert.deepEqual(jobs[0]?.policy, { ...policy, maxAttempts: 9 })
})

const nested = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels)

test('a payload may be nested as deep as in the library', async (t) => {
  const { store, app } = await scene(t)
  const insert = app.prepare(`INSERT INTO forgeq_enqueue (type, payload) VALUES ('mail', ?)`)
  const taken = [
    nested(caps.jsonDepth),
    JSON.stringify(nested(100)),
    JSON.stringify(Array.from({ length: 100 }, () => [{}])),
  ]
  for (const payload of taken) insert.run(payload)
  assert.equal((await store.find({}, null, 10)).jobs.length, taken.length)
  assert.throws(() => insert.run(nested(caps.jsonDepth + 1)), /levels deep/)
})

for (const [columns, values, problem] of [
  ['type', `'no spaces please'`, /type must be/],
  ['type', 'NULL', /type must be/],
  ['type, payload', `'mail', '{nope'`, /payload must be JSON/],
  ['type, payload', `'mail', '"' || printf('%.*c', 1048576, 'x') || '"'`, /at most 1 MiB/],
  ['type, priority', `'mail', 10`, /whole number from 0 to 9/],
  ['type, delay_ms', `'mail', -1`, /not negative/],
  ['type, max_attempts', `'mail', 0`, /whole number from 1/],
  ['type, id', `'mail', 'order-17'`, /UUIDv7/],
  ['type, queue', `'mail', 'a b'`, /queue must be/],
  ['type, payload', `'mail', '${nested(65)}'`, /at most 64 levels deep/],
  ['type, payload', `'mail', '{"a":[1,${'{"b":'.repeat(63)}0${'}'.repeat(63)}]}'`, /at most 64 levels deep/],
  ['type, payload', `'mail', CAST('{}' AS BLOB)`, /payload must be JSON text/],
  ['type, priority', `'mail', 5.5`, /whole number/],
  ['type, priority', `'mail', 'high'`, /whole number/],
  ['type, delay_ms', `'mail', 1e300`, /whole numbers/],
  ['type, delay_ms', `'mail', 9000000000000`, /at most ten years/],
  ['type, max_attempts', `'mail', 'abc'`, /whole number/],
  ['type, payload', `'mail', '1' || char(0) || 'x'`, /payload must be/],
  ['type', `'mail' || char(0) || 'evil'`, /type must be/],
  ['type, unique_key', `'mail', ''`, /unique_key must be/],
  ['type, id', `'mail', '019b76daa8007000800000000000000000000'`, /UUIDv7/],
  ['type, id', `'mail', '00000000-0000-7000-8000-000000000000'`, /within a day/],
] as const) {
  test(`(${columns}) = (${values}) is refused`, async (t) => {
    const { store, app } = await scene(t)
    assert.throws(() => app.exec(`INSERT INTO forgeq_enqueue (${columns}) VALUES (${values})`), problem)
    assert.equal((await store.find({}, null, 10)).jobs.length, 0)
  })
}

test('an id that belongs to another job is refused, never dropped', async (t) => {
  const { store, app } = await scene(t)
  const id = newId()
  const insert = app.prepare(`INSERT INTO forgeq_enqueue (type, payload, id) VALUES ('mail', ?, ?)`)
  insert.run('1', id)
  insert.run('1', id)
  assert.throws(() => insert.run('2', id), /another type or payload/)
  const { jobs } = await store.find({}, null, 10)
  assert.deepEqual(
    jobs.map((job) => job.payload),
    ['1'],
  )
})

test('a key whose time is over is free for the view, and one whose time runs is held', async (t) => {
  const path = temporaryFile(t)
  const clock = new ManualClock(Date.now() - 3_600_000)
  const store = openStore(t, path, { clock })
  await store.open()
  const app = foreignConnection(t, path)
  const insert = app.prepare(`INSERT INTO forgeq_enqueue (type, unique_key) VALUES ('mail', ?)`)
  const windows = { over: 1000, running: 86_400_000 }
  for (const [key, forMs] of Object.entries(windows)) {
    const id = idSource(
      () => clock.now(),
      (bytes) => bytes.fill(1),
    )()
    await store.enqueue([someJob({ id, unique: { key, forMs, onConflict: 'keep' } })], { atomic: true })
    clock.advance(1)
  }
  for (const key of ['over', 'running', 'over']) insert.run(key)
  const { jobs } = await store.find({}, null, 10)
  assert.deepEqual(
    jobs.map(({ unique }) => unique),
    [
      { key: 'over', until: 'done' },
      { key: 'running', forMs: windows.running },
      { key: 'over', forMs: windows.over },
    ],
  )
})

test('the id of an edited job is a duplicate for the view, whatever its payload', async (t) => {
  const { store, app } = await scene(t)
  const id = newId()
  const insert = app.prepare(`INSERT INTO forgeq_enqueue (type, payload, id) VALUES ('mail', ?, ?)`)
  insert.run('1', id)
  await store.act({ action: 'cancel', ids: [id] })
  await store.act({ action: 'retry', ids: [id], payload: '2' })
  insert.run('1', id)
  assert.deepEqual(
    (await store.find({}, null, 10)).jobs.map(({ payload }) => payload),
    ['2'],
  )
})

test("another language's own SQLite, which may be older, can enqueue", async (t) => {
  const { status } = spawnSync('python3', ['-c', 'import sqlite3'])
  if (status !== 0) return t.skip('no python3 with sqlite3 on this machine')
  const path = temporaryFile(t)
  const store = openStore(t, path)
  await store.open()
  const program = `import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
with db: db.execute("INSERT INTO forgeq_enqueue (type, payload) VALUES ('mail', ?)", ('{"from":"python"}',))`
  const { stderr } = spawnSync('python3', ['-c', program, path], { encoding: 'utf8' })
  assert.equal(stderr, '')
  const [job] = (await store.find({}, null, 10)).jobs
  assert.equal(job?.payload, '{"from":"python"}')
  assert.ok(isId(job.id))
  assert.ok(Math.abs(job.createdAt - Date.now()) < 60_000)
})

test('an at-most-once type stays so, whatever is inserted', async (t) => {
  const { store, app } = await scene(t)
  const [type] = someWorker().types
  const policy = { ...type!.policy, delivery: 'at-most-once', maxAttempts: 1 } as const
  await store.register(someWorker({ types: [{ ...type!, policy }] }))
  app.exec(`INSERT INTO forgeq_enqueue (type, max_attempts) VALUES ('mail', 4)`)
  const [job] = (await store.find({}, null, 10)).jobs
  assert.equal(job?.policy.maxAttempts, 1)
})

test('jobs with a key wait in its line, and take turns with other keys', async (t) => {
  const { store, app } = await scene(t)
  app.exec(
    `INSERT INTO forgeq_enqueue (type, payload, key) VALUES ('mail', '1', 'a'), ('mail', '2', 'a'), ('mail', '3', 'b')`,
  )
  await store.enqueue([{ ...someJob(), type: 'mail', payload: '4', key: 'b' }], { atomic: true })
  const [queue] = await store.queues()
  assert.equal(queue?.counts.ready, 4)
  await store.promote(10)
  const worker = someWorker()
  await store.register(worker)
  const wants = [{ queue: 'default', slots: 9 }]
  const reply = await store.exchange({ worker: worker.id, turn: 1, settlements: [], wants, slots: 9, notes: [] })
  assert.ok(!reply.closed)
  assert.deepEqual(
    reply.claimed.map(({ payload }) => payload),
    ['3', '1', '4', '2'],
  )
  assert.throws(() => app.exec(`INSERT INTO forgeq_enqueue (type, key) VALUES ('mail', '')`), /key must be a text/)
})

test('a queue that is full or takes no jobs refuses them here too, and still knows those that it has', async (t) => {
  const { store, app } = await scene(t)
  const id = newId()
  const insert = (one = newId()): void => {
    app.prepare(`INSERT INTO forgeq_enqueue (type, id) VALUES ('mail', ?)`).run(one)
  }
  insert(id)
  await store.setQueue('default', { maxDepth: 2 })
  insert()
  assert.throws(() => insert(), /forgeq: the queue is full/)
  insert(id)
  await store.setQueue('default', { maxDepth: null, accepting: false })
  assert.throws(() => insert(), /forgeq: the queue takes no new jobs/)
  insert(id)
  await store.setQueue('default', { accepting: true })
  insert()
  assert.equal((await store.find({}, null, 10)).jobs.length, 3)
})
