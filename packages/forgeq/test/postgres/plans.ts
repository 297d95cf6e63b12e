// Explains statements: which of them walk a table that grows with the number of jobs, whatever the planner believes.
import type { TestContext } from 'node:test'
import { Statements } from '#src/postgres/statements.js'
import type { TestDatabase } from './database.ts'

/** The statements that stores send from now on, as they are in the code. */
export function gatherStatements(): ReadonlySet<string> {
  const texts = new Set<string>()
  const original = Statements.prototype.query
  Statements.prototype.query = function (this: Statements, sql, values) {
    texts.add(sql)
    return original.call(this, sql, values)
  }
  return texts
}

/** The others have a row per worker, queue, type or exchange. */
const growing =
  /Seq Scan on (job|live|line|parked|later|done|expiry|deadline|uniq|replacement|attempt|progress|log|log_size|key_turn|start|hold|alarm)\b/

/** The lines of plans that walk a growing table although walks are made as dear as can be: there is no index for them. */
export async function walks(t: TestContext, { client }: TestDatabase, schema: string, sql: string): Promise<string[]> {
  const parameters = new Set(sql.match(/\$\d+/g)).size
  const values = parameters === 0 ? '' : `(${Array.from({ length: parameters }, () => 'NULL').join(', ')})`
  await client.query('SET enable_seqscan = off')
  await client.query('SET plan_cache_mode = force_generic_plan')
  await client.query(`PREPARE explained AS ${new Statements(schema).text(sql)}`)
  try {
    const { rows } = await client.query<{ 'QUERY PLAN': string }>(`EXPLAIN EXECUTE explained${values}`)
    const lines = rows.map((row) => row['QUERY PLAN']).filter((line) => growing.test(line))
    if (lines.length > 0) t.diagnostic(sql)
    return lines
  } finally {
    await client.query('DEALLOCATE explained')
  }
}
