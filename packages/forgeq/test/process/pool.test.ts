// The pool: processes are replaced when they have done enough, start again after pauses that tell crash loops from jobs that
// crash, and what runs goes on while none can be started.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import { api } from 'forgeq/server'
import { runCommand } from '../cli/command.ts'
import { work } from './handlers/effects.ts'
import { grow, patient } from './handlers/stuck.ts'
import { handlersFile, isAlive, scene, until } from './scene.ts'

const times = <T>(count: number, value: T): T[] => Array.from({ length: count }, () => value)

test('with --max-jobs a process does that many jobs and is replaced; each job runs once', async (t) => {
  const { forge, effects, start } = scene(t)
  await forge.enqueueMany(work, times(12, { ms: 5 }))
  const worker = start(['worker', handlersFile('effects'), '-c', '1', '--max-jobs', '4'])
  await until(async () => (await forge.admin.queues())[0]?.counts.completed === 12, '12 completed jobs')
  await worker.ends('SIGTERM')
  const counts = new Map<number, number>()
  for (const { pid } of effects('start')) counts.set(pid, (counts.get(pid) ?? 0) + 1)
  assert.deepEqual([...counts.values()], [4, 4, 4])
  assert.match(worker.printed(), /"reason":"jobs","msg":"worker process is replaced"/)
  assert.doesNotMatch(worker.printed(), /died/)
})

test('a process beyond --max-rss lets its jobs end and is replaced', async (t) => {
  const { forge, effects, start } = scene(t)
  const worker = start(['worker', handlersFile('stuck'), handlersFile('effects'), '--max-rss', '300MB'])
  const long = await forge.enqueue(work, { ms: 8_000 })
  const { pid } = await until(() => effects('start')[0], 'the start of the long job')
  await forge.enqueue(grow, { bytes: 350e6 })
  await worker.prints(/"reason":"memory","msg":"worker process is replaced"/)
  assert.equal((await forge.admin.job(long.id))?.state, 'completed')
  assert.deepEqual(
    effects('end').map((effect) => effect.pid),
    [pid],
  )
  const next = await forge.enqueue(work, { ms: 0 })
  await next.result({ timeout: '30s' })
  assert.notEqual(effects('end').at(-1)!.pid, pid)
  assert.doesNotMatch(worker.printed(), /died/)
  assert.equal((await worker.ends('SIGTERM')).code, 0)
})

test('a crash loop is told by status and /readyz while it lasts', async (t) => {
  const { folder, forge, start } = scene(t)
  const worker = start(['worker', handlersFile('dies-soon')])
  const told = /Worker process 1 of 1 \(supervisor (\d+) on \S+\) has died (\d+) times in a row \(exit code 3\)/
  const [, pid] = await until(async () => {
    const { stdout } = await runCommand(folder, ['status'])
    return told.exec(stdout) ?? false
  }, 'the crash loop in status')
  assert.equal(Number(pid), worker.child.pid)
  const { fetch } = api({ forge })
  const ready = (await (await fetch(new Request('http://localhost/readyz'))).json()) as { problems: string[] }
  assert.match(ready.problems.join(), told)
  const { stdout } = await runCommand(folder, ['workers', 'ls', '--json'])
  const { data } = JSON.parse(stdout) as { data: { facts: { crew?: { loops: unknown[] } } | null }[] }
  assert.equal(data.find(({ facts }) => facts?.crew !== undefined)?.facts?.crew?.loops.length, 1)
  assert.deepEqual(await worker.ends('SIGTERM'), { code: 0, signal: null })
  assert.deepEqual(await forge.admin.workers(), [])
})

test('while no process can be started, those that run go on; then the pool is whole again', async (t) => {
  const { forge, effects, start } = scene(t)
  const worker = start(['worker', handlersFile('effects'), '-p', '2', '-c', '1'])
  const serving = async (): Promise<number[] | undefined> => {
    const pids = (await forge.admin.workers()).filter(({ slots }) => slots > 0).map(({ pid }) => pid)
    return pids.length === 2 ? pids : undefined
  }
  const [victim, survivor] = await until(serving, 'two processes')
  const setLimit = (limit: string): Buffer =>
    execFileSync('prlimit', ['--pid', String(worker.child.pid), `--nofile=${limit}:`])
  setLimit('3')
  process.kill(victim!, 'SIGKILL')
  await worker.prints(/"how":"spawn .* EMFILE","restartMs":\d+[^]*"how":"spawn .* EMFILE"/)
  const { id } = await forge.enqueue(work, { ms: 0 })
  assert.equal((await until(() => effects('end').find((effect) => effect.id === id), 'a job')).pid, survivor)
  setLimit('1024')
  const now = await until(serving, 'two processes again')
  assert.ok(now.includes(survivor!))
  assert.ok(isAlive(now[0]!) && isAlive(now[1]!))
  assert.equal((await worker.ends('SIGTERM')).code, 0)
})

test('a worker is resized from outside while it works', async (t) => {
  const { folder, forge, effects, start } = scene(t)
  await forge.enqueueMany(patient, times(5, null))
  const running = start(['worker', handlersFile('stuck'), '-c', '2'])
  await until(() => effects('start').length === 2, 'two running jobs')
  const worker = (await forge.admin.workers()).find(({ slots }) => slots > 0)!
  const { code, stdout } = await runCommand(folder, ['workers', 'resize', worker.id, '4'])
  assert.deepEqual([code, stdout], [0, `${worker.id} runs 4 at a time\n`])
  await until(() => effects('start').length === 4, 'four running jobs')
  const missing = await runCommand(folder, ['workers', 'resize', 'nobody', '4'])
  assert.equal(missing.code, 3)
  assert.equal((await running.ends('SIGTERM')).code, 0)
})
