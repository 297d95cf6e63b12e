// A database of its own for the page about PostgreSQL, which speaks of the schema `forgeq` and of a user `app`.
import type { TestContext } from 'node:test'
import pg from 'pg'
import { postgres } from '#src/postgres/index.js'
import type { TestDatabase } from '../postgres/database.ts'

/** Carries out SQL as psql does: as text, any number of statements at a time. */
export async function openOwnDatabase(
  t: TestContext,
  { url, client }: TestDatabase,
): Promise<(sql: string) => Promise<void>> {
  const name = `forgeq_docs_${process.pid}`
  await client.query(`CREATE DATABASE ${name}`)
  await client.query('CREATE ROLE app').catch(() => undefined)
  const own = new URL(url)
  own.pathname = `/${name}`
  const app = new pg.Client(own.href)
  t.after(async () => {
    await app.end()
    await client.query(`DROP DATABASE ${name} WITH (FORCE)`)
    // Somebody else may have made it, and use it.
    await client.query('DROP ROLE app').catch(() => undefined)
  })
  const store = postgres(own.href, { allowUnsafe: true })
  await store.migrate('apply')
  await store.close()
  await app.connect()
  return async (sql) => void (await app.query(sql))
}
