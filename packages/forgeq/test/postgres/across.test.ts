// Several processes on one database, played by several stores: they hear of each other, and share work without sharing jobs.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bury, failure, snooze } from '#src/conformance/endings.js'
import { policy } from '#src/conformance/scene.js'
import { postgres } from '#src/postgres/index.js'
import type { Topic } from '#src/store/store.js'
import { testDatabase } from './database.ts'
import { newJob, registration } from './jobs.ts'

const database = await testDatabase()
const open = (schema: string) => postgres(database.url, { schema, allowUnsafe: true })

const listening = /* sql */ `SELECT 1 FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND state = 'idle' AND query LIKE $1`

/** Resolves with the hint that reaches `store` from elsewhere. */
const hears = async (store: ReturnType<typeof open>, schema: string, topic: Topic): Promise<() => Promise<Topic>> => {
  const heard = new Promise<Topic>((resolve) => void store.listen([topic], resolve))
  while ((await database.client.query(listening, [`%${schema}%`])).rows.length === 0);
  return () => heard
}

test('a process hears of work, and of what is due, that another one brought', async () => {
  const schema = database.schema()
  const [one, other] = [open(schema), open(schema)]
  await one.open()
  const work = await hears(one, schema, 'ready:default')
  await other.enqueue([newJob()], { atomic: true })
  assert.equal(await work(), 'ready:default')
  const due = await hears(one, schema, 'due')
  await other.enqueue([{ ...newJob(), delayMs: 60_000 }], { atomic: true })
  assert.equal(await due(), 'due')
  await Promise.all([one.close(), other.close()])
})

test('workers of several processes share a queue, and no job is handed out twice', async () => {
  const schema = database.schema()
  const stores = [open(schema), open(schema), open(schema)]
  const jobs = Array.from({ length: 600 }, () => newJob())
  await stores[0]!.enqueue(jobs, { atomic: true })
  const shares = await Promise.all(
    stores.map(async (store, i) => {
      const worker = `w${i}`
      await store.register(registration(worker))
      const ids: string[] = []
      for (let turn = 1, isOver = false; !isOver; turn++) {
        const wants = [{ queue: 'default', slots: 7 }]
        const reply = await store.exchange({ worker, turn, settlements: [], wants, slots: 7, notes: [] })
        assert.ok(!reply.closed)
        ids.push(...reply.claimed.map(({ job }) => job))
        isOver = reply.claimed.length === 0
      }
      return ids
    }),
  )
  assert.deepEqual(shares.flat().sort(), jobs.map(({ id }) => id).sort())
  await Promise.all(stores.map((store) => store.close()))
})

test('a limited queue stays exact with several processes at it', async () => {
  const schema = database.schema()
  const stores = [open(schema), open(schema), open(schema)]
  await stores[0]!.setQueue('default', { rate: { max: 25, perMs: 3_600_000 } })
  await stores[0]!.enqueue(
    Array.from({ length: 100 }, () => newJob()),
    { atomic: true },
  )
  const counts = await Promise.all(
    stores.map(async (store, i) => {
      const worker = `w${i}`
      await store.register(registration(worker))
      let claimed = 0
      for (let turn = 1; turn <= 10; turn++) {
        const wants = [{ queue: 'default', slots: 3 }]
        const reply = await store.exchange({ worker, turn, settlements: [], wants, slots: 3, notes: [] })
        if (!reply.closed) claimed += reply.claimed.length
      }
      return claimed
    }),
  )
  assert.equal(
    counts.reduce((sum, n) => sum + n, 0),
    25,
  )
  await Promise.all(stores.map((store) => store.close()))
})

test('a rate is exact when who took the time first comes to the queue last', async () => {
  const schema = database.schema()
  const store = open(schema)
  const { client } = database
  await store.setQueue('default', { rate: { max: 5, perMs: 3_600_000 } })
  await store.enqueue(
    Array.from({ length: 20 }, () => newJob()),
    { atomic: true },
  )
  const claim = async (worker: string, turn: number): Promise<number> => {
    const wants = [{ queue: 'default', slots: 2 }]
    const reply = await store.exchange({ worker, turn, settlements: [], wants, slots: 2, notes: [] })
    return reply.closed ? 0 : reply.claimed.length
  }
  for (const worker of ['early', 'late']) await store.register(registration(worker))
  await client.query('BEGIN')
  await client.query(`SELECT 1 FROM ${schema}.worker WHERE uid = 'early' FOR UPDATE`)
  const early = claim('early', 1)
  const waiting = /* sql */ `SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%${schema}%'`
  while ((await client.query(waiting)).rows.length === 0) await client.query('SELECT pg_stat_clear_snapshot()')
  assert.equal(await claim('late', 1), 2)
  await client.query('COMMIT')
  assert.equal(await early, 2)
  assert.equal((await claim('late', 2)) + (await claim('late', 3)) + (await claim('early', 2)), 1)
  await store.close()
})

test('a settlement that holds others back waits until nobody else works on the queue', async () => {
  const schema = database.schema()
  const store = open(schema)
  const { client } = database
  await store.enqueue([newJob(), newJob()], { atomic: true })
  await store.register(registration('w'))
  const wants = [{ queue: 'default', slots: 2 }]
  const first = await store.exchange({ worker: 'w', turn: 1, settlements: [], wants, slots: 2, notes: [] })
  assert.ok(!first.closed)
  const [one, other] = first.claimed
  const settlements = [
    snooze(one!, 1000, null, 'type'),
    bury(other!, 'lost', failure('429'), { scope: 'type', forMs: 60_000 }),
  ]
  const waiting = /* sql */ `
    SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND classid::bigint = '${schema}.queue'::regclass::oid::bigint`
  for (const [i, settlement] of settlements.entries()) {
    await client.query('BEGIN')
    await client.query(`SELECT ${schema}.enter(id, false) FROM ${schema}.queue WHERE name = 'default'`)
    let isOver = false
    const turn = { worker: 'w', turn: i + 2, settlements: [settlement], wants: [], slots: 0, notes: [] }
    const settled = store.exchange(turn).finally(() => (isOver = true))
    while (!isOver && (await client.query(waiting)).rows.length === 0);
    assert.equal(isOver, false, `${settlement.outcome} waits`)
    await client.query('COMMIT')
    const reply = await settled
    assert.deepEqual(!reply.closed && reply.verdicts, ['applied'])
  }
  await store.close()
})

test('what waited for its queue happens when it is let in: nothing starts in the past', async () => {
  const schema = database.schema()
  const store = open(schema)
  const { client } = database
  const [first] = [newJob(), await store.register(registration('w'))]
  await store.enqueue([first], { atomic: true })
  const wants = [{ queue: 'default', slots: 1 }]
  const waiting = /* sql */ `
    SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND classid::bigint = '${schema}.queue'::regclass::oid::bigint`
  const moment = async (): Promise<number> => Number((await client.query(`SELECT ${schema}.moment() AS at`)).rows[0].at)
  const second = newJob()
  const calls = [
    () => store.exchange({ worker: 'w', turn: 1, settlements: [], wants, slots: 1, notes: [] }),
    () => store.enqueue([second], { atomic: true }),
  ]
  for (const call of calls) {
    await client.query('BEGIN')
    await client.query(`SELECT ${schema}.enter(id, true) FROM ${schema}.queue WHERE name = 'default'`)
    const called = call()
    while ((await client.query(waiting)).rows.length === 0);
    const askedAt = await moment()
    let letInAt = askedAt
    while (letInAt < askedAt + 20) letInAt = await moment()
    await client.query('COMMIT')
    await called
    const [claimed, added] = await store.jobs([first.id, second.id])
    const at = added?.createdAt ?? claimed!.startedAt!
    assert.ok(at >= letInAt, `${letInAt - at} ms before it was let in`)
  }
  await store.close()
})

test('a job whose unique key was freed a moment ago came after that', async () => {
  const schema = database.schema()
  const store = open(schema)
  const { client } = database
  await store.enqueue([newJob()], { atomic: true })
  await client.query('BEGIN')
  await client.query(`LOCK TABLE ${schema}.uniq IN ACCESS EXCLUSIVE MODE`)
  const job = { ...newJob(), unique: { key: 'k', until: 'done', onConflict: 'keep' } as const }
  const called = store.enqueue([job], { atomic: true })
  const waiting = /* sql */ `SELECT 1 FROM pg_locks WHERE relation = '${schema}.uniq'::regclass AND NOT granted`
  while ((await client.query(waiting)).rows.length === 0);
  const moment = async (): Promise<number> => Number((await client.query(`SELECT ${schema}.moment() AS at`)).rows[0].at)
  const seenAt = await moment()
  let freedAt = seenAt
  while (freedAt < seenAt + 20) freedAt = await moment()
  await client.query('COMMIT')
  await called
  const [added] = await store.jobs([job.id])
  assert.ok(added!.createdAt >= freedAt, `${freedAt - added!.createdAt} ms before`)
  await store.close()
})

test('a queue may be made while an idle worker looks for work in it', async () => {
  const schema = database.schema()
  const store = open(schema)
  const { client } = database
  await store.register(registration('w'))
  await client.query('BEGIN')
  await client.query(`LOCK TABLE ${schema}.worker IN ACCESS EXCLUSIVE MODE`)
  const wants = [{ queue: 'default', slots: 1 }]
  const exchange = store.exchange({ worker: 'w', turn: 1, settlements: [], wants, slots: 1, notes: [] })
  const waiting = /* sql */ `SELECT 1 FROM pg_locks WHERE relation = '${schema}.worker'::regclass AND NOT granted`
  while ((await client.query(waiting)).rows.length === 0);
  const job = newJob()
  await store.enqueue([job], { atomic: true })
  await client.query('COMMIT')
  const reply = await exchange
  assert.deepEqual(!reply.closed && reply.claimed.map(({ job: id }) => id), [job.id])
  await store.close()
})

test('of many who enqueue the same unique key at once, one stores a job and the others are told of it', async () => {
  const schema = database.schema()
  const stores = [open(schema), open(schema), open(schema)]
  const answers = await Promise.all(
    Array.from({ length: 12 }, (_, i) => {
      const job = { ...newJob(), unique: { key: 'one', until: 'done', onConflict: 'keep' } as const }
      return stores[i % 3]!.enqueue([job], { atomic: true })
    }),
  )
  assert.equal(new Set(answers.flat().map(({ id }) => id)).size, 1)
  assert.equal(answers.flat().filter((answer) => 'duplicate' in answer && !answer.duplicate).length, 1)
  await Promise.all(stores.map((store) => store.close()))
})

test('the store beats for a worker from a thread, and lets it go', async () => {
  const store = open(database.schema())
  await store.register(
    registration('w', { keepAlive: true, leaseMs: 600, types: [{ type: 'work', policy, inputSchema: null }] }),
  )
  const first = (await store.workers())[0]!.beatAt
  while ((await store.workers())[0]!.beatAt === first);
  await store.leave('w')
  assert.deepEqual(await store.workers(), [])
  await store.close()
})
