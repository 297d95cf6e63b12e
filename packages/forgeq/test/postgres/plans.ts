// Explains statements: which of them walk a table that grows with the number of jobs, whatever the planner believes.
import assert from 'node:assert/strict'
import pg from 'pg'
import type { Value } from '#src/postgres/client.js'
import { planning } from '#src/postgres/connect.js'
import { Statements } from '#src/postgres/statements.js'
import type { TestDatabase } from './database.ts'
import { watchStatements } from './watch-statements.ts'

/** The statements that stores send from now on and that have a plan, as they are in the code. */
export function gatherStatements(): ReadonlySet<string> {
  const texts = new Set<string>()
  watchStatements((sql) => {
    if (!/^(BEGIN|COMMIT)/.test(sql)) texts.add(sql)
  })
  return texts
}

/** The others have a row per queue or type, or only one. */
const growing =
  / Scan (?:using \w+ )?on (job|live|line|parked|later|done|expiry|deadline|uniq|replacement|attempt|progress|log|log_size|key_turn|start|hold|alarm|held|cancel|tally|worker|exchange)\b/

/** Indexes over few of the rows: workers that are there, rows of the tally that are to be folded. */
const few = / using (worker_present|tally_single) /

/** Whether the lines below a sort read a growing table, and nothing says how much of it: no limit, and no list that was given. */
const isSortOfMany = (lines: readonly string[], at: number): boolean => {
  const depthOf = (line: string): number => line.search(/[^ ]/)
  const depth = depthOf(lines[at]!)
  if (!/^(->  )?Sort {2}/.test(lines[at]!.trimStart())) return false
  const end = lines.findIndex(
    (line, i) => i > at && /->|^ *(CTE|InitPlan|SubPlan)/.test(line) && depthOf(line) <= depth,
  )
  const below = lines.slice(at + 1, end === -1 ? undefined : end)
  return (
    below.some((line) => growing.test(line)) &&
    !below.some((line) => /Limit|Function Scan|CTE Scan|TID Cond|= ANY/.test(line))
  )
}

/** Takes what is first in an index, and nothing is left out: one row, or a bounded page of them. */
const takesTheFirst = (lines: readonly string[], i: number): boolean =>
  /^ *(-> +)?Limit /.test(lines[i - 1] ?? '') &&
  lines[i]!.includes('Index') &&
  !(lines[i + 1] ?? '').includes('Filter:')

const walksIn = (lines: readonly string[]): string[] => {
  const begins = (i: number): boolean => /(Index|TID) Cond/.test(lines[i + 1] ?? '') || takesTheFirst(lines, i)
  const isWalk = (line: string, i: number): boolean => growing.test(line) && !few.test(line) && !begins(i)
  return lines.filter((line, i) => isWalk(line, i) || isSortOfMany(lines, i))
}

/**
 * The same for all that a statement makes functions ask, which is run for that and undone; and how many plans there were. It
 * takes a server that has auto_explain.
 */
export async function walksInside(
  { url }: TestDatabase,
  text: string,
  values: readonly Value[],
): Promise<{ readonly plans: number; readonly walks: readonly string[] }> {
  const client = new pg.Client(url)
  const plans: string[][] = []
  client.on('notice', ({ message = '' }) => {
    const lines = message.split('\n')
    plans.push(lines.slice(lines.findIndex((line) => line.includes('(cost='))))
  })
  await client.connect()
  try {
    await client.query(
      `LOAD 'auto_explain'; SET auto_explain.log_min_duration = 0; SET auto_explain.log_level = notice`,
    )
    for (const [name, value] of Object.entries(planning)) await client.query(`SET ${name} = ${value}`)
    await client.query('BEGIN; SET auto_explain.log_nested_statements = on')
    plans.length = 0
    const { rows } = await client.query(text, [...values])
    assert.ok(rows.length > 0, 'it was refused')
    await client.query('ROLLBACK')
  } finally {
    await client.end()
  }
  return { plans: plans.length, walks: plans.flatMap(walksIn) }
}

/** The lines of a plan, made with the settings of the store, that read a growing table without a place to begin at. */
export async function walks({ client }: TestDatabase, schema: string, sql: string): Promise<string[]> {
  const parameters = new Set(sql.match(/\$\d+/g)).size
  const values = parameters === 0 ? '' : `(${Array.from({ length: parameters }, () => 'NULL').join(', ')})`
  for (const [name, value] of Object.entries(planning)) await client.query(`SET ${name} = ${value}`)
  await client.query(`PREPARE explained AS ${new Statements(schema, false).text(sql)}`)
  try {
    const { rows } = await client.query<{ 'QUERY PLAN': string }>(`EXPLAIN EXECUTE explained${values}`)
    return walksIn(rows.map((row) => row['QUERY PLAN']))
  } finally {
    await client.query('DEALLOCATE explained')
  }
}

/** How many pages a statement reads, which is run for that. */
export async function pagesOf({ client }: TestDatabase, text: string, values: readonly Value[]): Promise<number> {
  const { rows } = await client.query(`EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ${text}`, [...values])
  const { Plan: plan } = (rows[0] as { 'QUERY PLAN': [{ Plan: Record<string, number> }] })['QUERY PLAN'][0]
  return plan['Shared Hit Blocks']! + plan['Shared Read Blocks']!
}
