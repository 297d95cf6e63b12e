// A run on a private PostgreSQL server, which may be stopped as by a crash and started again, lose all its connections, or
// have its tables locked by somebody else.
import { setTimeout as wait } from 'node:timers/promises'
import pg from 'pg'
import { Server } from '../postgres/server.ts'
import { leftIn, mustBeEmpty, type Ground } from './ground.ts'

const settings = ['max_connections=200']
const cutAll = /* sql */ `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'forgeq'`
const isThere = /* sql */ `SELECT to_regclass('forgeq.live') IS NOT NULL AS found`
const lock = /* sql */ `LOCK TABLE forgeq.live IN ACCESS EXCLUSIVE MODE`

export const postgresGround = async (): Promise<Ground> => {
  const server = await Server.make()
  process.on('exit', () => server.kill())
  await server.start(settings)
  const connected = async <T>(work: (client: pg.Client) => Promise<T>): Promise<T> => {
    const client = new pg.Client(server.url)
    // One that breaks fails its query.
    client.on('error', () => undefined)
    await client.connect()
    try {
      return await work(client)
    } finally {
      await client.end()
    }
  }
  const ways: readonly ((ms: number) => Promise<void>)[] = [
    async (ms) => {
      await server.stop()
      await wait(ms)
      await server.start(settings)
    },
    (ms) =>
      connected(async (client) => {
        const until = performance.now() + ms
        while (performance.now() < until) {
          await client.query(cutAll)
          await wait(100)
        }
      }),
    (ms) =>
      connected(async (client) => {
        const { rows } = await client.query<{ found: boolean }>(isThere)
        if (!rows[0]!.found) return
        await client.query('BEGIN')
        await client.query(lock)
        await wait(ms)
        await client.query('ROLLBACK')
      }),
  ]
  // One at a time: a server that is stopped can do nothing else.
  let last: Promise<void> = Promise.resolve()
  const disturb = (ms: number, which: number): Promise<void> => {
    last = last.then(() => ways[which % ways.length]!(ms))
    return last
  }
  const leftovers = (now: number): Promise<string[]> =>
    connected(async (client) => {
      const count = async (table: string, where = 'true'): Promise<number> => {
        const { rows } = await client.query<{ n: string }>(`SELECT count(*) AS n FROM forgeq.${table} WHERE ${where}`)
        return Number(rows[0]!.n)
      }
      return leftIn(count, ['live', 'cancel', 'held', ...mustBeEmpty], now)
    })
  return { url: server.url, disturb, leftovers, close: () => server.remove() }
}
