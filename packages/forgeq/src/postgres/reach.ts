// Finds out how the server is reached: directly, or through a pooler that hands each transaction another session, as PgBouncer
// does. Behind one nothing may be kept in a session: no prepared statements, no settings, no LISTEN.
import type { Pool } from './client.ts'
import { makePool } from './connect.ts'
import { isRefusedSetting } from './failures.ts'

export interface Way {
  readonly pool: Pool
  readonly isPooled: boolean
}

// A server tells the number of its process when a connection is made; a pooler tells one that it made up.
const whoAnswers = /* sql */ `SELECT pg_backend_pid() AS pid`

const isDirect = async (pool: Pool): Promise<boolean> => {
  const client = await pool.connect()
  try {
    const { rows } = await client.query(whoAnswers)
    client.release()
    return (rows[0] as { pid: number }).pid === client.processID
  } catch (error) {
    client.release(error as Error)
    throw error
  }
}

/** A pooler of whole sessions is taken for one of transactions: nobody can tell from here, and it does no harm. */
export const reach = async (url: string): Promise<Way> => {
  const pool = makePool(url, false)
  try {
    if (await isDirect(pool)) return { pool, isPooled: false }
  } catch (error) {
    if (!isRefusedSetting(error)) {
      await pool.end()
      throw error
    }
  }
  await pool.end()
  return { pool: makePool(url, true), isPooled: true }
}
