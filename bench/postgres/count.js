// What the server counts: statements of a database by pg_stat_statements, log by pg_walinspect.
import pg from 'pg'

/** Asks in the database `postgres`, whose own statements are not counted. */
export const asking = async (url, fn) => {
  const target = new URL(url)
  const name = target.pathname.slice(1)
  target.pathname = '/postgres'
  const client = new pg.Client({ connectionString: target.href })
  await client.connect()
  try {
    return await fn(client, name)
  } finally {
    await client.end()
  }
}

export const statementsOf = (url) =>
  asking(url, async (client, name) => {
    const { rows } = await client.query(
      `SELECT coalesce(sum(calls), 0)::int AS calls
       FROM pg_stat_statements JOIN pg_database ON oid = dbid WHERE datname = $1`,
      [name],
    )
    return rows[0].calls
  })

export const logPosition = (url) =>
  asking(url, async (client) => (await client.query('SELECT pg_current_wal_flush_lsn() AS lsn')).rows[0].lsn)

/** Bytes between two positions, and what of them is not copies of whole pages after a checkpoint. */
export const logBetween = (url, from, to) =>
  asking(url, async (client) => {
    const { rows } = await client.query(
      `SELECT pg_wal_lsn_diff($2, $1)::float8 AS wal,
         (SELECT sum(record_size)::float8 FROM pg_get_wal_stats($1, $2)) AS "walWithoutPages"`,
      [from, to],
    )
    return rows[0]
  })
