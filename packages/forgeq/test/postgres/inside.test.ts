// What the functions of the short way ask has its index, whatever the planner believes: no message of ours tells it.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Query, Value } from '#src/postgres/client.js'
import { ByHand } from './by-hand.ts'
import { testDatabase } from './database.ts'
import { believe, fill } from './fill.ts'
import { newJob } from './jobs.ts'
import { walksInside } from './plans.ts'
import { watchStatements } from './watch-statements.ts'

const database = await testDatabase()
const { client } = database
const sent = new Map<string, Query>()
watchStatements((sql, _, query) => {
  const [, name] = /forgeq\.(put|hand_over)\(/.exec(sql) ?? []
  if (name !== undefined) sent.set(name, query)
})

const explains = await client.query(`LOAD 'auto_explain'`).then(
  () => true,
  () => false,
)
const skip = !explains && 'this server has no auto_explain'

test('no statement inside the functions of the short way walks a table', { skip }, async (t) => {
  const scene = await ByHand.open(t, database)
  const { store, schema } = scene
  // The first call makes the names known.
  for (let i = 0; i < 2; i++) await store.enqueue([newJob(), newJob(), newJob()], { atomic: true })
  assert.equal((await scene.claim()).length, 6)
  await store.enqueue([newJob(), newJob()], { atomic: true })
  const [put, claim] = [sent.get('put')!, sent.get('hand_over')!]
  assert.equal((await scene.claim()).length, 2)
  const settling = sent.get('hand_over')!
  assert.notEqual(settling, claim)
  await store.enqueue([newJob()], { atomic: true })
  const { rows: running } = await client.query(
    `SELECT array_agg(job) AS "3", array_agg(queue) AS "4", array_agg(lane) AS "5", array_agg(seq) AS "6", array_agg(claim) AS "7",
      array_agg(turn) AS "8", array_agg(60000) AS "9", array_agg(NULL::text) AS "10",
      (array_agg(NULL::bigint))[2:] || 1000::bigint AS "11", (array_agg(NULL::text))[2:] || '{}'::text AS "12" FROM ${schema}.live WHERE worker IS NOT NULL`,
  )
  const instead = new Map<number, Value>(Object.entries(running[0] as object).map(([i, value]) => [Number(i), value]))
  const exchange = settling.values!.map((value, i) => (i === 1 ? 1_000_000 : (instead.get(i) ?? value)))
  const enqueue = put.values!.map((value, i) => (i === 1 ? [newJob().id, newJob().id] : value))
  for (const [first, size] of [
    [100_000, 10],
    [200_000, 10_000],
  ] as const) {
    await fill(client, schema, [first, first + size], 'common')
    for (const belief of ['unknown', 'empty', 'known'] as const) {
      await believe(client, schema, belief)
      for (const [text, values, least] of [
        [put.text, enqueue, 8],
        [settling.text, exchange, 22],
      ] as const) {
        const { plans, walks } = await walksInside(database, text, values)
        assert.deepEqual(walks, [], `${size} rows, ${belief}`)
        assert.ok(plans >= least, `only ${plans} statements were explained`)
      }
    }
  }
})
