// What a worker with nothing to do costs the server: counted by the server's own log.
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { defineJob, ForgeQ, typed } from 'forgeq'
import { postgres } from '#src/postgres/index.js'
import { fast, Server } from './server.ts'

const windowMs = 30_000

test('an idle worker process sends at most 75 statements a minute, and starts a job at once', async (t) => {
  const server = await Server.make()
  process.on('exit', () => server.kill())
  after(() => server.remove())
  await server.start([...fast, 'log_statement=all', 'log_line_prefix=%a '])
  const count = (): number => server.said.filter((line) => /^forgeq LOG: {2}(statement|execute)/.test(line)).length
  const open = (): ForgeQ => new ForgeQ({ store: postgres(server.url, { allowUnsafe: true }) })
  const forge = open()
  const job = defineJob('work', { input: typed<number>() }, ({ input }) => input)
  const running = forge.worker({ handlers: [job], signals: false }).run()
  assert.equal(await (await forge.enqueue(job, 1)).result({ timeout: '5s' }), 1)
  // It asks less and less often.
  await sleep(5_000)
  const before = count()
  await sleep(windowMs)
  const perMinute = ((count() - before) * 60_000) / windowMs
  t.diagnostic(`${perMinute} statements a minute`)
  assert.ok(perMinute > 10 && perMinute <= 75, `${perMinute}`)
  // Another process, which counts for itself.
  const other = open()
  await other.ready()
  const startedAt = performance.now()
  const started = new Promise((resolve) => void forge.on('job:started', resolve))
  await other.enqueue(job, 2)
  await started
  t.diagnostic(`a job of another process started after ${Math.round(performance.now() - startedAt)} ms`)
  await Promise.all([forge.close(), other.close()])
  await running
})
