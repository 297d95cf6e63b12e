// Whose fault it is that an event loop stands still: the handler that holds it, and no other one.
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import type { EnqueueOptions, Handle, JobView } from 'forgeq'
import { block, nap, type How } from './handlers/blocking.ts'
import { handlersFile, scene, until, type Scene } from './scene.ts'

interface BlockedScene extends Scene {
  readonly worker: ReturnType<Scene['start']>
  readonly naps: readonly Handle<string>[]
  readonly blocker: Handle<string>
}

/** Two that wait, and then one that holds the event loop. */
async function blocked(t: TestContext, how: How, options: EnqueueOptions = {}): Promise<BlockedScene> {
  const here = scene(t)
  const worker = here.start(['worker', handlersFile('blocking'), '-c', '3'])
  const naps = await here.forge.enqueueMany(nap, [{ ms: 600 }, { ms: 600 }])
  await until(() => here.effects('start').length === 2, 'those that wait')
  const blocker = await here.forge.enqueue(block, how, options)
  await until(() => here.effects('start').some(({ id }) => id === blocker.id), 'the one that blocks')
  return { ...here, worker, naps, blocker }
}

const countsOf = (job: JobView | undefined): unknown => [job?.state, job?.attempt, job?.crashes]

for (const waits of [false, true]) {
  const when = waits ? 'after it has waited' : 'at once'
  test(`a handler that blocks ${when} fails alone, at its own limit: what waits beside it runs again uncharged`, async (t) => {
    const { forge, worker, naps, blocker } = await blocked(t, { waits })
    const failed = await until(async () => {
      const job = await forge.admin.job(blocker.id, ['attempts'])
      return job?.state === 'scheduled' && job
    }, 'its failure')
    assert.equal(failed.error?.code, 'TIMEOUT')
    assert.deepEqual(countsOf(failed), ['scheduled', 2, 0])
    const [attempt] = failed.attempts!
    const tookMs = attempt!.endedAt.getTime() - attempt!.startedAt.getTime()
    assert.ok(tookMs >= 8_000 && tookMs < 9_500, `it took ${tookMs} ms`)
    for (const handle of naps) {
      assert.equal(await handle.result({ timeout: '30s' }), 'awake')
      assert.deepEqual(countsOf(await forge.admin.job(handle.id)), ['completed', 1, 0])
    }
    assert.match(
      worker.printed(),
      new RegExp(`  block ${blocker.id}, attempt 1, for [\\d.]+m?s, blocks the event loop`),
    )
    assert.equal((await worker.ends('SIGTERM')).code, 0)
  })

  test(`a handler that blocks ${when} and lets go within its limits costs nobody an attempt`, async (t) => {
    const { forge, worker, naps, blocker } = await blocked(t, { waits, ms: 2_500 })
    assert.equal(await blocker.result({ timeout: '30s' }), 'done')
    for (const handle of naps) {
      assert.equal(await handle.result({ timeout: '30s' }), 'awake')
      assert.deepEqual(countsOf(await forge.admin.job(handle.id)), ['completed', 1, 0])
    }
    assert.equal((await worker.ends('SIGTERM')).code, 0)
  })
}

test('nobody can tell who blocks in native code after waiting: all of them run apart, where it fails alone', async (t) => {
  const { forge, naps, blocker, worker } = await blocked(t, { waits: true, native: true })
  for (const handle of naps) {
    assert.equal(await handle.result({ timeout: '30s' }), 'awake')
    assert.deepEqual(countsOf(await forge.admin.job(handle.id)), ['completed', 1, 1])
  }
  await until(async () => (await forge.admin.job(blocker.id))?.state === 'scheduled', 'its failure')
  const failed = await forge.admin.job(blocker.id)
  assert.deepEqual([failed?.error?.code, failed?.attempt, failed?.crashes], ['TIMEOUT', 2, 1])
  assert.equal(worker.printed().match(/"how":"stuck in a handler"/g)?.length, 1)
  assert.equal((await worker.ends('SIGTERM')).code, 0)
})

/** The grace after a cancel, what it takes to see that nothing happens, and what a busy machine takes. */
const cancelledWithinMs = 5_000 + 1_500 + 1_500

for (const [name, how] of [
  ['at once', { waits: false }],
  ['after it has waited', { waits: true }],
  ['in native code', { waits: true, native: true }],
  ['and catches the signal that ends it', { waits: false, catches: true }],
] as const) {
  test(`a handler without a timeout that blocks ${name} ends by a cancel, and costs the others nothing`, async (t) => {
    const { forge, worker, naps, blocker } = await blocked(t, how, { timeout: 0 })
    const askedAt = performance.now()
    await blocker.cancel()
    const why = await forge.admin.why(blocker.id)
    assert.match(why?.text ?? '', /hears of it as soon as its event loop is free/)
    await until(async () => (await forge.admin.job(blocker.id))?.state === 'cancelled', 'its end')
    const tookMs = performance.now() - askedAt
    t.diagnostic(`${Math.round(tookMs)} ms after the cancel`)
    // A process that catches the signal is killed after 2 s.
    const killedAfterMs = 'catches' in how ? 2_000 : 0
    assert.ok(tookMs < cancelledWithinMs + killedAfterMs, `it took ${tookMs} ms`)
    for (const handle of naps) {
      assert.equal(await handle.result({ timeout: '30s' }), 'awake')
      assert.deepEqual(countsOf(await forge.admin.job(handle.id)), ['completed', 1, 0])
    }
    const said = new RegExp(`ends, because job ${blocker.id} was cancelled`, 'g')
    assert.equal(worker.printed().match(said)?.length, 1, worker.printed())
    assert.equal((await worker.ends('SIGTERM')).code, 0)
  })
}

test('what waits beside a handler that blocks ends by its cancel, too, and the one that blocks comes back', async (t) => {
  const { forge, effects, worker, naps, blocker } = await blocked(t, { waits: false }, { timeout: 0 })
  const [nap] = naps
  await nap!.cancel()
  await until(async () => (await forge.admin.job(nap!.id))?.state === 'cancelled', 'its end')
  await until(() => effects('start').filter(({ id }) => id === blocker.id).length === 2, 'its second start')
  assert.deepEqual(countsOf(await forge.admin.job(blocker.id)), ['running', 1, 0])
  await blocker.cancel()
  await until(async () => (await forge.admin.job(blocker.id))?.state === 'cancelled', 'the end')
  assert.equal((await worker.ends('SIGTERM')).code, 0)
})

test('what is blocked at the deadline of a shutdown is handed back, and nothing is counted; what was cancelled is', async (t) => {
  const { forge, worker, naps, blocker } = await blocked(t, { waits: false }, { timeout: '1h' })
  await naps[0]!.cancel()
  assert.equal((await worker.ends('SIGTERM')).code, 0)
  assert.deepEqual(countsOf(await forge.admin.job(naps[0]!.id)), ['cancelled', 1, 0])
  for (const { id } of [naps[1]!, blocker]) assert.deepEqual(countsOf(await forge.admin.job(id)), ['ready', 1, 0])
})
