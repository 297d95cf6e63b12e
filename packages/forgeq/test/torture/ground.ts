// The store of a run: where it is, what is done to it from outside, and what must not be in it in the end.

export interface Ground {
  readonly url: string
  /** It does not serve for about `ms`; `which` chooses how, where there are several ways. */
  disturb(ms: number, which: number): Promise<void>
  /** Rows that nothing needs any more at `now`, store time, and that are there nevertheless. */
  leftovers(now: number): Promise<string[]>
  close(): Promise<void>
}

/** Tables that hold places of jobs which have not ended, and what such jobs hold. */
export const mustBeEmpty: readonly string[] = ['line', 'key_turn', 'parked', 'later', 'running', 'deadline']

/** Tables of what is over at an instant, and the column that says when. */
const mustBeOver = { alarm: 'at', hold: 'until', start: 'until', uniq: 'until' } as const

/** What is wrong about numbers of rows: `count` answers a statement `SELECT count(*) AS n` on a table, by its name without prefix. */
export async function leftIn(
  count: (table: string, where?: string) => number | Promise<number>,
  empty: readonly string[],
  now: number,
): Promise<string[]> {
  const left: string[] = []
  for (const table of empty) {
    const n = await count(table)
    if (n > 0) left.push(`${n} rows in ${table}`)
  }
  for (const [table, at] of Object.entries(mustBeOver)) {
    const n = await count(table, `${at} <= ${now}`)
    if (n > 0) left.push(`${n} rows in ${table} that are over`)
  }
  const held = await count('uniq', 'until IS NULL')
  if (held > 0) left.push(`${held} unique keys are held by jobs that have ended`)
  const [bodies, ended] = [await count('job'), await count('done')]
  if (bodies !== ended) left.push(`${bodies} bodies of jobs, ${ended} ends of jobs`)
  return left
}
