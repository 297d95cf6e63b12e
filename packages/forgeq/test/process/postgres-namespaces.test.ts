// Workers of one store in two network namespaces, with another host name and other process ids there, as on two machines. What
// is there reaches the server by its socket.
import assert from 'node:assert/strict'
import { after, test, type TestContext } from 'node:test'
import type { JobRecord } from '#src/store/records.js'
import { Server } from '../postgres/server.ts'
import type { Running } from '../cli/command.ts'
import { mostAtOnce, shortestWindow } from './claims.ts'
import { elsewhere, hereOf, otherHost, refusal } from './elsewhere.ts'
import { block, hold, work } from './handlers/effects.ts'
import { handlersFile, isAlive, scene, until, type Scene } from './scene.ts'

const skip = refusal
let socket = ''

if (!skip) {
  const server = await Server.make()
  process.on('exit', () => server.kill())
  await server.start([server.socket.setting, 'max_connections=300'])
  after(() => server.remove())
  process.env['FORGEQ_TEST_STORE'] = server.url
  socket = server.socket.url
}

interface Two extends Scene {
  /** Resolve when its processes work. */
  readonly startHere: (processes: number, slots: number) => Promise<Running>
  readonly startThere: (processes: number, slots: number) => Promise<Running>
}

function two(t: TestContext): Two {
  const stage = scene(t)
  const { forge, store, start } = stage
  const schema = new URL(store).searchParams.get('schema')
  const there = { FORGEQ_STORE: `${socket}&schema=${schema}` }
  const starter =
    (isThere: boolean) =>
    async (processes: number, slots: number): Promise<Running> => {
      const flags = ['-p', String(processes), '-c', String(slots), '--log-level', 'warn']
      const args = ['worker', handlersFile('effects'), ...flags]
      const running = isThere ? start(args, there, elsewhere) : start(args)
      await until(
        async () => {
          const ours = (await forge.admin.workers()).filter(({ host }) => (host === otherHost) === isThere)
          return ours.filter(({ slots: has, closed }) => has === slots && !closed).length === processes
        },
        `${processes} workers ${isThere ? 'there' : 'here'}`,
      )
      return running
    }
  return { ...stage, startHere: starter(false), startThere: starter(true) }
}

test(
  'workers in two namespaces share a queue: each job starts once, and limits hold over both',
  { skip },
  async (t) => {
    const { forge, effects, startHere, startThere } = two(t)
    const limits = { concurrency: 6, rate: { max: 40, per: '500ms' }, perKey: { concurrency: 2 } } as const
    await forge.admin.limit('default', limits)
    // Neither side has slots for all that may run at a time: what one of them leaves open is for the other.
    const [here] = await Promise.all([startHere(2, 2), startThere(2, 2)])
    const workers = await forge.admin.workers()
    assert.equal(new Set(workers.map(({ host }) => host)).size, 2)
    const spaceOf = (isThere: boolean) =>
      new Set(workers.filter(({ host }) => (host === otherHost) === isThere).map(({ pidSpace }) => pidSpace))
    assert.deepEqual([spaceOf(true).size, spaceOf(false).size], [1, 1])
    assert.notDeepEqual(spaceOf(true), spaceOf(false))

    const calls = Array.from({ length: 200 }, (_, i) => work.with({ ms: 15 }, { key: `key-${i % 6}` }))
    const ids = (await forge.enqueueMany(calls)).map(({ id }) => id)
    const jobs = await until(async () => {
      const now: readonly JobRecord[] = await forge.store.jobs(ids, ['attempts'])
      return now.every(({ finishedAt }) => finishedAt !== null) && now
    }, 'the end of all jobs')
    assert.deepEqual([...new Set(jobs.map(({ state, crashes }) => `${state} ${crashes}`))], ['completed 0'])
    for (const what of ['start', 'end']) {
      assert.deepEqual(
        effects(what)
          .map(({ id }) => id)
          .sort(),
        ids.toSorted(),
      )
    }
    const theirs = new Set(workers.filter(({ host }) => host === otherHost).map(({ pid }) => pid))
    const there = effects('start').filter(({ pid }) => theirs.has(pid)).length
    assert.ok(there > 20 && there < 180, `${there} of 200 there`)

    const claims = jobs.flatMap(({ attempts }) => attempts!)
    assert.ok(mostAtOnce(claims) <= 6, `${mostAtOnce(claims)} at a time`)
    assert.ok(shortestWindow(claims, 40) >= 500, `41 starts in ${shortestWindow(claims, 40)} ms`)
    for (const key of new Set(jobs.map((job) => job.key))) {
      const most = mostAtOnce(jobs.filter((job) => job.key === key).flatMap(({ attempts }) => attempts!))
      assert.ok(most <= 2, `${most} of ${key} at a time`)
    }
    assert.equal((await here.ends('SIGTERM')).code, 0)
  },
)

test(
  'a worker that starts here takes nobody there for dead; when all there are killed, it has their jobs',
  { skip },
  async (t) => {
    const { forge, effects, startHere, startThere } = two(t)
    const there = await startThere(1, 3)
    const held = await forge.enqueueMany(hold, [null, null, null])
    await until(() => effects('start').length === 3, 'three starts there')
    const pid = effects('start')[0]!.pid
    assert.equal(isAlive(pid), false, 'here nobody has its process id')
    await startHere(1, 3)
    const done = await forge.enqueue(work, { ms: 0 })
    await done.result()
    const stillHeld = (await forge.admin.workers()).find((worker) => worker.host === otherHost && worker.slots > 0)
    assert.deepEqual([stillHeld?.pid, stillHeld?.held, stillHeld?.closed], [pid, 3, false])

    await there.ends('SIGKILL')
    const heir = await until(
      () => effects('start').find(({ id, pid: by }) => id === held[0]!.id && by !== pid),
      'its heir',
    )
    assert.ok(isAlive(heir.pid))
    const job = await forge.admin.job(held[0]!.id)
    assert.deepEqual([job?.state, job?.attempt, job?.crashes], ['running', 1, 1])
  },
)

test('a process there that is killed is missed at once by its own supervisor', { skip }, async (t) => {
  const { forge, effects, startHere, startThere } = two(t)
  const there = await startThere(1, 1)
  const { id } = await forge.enqueue(block, null)
  const { pid } = await until(() => effects('start')[0], 'a start there')
  await startHere(1, 1)
  process.kill(hereOf(pid, there.child.pid!), 'SIGKILL')
  const killedAt = performance.now()
  await until(() => effects('start')[1], 'a second start')
  assert.ok(performance.now() - killedAt < 10_000, 'its lease of 15 s was not waited for')
  assert.equal((await forge.admin.job(id))?.crashes, 1)
})
