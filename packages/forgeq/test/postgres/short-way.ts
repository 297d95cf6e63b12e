// The functions that do plain calls in one trip, closed: whatever is asked then takes the way of transactions.
import type pg from 'pg'

/** From now on it refuses everything in this schema. */
export async function closeShortWay(client: pg.Client, schema: string): Promise<void> {
  for (const name of ['put', 'hand_over']) {
    const { rows } = await client.query<{ text: string }>(
      `SELECT pg_get_functiondef(p.oid) AS text FROM pg_proc p WHERE pronamespace = $1::regnamespace AND proname = $2`,
      [schema, name],
    )
    const refusal = name === 'put' ? 'RETURN false;' : 'RETURN;'
    await client.query(rows[0]!.text.replace(/\nBEGIN\n/, `\nBEGIN\n  ${refusal}\n`))
  }
}
