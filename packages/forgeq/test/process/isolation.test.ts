// Isolated handlers in real threads and processes: they are ended when they do not stop, and take nothing with them. Time stands still; what a test waits for is an event.
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, test, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { EngineEvents } from '#src/core/events.js'
import { defineJob, typed, type Job } from 'forgeq'
import { testForge } from 'forgeq/testing'
import { bench, type Bench } from '../worker/bench.ts'
import { deadly, kinds, messy, polite, stubborn, where } from './handlers/faults.ts'
import { odd } from './handlers/odd.ts'
import { isolatedScene, jobOf, moduleOf, tryOnce, type IsolatedScene } from './isolated-scene.ts'
import { isAlive, until } from './scene.ts'

suite('handlers that do not stop', () => {
  for (const isolation of kinds) {
    for (const name of ['loops', 'waits', 'sleeps', 'matches']) {
      const setUp = (t: TestContext): IsolatedScene & { job: Job; file: string } => {
        const folder = mkdtempSync(join(tmpdir(), 'forgeq-test-'))
        const file = join(folder, 'pid')
        const here = isolatedScene(t, 'faults')
        t.after(() => {
          // A thread inside execSync ends with what that waits for.
          if (pidIn(file) > 0) endProcess(pidIn(file))
          rmSync(folder, { recursive: true })
        })
        const job = jobOf(stubborn, `${isolation}:${name}`)
        const begin: IsolatedScene['begin'] = async (...given) => {
          const id = await here.begin(...given)
          if (name === 'sleeps') await until(() => pidIn(file) > 0, 'the process that it starts')
          return id
        }
        return { ...here, begin, file, job }
      }
      // A call that is not JavaScript ends no thread: it is settled without it.
      const isDeaf = isolation === 'thread' && name === 'sleeps'

      test(`${isolation}: ${name} beyond its timeout`, async (t) => {
        const { begin, job, file, next, advance, forge } = setUp(t)
        const id = await begin(job, { file })
        await advance(2_000)
        const dead = next('job:dead')
        await advance(5_000)
        if (isDeaf) await advance(1_000)
        assert.deepEqual([(await dead).error.code, (await dead).reason], ['TIMEOUT', 'exhausted'])
        assert.deepEqual((await forge.admin.job(id))?.crashes, 0)
        if (isolation === 'process' && name === 'sleeps') {
          await until(() => !isAlive(pidIn(file)), 'the end of what the handler had started')
        }
        const completed = next('job:completed')
        await forge.enqueue(jobOf(where, `${isolation}:where`), {})
        await completed
      })

      test(`${isolation}: ${name} when it is cancelled`, async (t) => {
        const { begin, job, file, next, advance, forge } = setUp(t)
        const id = await begin(job, { file })
        const cancelled = next('job:cancelled')
        await forge.admin.cancel([id])
        await advance(1_000)
        await advance(5_000)
        if (isDeaf) await advance(1_000)
        assert.equal((await cancelled).id, id)
      })

      test(`${isolation}: ${name} when the worker stops: handed back`, async (t) => {
        const { begin, job, file, next, advance, forge, worker } = setUp(t)
        const id = await begin(job, { file })
        const released = next('job:released')
        const stopped = worker.stop({ grace: 0 })
        await advance(0)
        await advance(1_000)
        if (isDeaf) await advance(300)
        assert.equal((await released).id, id)
        await stopped
        const { state, attempt, crashes } = (await forge.admin.job(id))!
        assert.deepEqual([state, attempt, crashes], ['ready', 1, 0])
      })
    }

    test(`${isolation}: the signal tells why, and a handler that hears it ends in time`, async (t) => {
      const { begin, advance, next, forge } = isolatedScene(t, 'faults')
      const id = await begin(jobOf(polite, `${isolation}:polite`))
      const dead = next('job:dead')
      await advance(2_000)
      assert.equal((await dead).error.code, 'TIMEOUT')
      const job = await forge.admin.job(id, ['logs'])
      assert.equal(job?.logs?.at(-1)?.message, 'ForgeError TIMEOUT')
    })
  }
})

suite('handlers that die', () => {
  const ways: readonly (readonly [type: string, how: RegExp])[] = [
    ['thread:exits-3', /the thread that ran this job died: exit code 3/],
    ['thread:exits-0', /the thread that ran this job died: exit code 0/],
    ['thread:throws', /exit code 1.*; nobody caught RangeError: nobody is there/],
    ['thread:rejects', /exit code 1.*; nobody caught RangeError: nobody is there/],
    ['process:exits-3', /the process \(\d+\) that ran this job died: exit code 3, last seen with \d+ MiB of memory/],
    ['process:exits-0', /exit code 0/],
    ['process:is-killed', /died: SIGKILL, last seen with \d+ MiB/],
    ['process:faults', /died: SIGSEGV/],
    ['process:aborts', /died: SIGABRT/],
    ['process:throws', /exit code 1.*; nobody caught RangeError: nobody is there/],
    ['process:rejects', /exit code 1.*; nobody caught RangeError: nobody is there/],
  ]

  for (const [type, how] of ways) {
    test(`${type}: counts as a crash, is poison at the third, and the worker goes on`, async (t) => {
      const { forge, next } = isolatedScene(t, 'faults', 2)
      const crashes: EngineEvents['job:crashed'][] = []
      forge.on('job:crashed', (event) => crashes.push(event))
      const dead = next('job:crashed', (event) => event.dead !== null)
      const { id } = await forge.enqueue(jobOf(deadly, type), {})
      assert.equal((await dead).dead, 'poison')
      const job = await forge.admin.job(id, ['attempts'])
      assert.deepEqual([job?.state, job?.reason, job?.crashes, job?.attempt], ['dead', 'poison', 3, 1])
      assert.deepEqual(
        job?.attempts?.map(({ outcome, error }) => [outcome, error?.code]),
        Array.from({ length: 3 }, () => ['crash', 'CHILD_LOST']),
      )
      assert.equal(crashes.length, 3)
      assert.match(crashes[0]!.error.message, how)
      // A suspect gets a process, whatever its type says.
      assert.match(crashes[1]!.error.message, /the process \(\d+\) that ran this job died/)
      const completed = next('job:completed')
      await forge.enqueue(jobOf(where, 'inline:where'), {})
      await completed
    })
  }

  test('what is around a handler cannot make its death a success', async (t) => {
    const here = bench()
    t.after(here.close)
    here.forge.use((_, next) => next().catch(() => 'all is well'))
    const { id } = await here.forge.enqueue(jobOf(deadly, 'process:exits-0'), {})
    await here.forge.worker({ handlers: [moduleOf('faults')], drain: true, signals: false }).run()
    assert.equal((await here.forge.admin.job(id))?.reason, 'poison')
  })

  for (const isolation of kinds) {
    test(`${isolation}: a rejection after the end replaces the child and leaves the job completed`, async (t) => {
      const { forge, next } = isolatedScene(t, 'faults')
      const died = next('child:died')
      const { id } = await forge.enqueue(jobOf(messy, `${isolation}:messy`), {})
      const { type, error } = await died
      assert.equal(type, `${isolation}:messy`)
      assert.match(error.message, /nobody caught RangeError: nobody is there/)
      const job = await forge.admin.job(id)
      assert.deepEqual([job?.state, job?.result, job?.crashes], ['completed', 'fine', 0])
      const completed = next('job:completed')
      await forge.enqueue(jobOf(where, `${isolation}:where`), {})
      await completed
    })
  }
})

suite('children', () => {
  const placeOf = async (here: IsolatedScene, type: string): Promise<string> => {
    const id = await tryOnce(here, jobOf(where, type))
    return (await here.forge.admin.job(id))?.result as string
  }

  for (const isolation of kinds) {
    test(`${isolation}: one is used again, ends when it was idle, and another one takes its place`, async (t) => {
      const here = isolatedScene(t, 'faults')
      const first = await placeOf(here, `${isolation}:where`)
      assert.equal(await placeOf(here, `${isolation}:where`), first)
      const [pid, thread] = first.split(':').map(Number)
      assert.equal(pid === process.pid, isolation === 'thread')
      assert.equal(thread === 0, isolation === 'process')
      // The first time it may not have said yet that it is idle.
      do await here.advance(30_000)
      while ((await placeOf(here, `${isolation}:where`)) === first)
    })
  }

  test('a job that was running in a crash runs in a process of its own, whatever its type says', async (t) => {
    const here = isolatedScene(t, 'faults')
    assert.equal(await placeOf(here, 'inline:where'), `${process.pid}:0`)
    here.tapped.tap('exchange', async (go) => {
      const reply = (await go()) as { claimed?: { crashes: number }[] }
      return { ...reply, ...(reply.claimed && { claimed: reply.claimed.map((one) => ({ ...one, crashes: 1 })) }) }
    })
    assert.match(await placeOf(here, 'inline:where'), /^\d+:0$/)
    assert.notEqual(await placeOf(here, 'inline:where'), `${process.pid}:0`)
  })
})

suite('handlers by module', () => {
  const add = (t: TestContext): Bench => {
    const here = bench()
    t.after(here.close)
    return here
  }

  test('a URL, its text, a path and handlers as values go together', async (t) => {
    const { forge } = add(t)
    const plain = defineJob('plain', { input: typed<unknown>() }, () => 'plain')
    const path = fileURLToPath(moduleOf('faults'))
    const handles = await forge.enqueueMany([
      plain.with(1),
      jobOf(where, 'process:where').with(1),
      jobOf(odd, 'inline:discards').with(1),
    ])
    await forge.worker({ handlers: [plain, path, moduleOf('odd').href], drain: true, signals: false }).run()
    const states = await Promise.all(handles.map(async ({ id }) => (await forge.admin.job(id))?.state))
    assert.deepEqual(states, ['completed', 'completed', 'dead'])
  })

  test('an isolated handler as a value is refused, with what to do', async (t) => {
    const { forge } = add(t)
    const alone = defineJob('alone', { input: typed<unknown>(), isolation: 'process' }, () => 1)
    assert.throws(() => forge.worker({ handlers: [alone] }), {
      code: 'INVALID_OPTION',
      message: /handlers\.0 handles alone, which has isolation 'process': give its module instead/,
    })
  })

  test('run rejects when a module is missing or handles a type twice; other options are checked at once', async (t) => {
    const { forge } = add(t)
    await assert.rejects(forge.worker({ handlers: ['./nowhere.js'], signals: false }).run(), { code: 'CONFIG' })
    const twice = forge.worker({
      handlers: [defineJob('inline:where', { input: typed<void>() }, () => 1), moduleOf('faults')],
      signals: false,
    })
    await assert.rejects(twice.run(), {
      code: 'INVALID_OPTION',
      message: /handles inline:where, which another handler does already/,
    })
    assert.throws(() => forge.worker({ handlers: [moduleOf('faults')], concurrency: 0 }), { code: 'INVALID_OPTION' })
  })

  test('a worker that is stopped before or while it loads has stopped', async (t) => {
    const { forge } = add(t)
    const never = forge.worker({ handlers: [moduleOf('faults')], signals: false })
    await never.stop()
    await never.run()
    const loading = forge.worker({ handlers: [moduleOf('faults')], signals: false })
    const running = loading.run()
    await loading.stop()
    await running
  })

  test('a test forge runs isolated handlers in the test', async (t) => {
    const forge = testForge()
    t.after(() => forge.close())
    const here = defineJob('here', { input: typed<void>(), isolation: 'process' }, () => process.pid)
    assert.equal(await forge.run(here, undefined), process.pid)
  })
})

/** 0 while there is none. */
const pidIn = (file: string): number => (existsSync(file) ? Number(readFileSync(file, 'utf8')) : 0)

function endProcess(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended.
  }
}
