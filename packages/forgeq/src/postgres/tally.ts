// How many jobs of a queue are in a state: the sum of rows that many write to. Transactions that run at a time add to stripes of
// their own, so none of them waits for another to commit. A stripe is of ten seconds, so that no row has many versions; those of a
// minute ago are added up by whoever prunes. (From SQL: sql-enqueue.ts.)
import type { Batch } from './batch.ts'
import { rowsOf } from './seek.ts'

const stripes = 64
const period = '(extract(epoch FROM clock_timestamp())::bigint / 10)'
/** Of this session, now. */
export const stripeHere: string = `-(${period} * ${stripes} + pg_backend_pid() % ${stripes})`

export const addTallies: Batch = {
  sql: /* sql */ `
  INSERT INTO forgeq.tally (queue, state, stripe, n)
  SELECT t.queue, t.state, ${stripeHere}, t.n
  FROM unnest($1::int[], $2::int[], $3::bigint[]) AS t (queue, state, n)
  ON CONFLICT (queue, state, stripe) DO UPDATE SET n = tally.n + excluded.n`,
}

export const tallied: string = /* sql */ `SELECT coalesce(sum(n), 0)::bigint AS n FROM forgeq.tally WHERE queue = $1 AND state = $2`

/** Rows that transactions of others added, and those of a time that is over. */
const single = `stripe >= ${stripes}`
const past = `stripe < -${stripes} AND stripe > (SELECT -((${period} - 6) * ${stripes}))`

export const anyToFold: string = /* sql */ `(EXISTS (SELECT 1 FROM forgeq.tally WHERE ${single}) OR EXISTS (SELECT 1 FROM forgeq.tally WHERE ${past}))`

const fold = (which: string): string => /* sql */ `
  WITH gone AS (
    DELETE FROM forgeq.tally
    WHERE ${rowsOf(`SELECT ctid FROM forgeq.tally WHERE ${which} ORDER BY stripe LIMIT $1 FOR UPDATE SKIP LOCKED`)}
    RETURNING queue, state, n),
  sums AS (
    INSERT INTO forgeq.tally (queue, state, stripe, n)
    SELECT queue, state, -1 - pg_backend_pid() % ${stripes}, sum(n) FROM gone GROUP BY queue, state ORDER BY queue, state
    ON CONFLICT (queue, state, stripe) DO UPDATE SET n = tally.n + excluded.n)
  SELECT count(*)::integer AS taken FROM gone`
export const folds: readonly string[] = [fold(single), fold(past)]
