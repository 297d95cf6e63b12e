// Fills the tables of a schema with rows of finished, ready, waiting and running jobs, as plain SQL: a million of them in seconds.
import type pg from 'pg'

const uuid = (n: string): string => `lpad(to_hex(${n}), 32, '0')::uuid`

const rows = (schema: string): readonly string[] => {
  const s = `"${schema}"`
  return [
    `INSERT INTO ${s}.job (id, seq, type, queue, priority, created_at, run_at, payload)
      SELECT ${uuid('n')}, n * 4096, 1, 1, 5, n, n, '{}' FROM generate_series($1::bigint, $2::bigint) n`,
    `INSERT INTO ${s}.live (queue, lane, seq, job, type, at, claim, attempt, crashes, settler, moved)
      SELECT 1, 22, n * 4096, ${uuid('n')}, 1, n, 0, 1, 0, 0, false FROM generate_series($1::bigint, $2::bigint) n`,
    `INSERT INTO ${s}.done (job, state, claim, attempt, crashes, settler, finished_at, expires_at)
      SELECT ${uuid('n')}, 4, 1, 1, 0, 1, n, n FROM generate_series($1::bigint, $2::bigint) n`,
    `INSERT INTO ${s}.later (run_at, seq, job, queue, claim, attempt, crashes, settler)
      SELECT n, n * 4096, ${uuid('n')}, 1, 0, 1, 0, 0 FROM generate_series($1::bigint, $2::bigint) n`,
    `INSERT INTO ${s}.expiry (at, seq, jobs) SELECT n, n * 4096, ARRAY[${uuid('n')}] FROM generate_series($1::bigint, $2::bigint) n`,
    `INSERT INTO ${s}.deadline (at, job) SELECT n, ${uuid('n')} FROM generate_series($1::bigint, $2::bigint) n`,
    `INSERT INTO ${s}.uniq (type, key, job) SELECT 1, n::text, ${uuid('n')} FROM generate_series($1::bigint, $2::bigint) n`,
    `INSERT INTO ${s}.replacement (id, type, holder, expires_at)
      SELECT ${uuid('n')}, 1, ${uuid('n')}, n FROM generate_series($1::bigint, $2::bigint) n`,
    `INSERT INTO ${s}.parked (queue, type, lane, seq, job, at, claim, attempt, crashes, settler)
      SELECT 1, 2, 22, n * 4096, ${uuid('n')}, n, 0, 1, 0, 0 FROM generate_series($1::bigint, $2::bigint) n`,
    `INSERT INTO ${s}.line (queue, key, lane, seq, job, type, at, claim, attempt, crashes, settler, moved)
      SELECT 1, n::text, 22, n * 4096, ${uuid('n')}, 1, n, 0, 1, 0, 0, false FROM generate_series($1::bigint, $2::bigint) n`,
    `INSERT INTO ${s}.attempt (job, claim, attempt, outcome, worker, started_at, ended_at)
      SELECT ${uuid('n')}, 1, 1, 'retried', 1, n, n FROM generate_series($1::bigint, $2::bigint) n`,
    `INSERT INTO ${s}.progress (job, progress) SELECT ${uuid('n')}, '1' FROM generate_series($1::bigint, $2::bigint) n`,
    `INSERT INTO ${s}.log (job, n, at, claim, level, message)
      SELECT ${uuid('n')}, 1, n, 1, 'info', '' FROM generate_series($1::bigint, $2::bigint) n`,
    `INSERT INTO ${s}.log_size (job, lines, bytes) SELECT ${uuid('n')}, 1, 1 FROM generate_series($1::bigint, $2::bigint) n`,
    `INSERT INTO ${s}.held (worker, turn, queue, lanes, seqs, open)
      SELECT 1, n, 1, '{22}', ARRAY[n * 4096], 1 FROM generate_series($1::bigint, $2::bigint) n`,
    `INSERT INTO ${s}.exchange (worker, turn) SELECT n, n FROM generate_series($1::bigint, $2::bigint) n`,
    `INSERT INTO ${s}.cancel (worker, job, claim) SELECT 1, ${uuid('n')}, 1 FROM generate_series($1::bigint, $2::bigint) n`,
    `INSERT INTO ${s}.key_turn (queue, key, job) SELECT 1, n::text, ${uuid('n')} FROM generate_series($1::bigint, $2::bigint) n`,
    `INSERT INTO ${s}.start (queue, what, at, n, total, until) SELECT 1, 'q', n, 1, n, n FROM generate_series($1::bigint, $2::bigint) n`,
    `INSERT INTO ${s}.hold (queue, what, until) SELECT 1, 'k' || n, n FROM generate_series($1::bigint, $2::bigint) n`,
    `INSERT INTO ${s}.alarm (queue, what, at) SELECT 1, 'k' || n, n FROM generate_series($1::bigint, $2::bigint) n`,
    `INSERT INTO ${s}.tally (queue, state, stripe, n) SELECT 1, 2, n, 1 FROM generate_series($1::bigint, $2::bigint) n`,
    `INSERT INTO ${s}.worker (uid, host, pid, version, queues, types, slots, lease_ms, started_at, beat_at, expires_at, closed, left_at)
      SELECT n::text, '', 0, '', '[]', '{}', 0, 0, n, n, n, true, n FROM generate_series($1::bigint, $2::bigint) n`,
  ]
}

/** Rows `from` to `to` in each table, or in those through which all jobs go. */
export const fill = async (
  client: pg.Client,
  schema: string,
  [from, to]: readonly [number, number],
  which: 'all' | 'common' = 'all',
): Promise<void> => {
  const common = /\.(job|live|done|later|expiry) /
  const wanted = rows(schema).filter((sql) => which === 'all' || common.test(sql))
  for (const sql of wanted) await client.query(sql, [from, to])
}

/**
 * `unknown`: nobody has looked at the tables yet. `empty`: somebody did while they were, and so they stay in the planner's
 * eyes, whatever there is by now. `known`: it knows.
 */
export type Belief = 'unknown' | 'empty' | 'known'

/** What the planner believes of the tables of a schema. */
export const believe = async (client: pg.Client, schema: string, belief: Belief): Promise<void> => {
  const { rows: tables } = await client.query<{ oid: number; name: string }>(
    `SELECT oid::int, relname AS name FROM pg_class WHERE relnamespace = to_regnamespace($1) AND relkind = 'r'`,
    [`"${schema}"`],
  )
  if (belief === 'known') {
    for (const { name } of tables) await client.query(`ANALYZE "${schema}"."${name}"`)
    return
  }
  const numbers = tables.map(({ oid }) => oid)
  await client.query('DELETE FROM pg_statistic WHERE starelid = ANY ($1::oid[])', [numbers])
  const [pages, tuples] = belief === 'empty' ? [1, 0] : [0, -1]
  await client.query('UPDATE pg_class SET relpages = $2, reltuples = $3 WHERE oid = ANY ($1::oid[])', [
    numbers,
    pages,
    tuples,
  ])
}
