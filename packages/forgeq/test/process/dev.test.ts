// `forgeq dev` and `forgeq server`: one tree that comes up by itself and goes down on one signal.
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { defineJob, typed } from 'forgeq'
import { runCommand, type Running } from '../cli/command.ts'
import { handlersFile, isAlive, scene, until } from './scene.ts'

const addressOf = async (running: Running): Promise<string> =>
  (await running.prints(/listens on (http:\/\/127\.0\.0\.1:\d+)/))[1]!

const anyPort = { FORGEQ_PORT: '0' }
const any = (name: string) => defineJob(name, { input: typed<unknown>() })

test('in an empty folder a demo runs, and all of it ends on one SIGTERM', async (t) => {
  const { folder, forge, start } = scene(t)
  const dev = start(['dev'], anyPort)
  const url = await addressOf(dev)
  await dev.prints(/Ready in \d+\.\d s\.[^]*jobs\/hello\./)
  assert.equal((await fetch(`${url}/readyz`)).status, 200)
  const { code, stdout } = await runCommand(folder, ['enqueue', 'hello', '{"name":"Ada"}', '--wait'])
  assert.deepEqual([code, JSON.parse(stdout)], [0, { hello: 'Ada' }])
  const worker = (await forge.admin.workers()).find(({ slots }) => slots > 0)
  assert.deepEqual(await dev.ends('SIGTERM'), { code: 0, signal: null })
  assert.equal(isAlive(worker!.pid), false)
  await assert.rejects(fetch(`${url}/healthz`))
  assert.equal(existsSync(join(folder, 'jobs')), false)
})

test('settings come from the environment and .env, and all queues of the handlers are served', async (t) => {
  const { folder, forge, start } = scene(t)
  writeFileSync(join(folder, '.env'), 'FORGEQ_CONCURRENCY=3\nFORGEQ_LOG_LEVEL=debug\nFORGEQ_PROCESSES=2\n')
  const dev = start(['dev', handlersFile('../../cli/handlers/jobs')], { ...anyPort, FORGEQ_LOG_LEVEL: 'error' })
  await dev.prints(/Ready/)
  const workers = (await forge.admin.workers()).filter(({ slots }) => slots > 0)
  assert.deepEqual(
    workers.map(({ slots, queues }) => [slots, queues.toSorted()]),
    [3, 3].map((slots) => [slots, ['default', 'greetings']]),
  )
  assert.doesNotMatch(dev.printed(), /"level"/)
  await dev.ends('SIGTERM')
})

test('modules that hold sockets and timers do not keep it open', async (t) => {
  const { forge, start } = scene(t)
  const dev = start(['dev', handlersFile('leaky')], anyPort)
  await dev.prints(/Ready/)
  assert.equal(await (await forge.enqueue(any('ping'), null)).result(), 'pong')
  assert.deepEqual(await dev.ends('SIGTERM'), { code: 0, signal: null })
})

test('--init writes a first handler that runs', async (t) => {
  const { folder, forge, start } = scene(t)
  mkdirSync(join(folder, 'node_modules'))
  symlinkSync(fileURLToPath(new URL('../..', import.meta.url)), join(folder, 'node_modules', 'forgeq'))
  const dev = start(['dev', '--init'], anyPort)
  const [, file] = await dev.prints(/Wrote (jobs\/hello\.\w+)\.[^]*Ready/)
  assert.match(readFileSync(join(folder, file!), 'utf8'), /^import .* from 'forgeq'/)
  assert.deepEqual(await (await forge.enqueue(any('hello'), { name: 'Ada' })).result(), { hello: 'Ada' })
  await dev.ends('SIGTERM')
})

test('--init says what is missing when the package is not installed in the folder', async (t) => {
  const { folder, start } = scene(t)
  const dev = start(['dev', '--init'], anyPort)
  await dev.prints(/npm install forgeq[^]*Ready/)
  assert.equal(existsSync(join(folder, 'jobs')), true)
  await dev.ends('SIGTERM')
})

test('a port that is taken is said, with exit code 2', async (t) => {
  const { start } = scene(t)
  const first = start(['server'], anyPort)
  const { port } = new URL(await addressOf(first))
  const second = start(['dev', '--port', port])
  assert.equal((await second.ends()).code, 2)
  assert.match(second.printed(), /is taken/)
  assert.equal((await first.ends('SIGTERM')).code, 0)
})

test('a server without workers keeps delays going', async (t) => {
  const { folder, forge, start } = scene(t)
  const server = start(['server'], anyPort)
  const url = await addressOf(server)
  const { id } = await forge.enqueue(any('later'), null, { delay: '100ms' })
  await until(async () => (await forge.admin.job(id))?.state === 'ready', 'the promotion')
  const seen = (await (await fetch(`${url}/v1/jobs/${id}`)).json()) as { state: string }
  assert.equal(seen.state, 'ready')
  const { stdout } = await runCommand(folder, ['jobs', 'why', id])
  assert.match(stdout, /No worker is running/)
  assert.deepEqual(await server.ends('SIGTERM'), { code: 0, signal: null })
})
