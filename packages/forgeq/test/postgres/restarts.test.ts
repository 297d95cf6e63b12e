// A server that crashes and comes back again and again under load, and one whose connections are ended all the time: nothing is
// lost, nothing is done twice, and work goes on at once. FORGEQ_RESTARTS: how many crashes (default 30).
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { Load } from './load.ts'
import { Server } from './server.ts'

const restarts = Number(process.env['FORGEQ_RESTARTS'] ?? 30)

const server = await Server.make()
process.on('exit', () => server.kill())
after(() => server.remove())
// What is committed is handed to the system, which survives the server.
const settings = ['fsync=off', 'max_connections=200']
await server.start(settings)

test('a server that crashes again and again: work goes on within seconds, each job is done once', async (t) => {
  const load = await Load.start({ url: server.url, workers: 2, producers: 4 })
  const tookMs: number[] = []
  for (let i = 0; i < restarts; i++) {
    await load.completions(50)
    await server.stop()
    // Sometimes longer than an enqueue waits.
    await sleep(i % 10 === 9 ? 3_000 : Math.random() * 500)
    await server.start(settings)
    const startedAt = performance.now()
    await load.completion()
    tookMs.push(performance.now() - startedAt)
  }
  await load.end()
  tookMs.sort((a, b) => a - b)
  const [p50, max] = [tookMs[Math.floor(tookMs.length / 2)]!, tookMs.at(-1)!]
  const failed = JSON.stringify(Object.fromEntries(load.failed))
  t.diagnostic(`${restarts} crashes, ${load.completed} jobs, enqueues that failed: ${failed}`)
  t.diagnostic(`from ready to the next completion: p50 ${Math.round(p50)} ms, max ${Math.round(max)} ms`)
  assert.ok(max < 5_000, `${max} ms`)
})

test('a server that ends all connections again and again: each job is done once', async (t) => {
  const load = await Load.start({ url: server.url, schema: 'ended', workers: 2, producers: 4 })
  const client = new pg.Client(server.url)
  await client.connect()
  let ended = 0
  for (const endsAt = performance.now() + 6_000; performance.now() < endsAt;) {
    const { rowCount } = await client.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'forgeq'`,
    )
    ended += rowCount ?? 0
    await sleep(50 + Math.random() * 150)
  }
  await client.end()
  const during = load.completed
  await load.end()
  const failed = JSON.stringify(Object.fromEntries(load.failed))
  t.diagnostic(`${ended} connections ended, ${during} jobs meanwhile, enqueues that failed: ${failed}`)
  assert.ok(ended > 100 && during > 0)
})
