// The store that processes of a test share: a file in its folder, or, where FORGEQ_TEST_STORE names a PostgreSQL server, a schema
// there.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import pg from 'pg'
import { folderEnvironments } from '../cli/command.ts'
import { foreignConnection } from '../sqlite/files.ts'

const server = (): string | undefined => process.env['FORGEQ_TEST_STORE']

/** For what is about files, or about their tables. */
export const onlyOnFiles: { readonly skip: string | false } = {
  skip: server() !== undefined && 'it is about the file of SQLite',
}

let schemas = 0

/** Commands in `folder` find it by themselves. */
export function storeIn(folder: string): string {
  if (server() === undefined) return `sqlite:${join(folder, '.forgeq', 'forgeq.db')}`
  schemas += 1
  const url = `${server()}?schema=process_${process.pid}_${schemas}`
  folderEnvironments.set(folder, { FORGEQ_STORE: url })
  return url
}

/** From now on it answers no call that writes; one in a file may not be there yet. */
export async function shut(t: TestContext, folder: string, url: string): Promise<void> {
  if (server() === undefined) {
    mkdirSync(join(folder, '.forgeq'), { recursive: true })
    foreignConnection(t, join(folder, '.forgeq', 'forgeq.db')).exec('BEGIN IMMEDIATE')
    return
  }
  const client = new pg.Client(server())
  await client.connect()
  t.after(() => client.end())
  await client.query('BEGIN')
  await client.query(`LOCK TABLE ${new URL(url).searchParams.get('schema')}.worker IN ACCESS EXCLUSIVE MODE`)
}
