// The short way of a call and the long one leave the same rows and give the same answers.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { complete, retry } from '#src/conformance/endings.js'
import { policy } from '#src/conformance/scene.js'
import { idSource } from '#src/core/id.js'
import { ManualClock } from '#src/store/clock.js'
import type { Claimed, ExchangeReply, NewJob, Settlement } from '#src/store/records.js'
import type { Store } from '#src/store/store.js'
import { openStopped, testDatabase } from './database.ts'
import { registration } from './jobs.ts'
import { closeShortWay } from './short-way.ts'
import { watchStatements } from './watch-statements.ts'

const database = await testDatabase()
const { client } = database

/** How often each of them was asked, by schema. */
const asked = new Map<string, number>()
watchStatements((_sql, _values, { text }) => {
  const [, schema, name] = /"(\w+)"\.(put|hand_over)\(/.exec(text) ?? []
  if (schema !== undefined) asked.set(`${schema} ${name}`, (asked.get(`${schema} ${name}`) ?? 0) + 1)
})

/** Numbers of order differ between two schemas, not what is ordered by them. */
const rank = 'rank() OVER (ORDER BY seq)'
const tables: Readonly<Record<string, string>> = {
  job: `SELECT *, ${rank} AS seq FROM job ORDER BY id`,
  live: `SELECT *, ${rank} AS seq FROM live ORDER BY job`,
  later: `SELECT *, ${rank} AS seq FROM later ORDER BY job`,
  done: 'SELECT * FROM done ORDER BY job',
  attempt: 'SELECT * FROM attempt ORDER BY job, claim',
  held: `SELECT worker, turn, queue, lanes, open, ARRAY(SELECT l.job FROM live l WHERE l.seq = ANY (h.seqs) ORDER BY l.lane, l.seq) AS jobs
    FROM held h ORDER BY worker, turn, queue`,
  expiry: 'SELECT at, j FROM expiry, unnest(jobs) AS j ORDER BY at, j',
  batches: 'SELECT at, count(*) FROM expiry GROUP BY at ORDER BY at',
  tally: 'SELECT queue, state, sum(n) FROM tally GROUP BY queue, state HAVING sum(n) <> 0 ORDER BY queue, state',
  exchange: 'SELECT * FROM exchange ORDER BY worker, turn',
  deadline: 'SELECT * FROM deadline ORDER BY job',
  uniq: 'SELECT * FROM uniq ORDER BY type, key',
  others: `SELECT (SELECT count(*) FROM alarm) + (SELECT count(*) FROM start) + (SELECT count(*) FROM cancel) + (SELECT count(*) FROM parked)
    + (SELECT count(*) FROM line) + (SELECT count(*) FROM hold) AS n`,
}

const rowsOf = async (schema: string): Promise<Record<string, unknown>> => {
  await client.query(`SET search_path = ${schema}`)
  const seen: Record<string, unknown> = {}
  for (const [name, sql] of Object.entries(tables)) seen[name] = (await client.query(sql)).rows
  await client.query('RESET search_path')
  return seen
}

const clocks = [new ManualClock(), new ManualClock()] as const
const nextId = idSource(
  () => clocks[0].now(),
  (bytes) => void crypto.getRandomValues(bytes),
)

const jobIn = (queue: string, priority: number, more: Partial<NewJob> = {}): NewJob => ({
  id: nextId(),
  type: 'work',
  payload: '{}',
  policy: { ...policy, queue, priority, keepResultMs: priority * 600_000 },
  ...more,
})

const queues = ['a', 'b', 'c']

test('both ways leave the same rows', async () => {
  const opened = [
    await openStopped(database, { clock: clocks[0] }),
    await openStopped(database, { clock: clocks[1] }),
  ] as const
  const schemas = opened.map(({ schema }) => schema)
  const stores = opened.map(({ store }) => store)
  const both = async <T>(call: (store: Store) => Promise<T>): Promise<T> => {
    const [short, long] = [await call(stores[0]!), await call(stores[1]!)]
    assert.deepEqual(short, long)
    assert.doesNotMatch(JSON.stringify(short) ?? '', /refused/)
    const [rows, otherRows] = [await rowsOf(schemas[0]!), await rowsOf(schemas[1]!)]
    assert.deepEqual(rows, otherRows)
    return short
  }
  await closeShortWay(client, schemas[1]!)
  await both((store) => store.register(registration('w', { queues, slots: 100 })))
  // Names are made on the way that takes a transaction.
  const first = queues.map((queue) => jobIn(queue, 5))
  await both((store) => store.enqueue(first, { atomic: true }))
  let turn = 0
  const exchange = async (settlements: readonly Settlement[], slots: number): Promise<readonly Claimed[]> => {
    turn += 1
    const wants = queues.map((queue) => ({ queue, slots: 3 }))
    const reply = await both((store): Promise<ExchangeReply> =>
      store.exchange({ worker: 'w', turn, settlements, wants, slots, notes: [] }).then((given) => {
        assert.ok(!given.closed)
        return given
      }),
    )
    await Promise.all(opened.map(({ advance }) => advance(1_000)))
    return reply.claimed
  }
  const held = [...(await exchange([], 10))]
  assert.equal(held.length, 3)
  for (let round = 0; round < 6; round++) {
    const jobs = Array.from({ length: 12 }, (_, i) =>
      jobIn(queues[(i * round) % 3]!, [5, 2, 9, 5, 0][i % 5]!, {
        payload: JSON.stringify('{"ä\\\\'.repeat(i)),
        ...(i % 4 === 0 && { tags: ['x', `t${i}`] }),
      }),
    )
    await both((store) => store.enqueue(jobs.slice(0, 4), { atomic: true }))
    await both((store) => store.enqueue(jobs.slice(4), { atomic: false }))
    const settlements = held
      .splice(0, 4)
      .map((hold, i) => (i === 2 ? retry(hold, 1_500 + round) : complete(hold, i === 1 ? '{"x":"\\\\"}' : null)))
    held.push(...(await exchange(settlements, round % 3 === 2 ? 0 : 7)))
    await both((store) => store.promote(10))
  }
  for (const name of ['put', 'hand_over']) {
    const [short, long] = schemas.map((schema) => asked.get(`${schema} ${name}`) ?? 0)
    assert.ok(short! >= 7 && long! < short!, `${name}: ${short} and ${long}`)
  }
  for (const one of opened) await one.close()
})
