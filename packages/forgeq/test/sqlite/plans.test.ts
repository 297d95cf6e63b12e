// Every statement that the store prepares while it passes the conformance cases is explained on tables without
// statistics: none may walk a table that grows with the number of jobs, or sort.
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { conformance } from '#src/conformance/index.js'
import { findDriver } from '#src/sqlite/connect.js'
import { migrate } from '#src/sqlite/checks.js'
import { sqlite } from '#src/sqlite/index.js'
import { Statements } from '#src/sqlite/statements.js'
import { ManualClock } from '#src/store/clock.js'

/** Tables that grow with the number of jobs; the others have a row per worker, queue, type or held job. */
const growing =
  /^forgeq_(job|ready|line|parked|later|done|expiry|deadline|uniq|replacement|attempt|progress|log|log_size|key_turn|start|hold|alarm)$/

/** The lines of a plan that walk a growing table, or sort more than a list that was handed in or one worker's turn. */
const walks = (sql: string, plan: readonly string[]): string[] => {
  const tables = new Map(
    [...sql.matchAll(/(forgeq_\w+)(?: AS)?(?: (?!ON|WHERE|SET|ORDER)(\w+))?/g)].map((m) => [m[2] ?? m[1], m[1]!]),
  )
  const isBounded = /json_each|r\.turn = \?/.test(sql)
  return plan.filter((line) => {
    if (line.includes('USE TEMP B-TREE')) return !isBounded
    const alias = /^SCAN (\w+)/.exec(line)?.[1]
    return alias !== undefined && growing.test(tables.get(alias) ?? alias)
  })
}

test('the check sees a walk and a sort', () => {
  const sql = 'SELECT id FROM forgeq_job j ORDER BY payload'
  assert.equal(walks(sql, ['SCAN j', 'USE TEMP B-TREE FOR ORDER BY']).length, 2)
})

async function preparedStatements(t: TestContext): Promise<Set<string>> {
  const texts = new Set<string>()
  for (const method of ['sql', 'tuples'] as const) {
    const original = Statements.prototype[method]
    t.mock.method(Statements.prototype, method, function (this: Statements, text: string) {
      texts.add(text)
      return original.call(this, text)
    })
  }
  for (const one of conformance) {
    const clock = new ManualClock()
    const store = sqlite(':memory:', { clock, inline: true })
    try {
      await one.run({ store, now: () => clock.now(), advance: async (ms) => clock.advance(ms) })
    } finally {
      await store.close()
    }
  }
  return texts
}

test('no statement walks or sorts the jobs', async (t) => {
  const texts = [...(await preparedStatements(t))].filter((sql) => /^\s*(WITH|SELECT|INSERT|UPDATE|DELETE)/.test(sql))
  assert.ok(texts.length > 60, `only ${texts.length} statements were seen`)
  const { driver } = findDriver(false)
  const db = new driver.DatabaseSync(':memory:')
  migrate(db, 'apply', 0)
  const found = texts.flatMap((sql) => {
    const blank = sql.replaceAll(/\?\d*/g, 'NULL')
    const plan = (db.prepare(`EXPLAIN QUERY PLAN ${blank}`).all() as { detail: string }[]).map((row) => row.detail)
    return walks(sql, plan).map((line) => `${line}\n  in ${sql.trim()}`)
  })
  db.close()
  assert.deepEqual(found, [])
})

test('a claim reads the head of its queue in index order, with suspects or without them', () => {
  const { driver } = findDriver(false)
  const db = new driver.DatabaseSync(':memory:')
  migrate(db, 'apply', 0)
  const planOf = (filter: string): readonly string[] => {
    const head = `SELECT r.job FROM forgeq_ready r WHERE r.queue = ? ${filter} ORDER BY r.lane, r.seq LIMIT ?`
    return (db.prepare(`EXPLAIN QUERY PLAN ${head}`).all() as { detail: string }[]).map((row) => row.detail)
  }
  for (const filter of ['', 'AND r.crashes = 0']) {
    assert.deepEqual(planOf(filter), ['SEARCH r USING PRIMARY KEY (queue=?)'])
  }
  db.close()
})
