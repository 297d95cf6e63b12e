// While somebody's transaction stays open the server cleans up behind no job that is gone. A claim costs the same all the same, and
// nothing is missed for it.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { longTransaction } from '#src/postgres/checks.js'
import type { Query, Value } from '#src/postgres/client.js'
import { planning } from '#src/postgres/connect.js'
import type { Claimed } from '#src/store/records.js'
import type { Store } from '#src/store/store.js'
import { ByHand } from './by-hand.ts'
import { testDatabase } from './database.ts'
import { newJob } from './jobs.ts'
import { pagesOf } from './plans.ts'
import { watchStatements } from './watch-statements.ts'

const database = await testDatabase()
const { client } = database

/** The last claim that was sent by anybody in this process. */
let lastClaim: Query | undefined
watchStatements((sql, _, query) => {
  if (sql.includes('forgeq.hand_over(')) lastClaim = query
})

/** Of its parameters: its turn, what it settles, behind which numbers it reads lanes, and behind which time what is due. */
const [turnAt, settledAt, aftersAt, dueAfterAt] = [1, [3, 4, 5, 6, 7, 8, 9, 10], 18, 20]
const aftersOf = ({ values = [] }: Query): readonly number[] => values[aftersAt] as number[]

/** How many pages it reads, from where it began or from the start of the lanes, when it is made once more and undone. */
const pagesRead = async ({ text, values = [] }: Query, fromStart: boolean): Promise<number> => {
  const again = new Map<number, Value>([[turnAt, 1_000_000]])
  // What it has settled it cannot settle again.
  for (const i of settledAt) again.set(i, [])
  if (fromStart)
    again
      .set(
        aftersAt,
        (values[aftersAt] as number[]).map(() => -1),
      )
      .set(dueAfterAt, -1)
  await client.query('BEGIN')
  for (const [name, value] of Object.entries(planning)) await client.query(`SET LOCAL ${name} = ${value}`)
  try {
    return await pagesOf(
      database,
      text,
      values.map((value, i) => again.get(i) ?? value),
    )
  } finally {
    await client.query('ROLLBACK')
  }
}

class Scene {
  readonly #hand: ByHand

  private constructor(hand: ByHand) {
    this.#hand = hand
  }

  static async open(t: TestContext): Promise<Scene> {
    return new Scene(await ByHand.open(t, database, { slots: 1000 }))
  }

  get store(): Store {
    return this.#hand.store
  }

  get schema(): string {
    return this.#hand.schema
  }

  async enqueue(count: number): Promise<void> {
    await this.store.enqueue(
      Array.from({ length: count }, () => newJob()),
      { atomic: true },
    )
  }

  claim(): Promise<readonly Claimed[]> {
    return this.#hand.claim()
  }

  async run(count: number): Promise<void> {
    for (let done = 0; done < count;) {
      await this.enqueue(1000)
      done += (await this.claim()).length
    }
    await this.claim()
  }

  /** Until this job is claimed; answers after how long. */
  async claimed(id: string): Promise<number> {
    const startedAt = performance.now()
    for (;;) {
      if ((await this.claim()).some(({ job }) => job === id)) return performance.now() - startedAt
      assert.ok(performance.now() - startedAt < 15_000, 'it was not claimed')
      await sleep(20)
    }
  }
}

/** A transaction of an application, which stays open. */
const beginElsewhere = async (t: TestContext, isWriter: boolean): Promise<pg.Client> => {
  const other = new pg.Client(database.url)
  await other.connect()
  t.after(() => other.end())
  await other.query('BEGIN ISOLATION LEVEL REPEATABLE READ')
  await other.query(isWriter ? 'SELECT pg_current_xact_id()' : 'SELECT 1')
  return other
}

for (const isWriter of [false, true]) {
  test(`a claim reads as few pages while a transaction that ${isWriter ? 'writes' : 'reads'} stays open`, async (t) => {
    const scene = await Scene.open(t)
    await beginElsewhere(t, isWriter)
    await scene.run(20_000)
    const deadline = performance.now() + 15_000
    let pages: number
    do {
      assert.ok(performance.now() < deadline, 'claims go on reading what is gone')
      await sleep(50)
      await scene.enqueue(1)
      await scene.claim()
      pages = await pagesRead(lastClaim!, false)
    } while (pages > 80)
    const all = await pagesRead(lastClaim!, true)
    t.diagnostic(`${pages} pages instead of ${all}`)
    assert.ok(all > 200, `only ${all} pages from the start: there was nothing to avoid`)
  })
}

test('jobs of a transaction that committed late are claimed', async (t) => {
  const scene = await Scene.open(t)
  // Names that are made in a transaction are waited for.
  await scene.run(1)
  const other = await beginElsewhere(t, true)
  const { rows } = await other.query<{ id: string }>(`SELECT ${scene.schema}.enqueue('work') AS id`)
  // Everybody else goes past it for longer than it is waited for.
  for (const startedAt = performance.now(); performance.now() - startedAt < 2_000;) await scene.run(1000)
  await scene.enqueue(1)
  await scene.claim()
  assert.ok(
    aftersOf(lastClaim!).some((after) => after > 0),
    'nothing was passed',
  )
  await other.query('COMMIT')
  t.diagnostic(`claimed after ${Math.round(await scene.claimed(rows[0]!.id))} ms`)
})

test('a job that committed late is claimed soon by a worker that has little to do, too', async (t) => {
  const scene = await Scene.open(t)
  await scene.run(1)
  for (let round = 0; round < 6; round++) {
    const other = new pg.Client(database.url)
    await other.connect()
    await other.query('BEGIN')
    const { rows } = await other.query<{ id: string }>(`SELECT ${scene.schema}.enqueue('work') AS id`)
    for (let i = 0; i < 3 + (round % 3); i++) {
      await sleep(200 + round * 20)
      await scene.enqueue(1)
      await scene.claim()
    }
    await other.query('COMMIT')
    await other.end()
    await sleep(100)
    const ms = await scene.claimed(rows[0]!.id)
    assert.ok(ms < 5_000, `${ms} ms in round ${round}`)
  }
})

test('jobs with lower numbers than before are claimed: a standby may know less than the server that it follows', async (t) => {
  const scene = await Scene.open(t)
  for (const startedAt = performance.now(); performance.now() - startedAt < 1_500;) await scene.run(1000)
  assert.ok(
    aftersOf(lastClaim!).some((after) => after > 0),
    'nothing was passed',
  )
  await client.query(`SELECT setval('${scene.schema}.turn', 4096)`)
  const job = newJob()
  await scene.store.enqueue([job], { atomic: true })
  t.diagnostic(`claimed after ${Math.round(await scene.claimed(job.id))} ms`)
})

test('jobs that are due are found while what was due before cannot be cleaned up', async (t) => {
  const scene = await Scene.open(t)
  await beginElsewhere(t, true)
  const startedAt = performance.now()
  const ids = new Set<string>()
  while (performance.now() - startedAt < 2_000) {
    const jobs = Array.from({ length: 50 }, () => ({ ...newJob(), delayMs: 30 }))
    for (const { id } of jobs) ids.add(id)
    await scene.store.enqueue(jobs, { atomic: true })
    await scene.store.promote(1000)
    for (const { job } of await scene.claim()) ids.delete(job)
  }
  while (ids.size > 0) {
    assert.ok(performance.now() - startedAt < 15_000, `${ids.size} were not found`)
    await scene.store.promote(1000)
    for (const { job } of await scene.claim()) ids.delete(job)
    await sleep(10)
  }
})

test('a transaction that has been open for long is named', async (t) => {
  const other = await beginElsewhere(t, true)
  const ask = (query: Query): Promise<pg.QueryResult> => client.query(query.text, [...(query.values ?? [])])
  while ((await longTransaction(ask, 1_000)) === undefined) await sleep(50)
  const { rows } = await other.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')
  assert.match(
    (await longTransaction(ask, 1_000))!,
    new RegExp(`process ${rows[0]!.pid} of the server.*open for \\d+ s`),
  )
  await other.query('COMMIT')
  assert.equal(await longTransaction(ask, 1_000), undefined)
  const scene = await Scene.open(t)
  assert.ok((await scene.store.open()).problems.every((problem) => !problem.includes('transaction of')))
})
