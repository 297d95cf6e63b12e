// Runs tests of processes once more, on a PostgreSQL server of their own.
import { after } from 'node:test'
import { Server } from '../postgres/server.ts'

/** `names`: of test files, as seen from this one. */
export async function onPostgres(...names: readonly string[]): Promise<void> {
  const server = await Server.make()
  process.on('exit', () => server.kill())
  await server.start(['max_connections=300'])
  after(() => server.remove())
  process.env['FORGEQ_TEST_STORE'] = server.url
  for (const name of names) await import(new URL(`${name}.test.js`, import.meta.url).href)
}
