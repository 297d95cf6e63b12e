// What must hold before a server is trusted: a version that has what is needed, and settings that keep what is promised.
import { ForgeError } from '../core/errors.ts'
import type { Pool, Query, Result } from './client.ts'

export interface ServerFacts {
  readonly version: string
  readonly durability: string
  readonly problems: readonly string[]
}

const settings = /* sql */ `
  SELECT current_setting('server_version') AS version, current_setting('server_version_num')::integer AS number,
    current_setting('server_encoding') AS encoding, current_setting('fsync') AS fsync,
    current_setting('synchronous_commit') AS commit, current_setting('full_page_writes') AS pages`

const oldest = 140_000

/** STORE_UNSAFE for a server that cannot keep what it acknowledges, CONFIG for one that lacks what is needed. */
export const checkServer = async (pool: Pool, allowUnsafe: boolean): Promise<ServerFacts> => {
  const { rows } = await pool.query(settings)
  const row = rows[0] as {
    version: string
    number: number
    encoding: string
    fsync: string
    commit: string
    pages: string
  }
  if (row.number < oldest) throw new ForgeError('CONFIG', `PostgreSQL ${row.version} is too old; 14 or newer is needed`)
  if (row.encoding !== 'UTF8') {
    throw new ForgeError('CONFIG', `the database is encoded in ${row.encoding}; make one with ENCODING 'UTF8'`)
  }
  const isVolatile = row.fsync === 'off' || row.pages === 'off'
  if (isVolatile && !allowUnsafe) {
    throw new ForgeError(
      'STORE_UNSAFE',
      'the server runs with fsync or full_page_writes off: a crash of its machine may destroy the database; ' +
        'turn them on (FORGEQ_ALLOW_VOLATILE=1 goes on at your risk)',
    )
  }
  return {
    version: row.version,
    durability: isVolatile
      ? 'nothing is safe from power loss: fsync or full_page_writes is off'
      : row.commit === 'off'
        ? 'power loss may take back the last commits: synchronous_commit is off'
        : 'what is acknowledged survives power loss',
    problems: row.commit === 'off' ? ['synchronous_commit is off: set it to on for this database or user'] : [],
  }
}

const open = /* sql */ `
  SELECT pid, coalesce(nullif(application_name, ''), usename::text, '') AS who,
    floor(extract(epoch FROM clock_timestamp() - xact_start))::integer AS seconds
  FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
    AND coalesce(backend_xid, backend_xmin) IS NOT NULL AND xact_start < clock_timestamp() - $1 * interval '1 ms'
  ORDER BY xact_start LIMIT 1`

/** So long is normal. */
const longMs = 5 * 60_000

/** The transaction of somebody, in this database, that keeps the server from cleaning up for longest, if that is for long. */
export const longTransaction = async (
  ask: (query: Query) => Promise<Result | undefined>,
  sinceMs: number = longMs,
): Promise<string | undefined> => {
  const row = (await ask({ text: open, values: [sinceMs] }))?.rows[0] as
    | { pid: number; who: string; seconds: number }
    | undefined
  if (row === undefined) return undefined
  return (
    `a transaction of ${JSON.stringify(row.who)} (process ${row.pid} of the server) has been open for ${row.seconds} s, and until it ends ` +
    `the server keeps all that ForgeQ deletes: tables grow, queues with keys get slower; end it, or set transaction_timeout or ` +
    `idle_in_transaction_session_timeout for its user`
  )
}
