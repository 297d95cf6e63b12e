// The routes of queues and workers.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defineJob, typed } from 'forgeq'
import { ended, enqueued, instant, pathsOf, running, send, working } from './running.ts'

test('a paused queue hands out nothing until it is resumed', async (t) => {
  const { server, forge } = await running(t)
  const paused = await send(server, 'POST', '/v1/queues/default/pause')
  assert.equal(paused.status, 200)
  assert.deepEqual(paused.json, { queue: 'default', paused: true })
  const id = await enqueued(server, { type: 'job' })
  const over = ended(forge, id)
  working(
    t,
    forge,
    defineJob('job', { input: typed<null>() }, () => {}),
  )
  const { json } = await send(server, 'GET', '/v1/queues')
  const queue = json.data[0]!
  assert.equal(queue.paused, true)
  assert.equal(queue.counts.ready, 1)
  assert.match(queue.oldestReadyAt, instant)
  const why = await send(server, 'GET', `/v1/jobs/${id}?include=why`)
  assert.equal(why.json.why.reason, 'queue-paused')
  assert.equal((await send(server, 'POST', '/v1/queues/default/resume', '{}')).json.paused, false)
  await over
})

test('a name with a slash is one step of the path', async (t) => {
  const { server } = await running(t)
  assert.deepEqual((await send(server, 'POST', '/v1/queues/a%2Fb:c/pause')).json, { queue: 'a/b:c', paused: true })
  const { json } = await send(server, 'GET', '/v1/queues')
  assert.deepEqual(
    json.data.map(({ queue }) => queue),
    ['a/b:c'],
  )
})

test('what no queue can be called is refused and stored nowhere', async (t) => {
  const { server } = await running(t)
  for (const name of ['a%20b', '%00', '%E2%82%AC', 'x'.repeat(129)]) {
    const reply = await send(server, 'POST', `/v1/queues/${name}/pause`)
    assert.equal(reply.status, 400, name)
    assert.deepEqual(pathsOf(reply), ['queue'])
  }
  const body = await send(server, 'POST', '/v1/queues/a/pause', '{"until":1}')
  assert.deepEqual(pathsOf(body), ['until'])
  assert.deepEqual(pathsOf(await send(server, 'GET', '/v1/queues?limit=1')), ['limit'])
  assert.deepEqual((await send(server, 'GET', '/v1/queues')).json.data, [])
})

test('a worker is shown with what it handles, and counted', async (t) => {
  const { server, forge } = await running(t)
  assert.deepEqual((await send(server, 'GET', '/v1/workers')).json.data, [])
  const started = new Promise<void>((resolve) => forge.on('worker:started', () => resolve()))
  working(
    t,
    forge,
    defineJob('job', { input: typed<null>(), queue: 'q' }, () => {}),
  )
  await started
  const { json } = await send(server, 'GET', '/v1/workers')
  const worker = json.data[0]!
  assert.equal(worker.pid, process.pid)
  assert.deepEqual(worker.queues, ['q'])
  assert.deepEqual(worker.types, ['job'])
  assert.ok(worker.expiresAt > worker.startedAt)
  assert.equal((await send(server, 'GET', '/health')).json.workers, 1)
})

test('a worker is resized; what is out of range or not there is refused', async (t) => {
  const { server, forge } = await running(t)
  const started = new Promise<string>((resolve) => forge.on('worker:started', ({ worker }) => resolve(worker)))
  working(
    t,
    forge,
    defineJob('job', { input: typed<null>() }, () => {}),
  )
  const id = await started
  const reply = await send(server, 'PATCH', `/v1/workers/${id}`, '{"slots":3}')
  assert.equal(reply.status, 200)
  assert.deepEqual(reply.json, { id, slots: 3 })
  assert.equal((await forge.admin.workers())[0]?.slots, 3)
  for (const body of ['{"slots":0}', '{"slots":1.5}', '{"slots":10001}', '{"slots":"3"}', '{}']) {
    assert.deepEqual(pathsOf(await send(server, 'PATCH', `/v1/workers/${id}`, body)), ['slots'], body)
  }
  assert.equal((await send(server, 'PATCH', '/v1/workers/nobody', '{"slots":3}')).status, 404)
})
