// The pool of isolated children against children of the test's own making: what is said to them, and what follows from
// what they say, die of, or do not say.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turnOfTheLoop } from 'node:timers/promises'
import { defineJob, ForgeError, typed } from 'forgeq'
import { ManualClock, ManualTimers } from 'forgeq/testing'
import { packError, type ChildOrder, type ChildReport } from '#src/worker/child-talk.js'
import { defaultPolicy } from '#src/core/policy.js'
import { Emitter } from '#src/emitter.js'
import { rememberModule } from '#src/worker/handler-module.js'
import { Isolated } from '#src/worker/isolate.js'
import { Run } from '#src/worker/run.js'
import type { Child, ChildListener, SpawnChild } from '#src/worker/spawn-child.js'
import { StoreTime } from '#src/store-time.js'

class FakeChild implements Child {
  readonly pid = 7
  readonly orders: ChildOrder[] = []
  readonly kind: string
  isKilled = false
  isLeft = false
  looks = 0
  readonly #listener: ChildListener

  constructor(kind: string, listener: ChildListener) {
    this.kind = kind
    this.#listener = listener
  }

  send(order: ChildOrder): void {
    this.orders.push(order)
  }

  look(): void {
    this.looks += 1
  }

  kill(): void {
    this.isKilled = true
  }

  unref(): void {
    this.isLeft = true
  }

  say(report: ChildReport): void {
    this.#listener.heard(report)
  }

  die(how = 'exit code 1'): void {
    this.#listener.ended({ how, exitCode: null, signal: how.startsWith('SIG') ? how : null })
  }

  /** The number of the task it was given last. */
  get task(): number {
    const last = this.orders.findLast(({ order }) => order === 'run')
    assert.ok(last?.order === 'run', 'it was given a task')
    return last.task.task
  }

  /** Takes the task and begins. */
  begin(): void {
    this.say({ report: 'free' })
    this.say({ report: 'begun', task: this.task })
  }

  finish(result = '1'): void {
    this.say({ report: 'done', task: this.task, result, followUps: [] })
  }
}

const jobs = {
  thread: defineJob('in-thread', { input: typed<unknown>(), isolation: 'thread' }, () => 1),
  process: defineJob('in-process', { input: typed<unknown>(), isolation: 'process' }, () => 1),
}
for (const handler of Object.values(jobs)) rememberModule(handler, 'file:///jobs.js')

interface Pool {
  readonly pool: Isolated
  readonly children: FakeChild[]
  readonly timers: ManualTimers
  readonly events: Emitter
  readonly logged: string[]
}

function poolOf(over: { limit?: number; spawn?: SpawnChild } = {}): Pool {
  const children: FakeChild[] = []
  const timers = new ManualTimers(new ManualClock())
  const events = new Emitter()
  const logged: string[] = []
  const spawn: SpawnChild = (kind, listener) => {
    const child = new FakeChild(kind, listener)
    children.push(child)
    return child
  }
  const pool = new Isolated({
    timers,
    random: () => 0,
    time: new StoreTime(timers),
    events,
    defaults: {},
    limit: () => over.limit ?? 10,
    noted: () => {},
    logged: (_run, level, message) => logged.push(`${level} ${message}`),
    spawn: over.spawn ?? spawn,
  })
  return { pool, children, timers, events, logged }
}

let claims = 0
function runOf(kind: keyof typeof jobs = 'process'): Run {
  claims += 1
  const claimed = {
    job: `job ${claims}`,
    claim: 1,
    type: jobs[kind].name,
    payload: '{}',
    attempt: 1,
    attemptBase: 0,
    crashes: 0,
    createdAt: 0,
    policy: defaultPolicy,
  }
  return new Run(claimed, jobs[kind], 'worker', 0)
}

const cancelled = new ForgeError('CANCELLED', 'enough')

test('a child is started, given the task when it has come up, and used again', async () => {
  const { pool, children, logged } = poolOf()
  const first = runOf()
  const running = pool.run(first)
  await turnOfTheLoop()
  const [child] = children
  assert.ok(child)
  assert.deepEqual(
    child.orders.map(({ order }) => order),
    ['start'],
  )
  child.begin()
  child.say({ report: 'note', task: child.task, lines: [{ level: 'info', message: 'hello' }], progress: { done: 1 } })
  child.finish('{"a":1}')
  await running
  assert.equal(first.result, '{"a":1}')
  assert.deepEqual(logged, ['info hello'])
  assert.deepEqual(first.takeNote(0)?.progress, { done: 1 })

  const second = runOf()
  const runningSecond = pool.run(second)
  await turnOfTheLoop()
  assert.equal(
    child.orders.filter(({ order }) => order === 'run').length,
    1,
    'not before the last task is over for good',
  )
  child.begin()
  child.finish()
  await runningSecond
  assert.equal(children.length, 1)
})

test('what is said about an older task, or is no report, changes nothing', async () => {
  const { pool, children, logged } = poolOf()
  const first = pool.run(runOf())
  await turnOfTheLoop()
  const child = children[0]!
  child.begin()
  const old = child.task
  child.finish()
  await first
  const run = runOf()
  const second = pool.run(run)
  child.begin()
  await turnOfTheLoop()
  child.say({ report: 'done', task: old, result: '"stale"', followUps: [] })
  child.say({ report: 'failed', task: old, error: packError(new Error('stale')) })
  child.say({ report: 'note', task: old, lines: [{ level: 'info', message: 'stale' }] })
  for (const junk of ['ready', null, 5, {}, { report: 'hello' }, []]) child.say(junk as ChildReport)
  child.finish('2')
  await second
  assert.equal(run.result, '2')
  assert.deepEqual(logged, [])
})

test('a death before the task has begun is nobody’s fault: another child gets it', async () => {
  const { pool, children } = poolOf()
  const warm = pool.run(runOf())
  await turnOfTheLoop()
  children[0]!.begin()
  children[0]!.finish()
  await warm
  children[0]!.say({ report: 'free' })
  const run = runOf()
  const running = pool.run(run)
  children[0]!.die()
  await turnOfTheLoop()
  children[1]!.begin()
  children[1]!.finish()
  await running
  assert.equal(run.forced, undefined)
})

test('a death while it runs is a crash that tells what is known', async () => {
  const { pool, children } = poolOf()
  const run = runOf()
  const running = pool.run(run)
  await turnOfTheLoop()
  const [child] = children
  child!.begin()
  child!.say({ report: 'memory', bytes: 5 * 1_048_576 })
  child!.die('SIGKILL')
  await assert.rejects(running)
  assert.ok(run.forced?.outcome === 'crash')
  assert.match(run.forced.error.message, /process \(7\) .* died: SIGKILL, last seen with 5 MiB of memory/)
  assert.deepEqual(run.forced.error.process, { exitCode: null, signal: 'SIGKILL', rssBytes: 5 * 1_048_576 })
})

test('no child can be started: the job is put off, longer each time, and no attempt is counted', async () => {
  const spawn: SpawnChild = () => {
    throw new Error('spawn EMFILE')
  }
  const { pool } = poolOf({ spawn })
  const delays: number[] = []
  for (let i = 0; i < 4; i += 1) {
    const run = runOf()
    await assert.rejects(pool.run(run))
    assert.ok(run.forced?.outcome === 'snooze')
    assert.equal(run.forced.error?.code, 'CHILD_UNAVAILABLE')
    assert.match(run.forced.error.message, /EMFILE/)
    delays.push(run.forced.delayMs)
  }
  assert.deepEqual(delays, [500, 1_000, 2_000, 4_000])
})

test('a child that dies before it has come up was not started either', async () => {
  const { pool, children } = poolOf()
  const run = runOf()
  const running = pool.run(run)
  await turnOfTheLoop()
  children[0]!.die('spawn ENOMEM')
  await assert.rejects(running)
  assert.equal(run.forced?.outcome, 'snooze')
})

test('abort: the child hears it, and when it is killed the run ends with the reason', async () => {
  const { pool, children } = poolOf()
  const run = runOf()
  const running = pool.run(run)
  await turnOfTheLoop()
  const child = children[0]!
  child.begin()
  run.abort(cancelled, 0)
  assert.deepEqual(child.orders.at(-1), { order: 'abort', task: child.task, code: 'CANCELLED', message: 'enough' })
  pool.kill(run)
  assert.ok(child.isKilled)
  child.die('SIGKILL')
  await assert.rejects(running, cancelled)
  assert.equal(run.forced, undefined)
})

test('abort before the child has come up: it is not given the task, and serves the next one', async () => {
  const { pool, children } = poolOf()
  const run = runOf()
  const running = pool.run(run)
  await turnOfTheLoop()
  run.abort(cancelled, 0)
  children[0]!.say({ report: 'free' })
  await assert.rejects(running, cancelled)
  const next = pool.run(runOf())
  children[0]!.say({ report: 'begun', task: children[0]!.task })
  children[0]!.finish()
  await next
  assert.equal(children.length, 1)
})

test('a run that ends without its handler: the child is killed, and left behind when that was done before', async () => {
  const { pool, children } = poolOf()
  const [abandoned, stuck] = [runOf(), runOf('thread')]
  const running = [pool.run(abandoned), pool.run(stuck)]
  await turnOfTheLoop()
  for (const child of children) child.begin()
  abandoned.ended = true
  pool.leave(abandoned)
  assert.deepEqual([children[0]!.isKilled, children[0]!.isLeft], [true, false])
  stuck.abort(cancelled, 0)
  stuck.isKilled = true
  stuck.ended = true
  pool.leave(stuck)
  assert.ok(children[1]!.isLeft)
  const closed = pool.close()
  children[0]!.die()
  await closed
  children[1]!.die()
  await assert.rejects(running[0]!, { code: 'LEASE_LOST' })
  await assert.rejects(running[1]!, cancelled)
})

test('a child of one kind makes room for one of the other', async () => {
  const { pool, children } = poolOf({ limit: 1 })
  const first = pool.run(runOf('thread'))
  await turnOfTheLoop()
  children[0]!.begin()
  children[0]!.finish()
  await first
  const second = pool.run(runOf('process'))
  await turnOfTheLoop()
  assert.equal(children[0]!.orders.at(-1)?.order, 'end')
  children[1]!.begin()
  children[1]!.finish()
  await second
  assert.deepEqual(
    children.map(({ kind }) => kind),
    ['thread', 'process'],
  )
})

test('an idle child ends after half a minute; at the close all do, by force when they do not', async () => {
  const { pool, children, timers } = poolOf()
  const runs = [pool.run(runOf()), pool.run(runOf())]
  await turnOfTheLoop()
  for (const child of children) {
    child.begin()
    child.finish()
    child.say({ report: 'free' })
  }
  await Promise.all(runs)
  await timers.advance(29_999)
  assert.notEqual(children[0]!.orders.at(-1)?.order, 'end')
  await timers.advance(1)
  assert.deepEqual(
    children.map(({ orders }) => orders.at(-1)?.order),
    ['end', 'end'],
  )
  children[0]!.die('exit code 0')
  const closed = pool.close()
  await timers.advance(500)
  assert.ok(children[1]!.isKilled)
  children[1]!.die('SIGKILL')
  await closed
})

test('a child that dies idle is told of with the job it ran last, and is replaced', async () => {
  const { pool, children, events } = poolOf()
  const died: string[] = []
  events.on('child:died', ({ id, error }) => died.push(`${id} ${error.message}`))
  const run = runOf()
  const running = pool.run(run)
  await turnOfTheLoop()
  children[0]!.begin()
  children[0]!.finish()
  await running
  children[0]!.die('exit code 1')
  assert.equal(died.length, 1)
  assert.match(died[0]!, new RegExp(`^${run.claimed.job} .* died: exit code 1`))
  const next = pool.run(runOf())
  await turnOfTheLoop()
  children[1]!.begin()
  children[1]!.finish()
  await next
})

test('what runs is looked at in its child, and one that does not answer is not waited for', async () => {
  const { pool, children, timers } = poolOf()
  const runs = [runOf('process'), runOf('thread')]
  for (const run of runs) pool.run(run).catch(() => {})
  await turnOfTheLoop()
  const [blocked, silent] = children
  blocked!.begin()
  silent!.begin()
  const looking = pool.look()
  blocked!.say({ report: 'look', look: { told: '', stack: ['at spin (file:///jobs.js:1:1)'] } })
  await timers.advance(1_000)
  assert.deepEqual(await looking, [
    { job: runs[0]!.claimed.job, place: 'process 7', stack: ['at spin (file:///jobs.js:1:1)'] },
    { job: runs[1]!.claimed.job, place: 'a thread of its own', stack: [], failure: 'it does not answer' },
  ])
  assert.equal(silent!.looks, 1)
})
