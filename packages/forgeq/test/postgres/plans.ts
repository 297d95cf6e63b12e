// Explains statements: which of them walk a table that grows with the number of jobs, whatever the planner believes.
import type { TestContext } from 'node:test'
import { planning } from '#src/postgres/connect.js'
import { Statements } from '#src/postgres/statements.js'
import type { TestDatabase } from './database.ts'

/** The statements that stores send from now on, as they are in the code. */
export function gatherStatements(): ReadonlySet<string> {
  const texts = new Set<string>()
  const method = 'query'
  const original = Statements.prototype[method]
  Statements.prototype[method] = function (this: Statements, sql, values) {
    texts.add(sql)
    return original.call(this, sql, values)
  }
  return texts
}

/** The others have a row per worker, queue, type or exchange. */
const growing =
  / Scan (?:using \w+ )?on (job|live|line|parked|later|done|expiry|deadline|uniq|replacement|attempt|progress|log|log_size|key_turn|start|hold|alarm)\b/

/** Takes what is first in an index, and nothing is left out: one row, or a bounded page of them. */
const takesTheFirst = (lines: readonly string[], i: number): boolean =>
  /^ *(-> +)?Limit /.test(lines[i - 1] ?? '') &&
  lines[i]!.includes('Index') &&
  !(lines[i + 1] ?? '').includes('Filter:')

/** The lines of a plan, made with the settings of the store, that read a growing table without a place to begin at. */
export async function walks(t: TestContext, { client }: TestDatabase, schema: string, sql: string): Promise<string[]> {
  const parameters = new Set(sql.match(/\$\d+/g)).size
  const values = parameters === 0 ? '' : `(${Array.from({ length: parameters }, () => 'NULL').join(', ')})`
  for (const [name, value] of Object.entries(planning)) await client.query(`SET ${name} = ${value}`)
  await client.query(`PREPARE explained AS ${new Statements(schema, false).text(sql)}`)
  try {
    const { rows } = await client.query<{ 'QUERY PLAN': string }>(`EXPLAIN EXECUTE explained${values}`)
    const lines = rows.map((row) => row['QUERY PLAN'])
    const begins = (i: number): boolean => (lines[i + 1] ?? '').includes('Index Cond') || takesTheFirst(lines, i)
    const found = lines.filter((line, i) => growing.test(line) && !begins(i))
    if (found.length > 0) t.diagnostic(sql)
    return found
  } finally {
    await client.query('DEALLOCATE explained')
  }
}
