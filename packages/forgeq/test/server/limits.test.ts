// Limits over HTTP: what is set, what is shown, what is refused.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defineJob, RateLimited, typed } from 'forgeq'
import { ended, enqueued, instant, pathsOf, running, send, working } from './running.ts'

const noLimits = {
  concurrency: null,
  rate: null,
  ratePerPriority: {},
  perKey: { concurrency: null, rate: null, ordered: false },
}

test('a queue is shown by its name, with its limits; one that nobody has used is not found', async (t) => {
  const { server } = await running(t)
  const missing = await send(server, 'GET', '/v1/queues/mail')
  assert.deepEqual([missing.status, missing.json.code], [404, 'NOT_FOUND'])
  await enqueued(server, { type: 'job', queue: 'mail' })
  const { status, json } = await send(server, 'GET', '/v1/queues/mail')
  assert.equal(status, 200)
  assert.deepEqual(json, {
    queue: 'mail',
    paused: false,
    accepting: true,
    ...noLimits,
    maxDepth: null,
    fill: { rate: null, ratePerPriority: {} },
    heldUntil: null,
    heldTypes: {},
    counts: json.counts,
    oldestReadyAt: json.oldestReadyAt,
  })
  assert.equal(json.counts['ready'], 1)
  assert.deepEqual((await send(server, 'GET', '/v1/queues')).json.data, [json])
  assert.deepEqual(pathsOf(await send(server, 'GET', '/v1/queues/mail?limit=1')), ['limit'])
})

test('limits are set and taken away, one by one, before the first job too', async (t) => {
  const { server } = await running(t)
  const patch = (body: object) => send(server, 'PATCH', '/v1/queues/mail', JSON.stringify(body))
  const set = await patch({
    accepting: false,
    paused: true,
    concurrency: 5,
    rate: { max: 100, perMs: 60_000 },
    ratePerPriority: { high: '10/s', 8: { max: 1, perMs: 1000 } },
    perKey: { concurrency: 2, rate: '5/30s' },
    maxDepth: 1000,
  })
  assert.equal(set.status, 200)
  const { json } = set
  assert.deepEqual(
    [json.accepting, json.paused, json.concurrency, json.rate, json.maxDepth],
    [false, true, 5, { max: 100, perMs: 60_000 }, 1000],
  )
  assert.deepEqual(json.ratePerPriority, { high: { max: 10, perMs: 1000 }, low: { max: 1, perMs: 1000 } })
  assert.deepEqual(json.perKey, { concurrency: 2, rate: { max: 5, perMs: 30_000 }, ordered: false })
  assert.deepEqual(json.fill, {
    rate: { left: 100, opensAt: null },
    ratePerPriority: { high: { left: 10, opensAt: null }, low: { left: 1, opensAt: null } },
  })
  const {
    queue: _queue,
    fill: _fill,
    heldUntil: _until,
    heldTypes: _types,
    counts: _counts,
    oldestReadyAt: _at,
    ...own
  } = json
  assert.deepEqual((await patch(own)).json, json, 'what was shown can be sent back')

  const some = await patch({ rate: null, ratePerPriority: { low: null }, paused: false })
  assert.deepEqual([some.json.rate, some.json.paused, some.json.accepting], [null, false, false])
  assert.deepEqual(some.json.ratePerPriority, { high: { max: 10, perMs: 1000 } })
  const none = await patch({
    accepting: true,
    concurrency: null,
    ratePerPriority: { high: 'none' },
    perKey: null,
    maxDepth: null,
  })
  const { concurrency, rate, ratePerPriority, perKey } = none.json
  assert.deepEqual({ concurrency, rate, ratePerPriority, perKey }, noLimits)
})

test('what is out of range is refused member by member, and nothing is set', async (t) => {
  const { server } = await running(t)
  const bad = {
    paused: 'yes',
    concurrency: 0,
    rate: { max: 5, per: 1000 },
    ratePerPriority: { urgent: '1/s' },
    perKey: { ordered: true, concurrency: 2 },
    maxDepth: '5',
    burst: 3,
  }
  const reply = await send(server, 'PATCH', '/v1/queues/mail', JSON.stringify(bad))
  assert.deepEqual([reply.status, reply.json.code], [400, 'INVALID_OPTION'])
  assert.deepEqual(pathsOf(reply), [
    'burst',
    'concurrency',
    'maxDepth',
    'paused',
    'perKey.concurrency',
    'rate.per',
    'ratePerPriority.urgent',
  ])
  for (const [rate, path] of [
    ['5', 'rate'],
    [{ max: 5, perMs: 0 }, 'rate.perMs'],
    [{ max: 5, perMs: 1.5 }, 'rate.perMs'],
    [{ max: 5, perMs: '1m' }, 'rate.perMs'],
    [{ max: 100_001, perMs: 1 }, 'rate.max'],
    [{ max: 5 }, 'rate.perMs'],
  ] as const) {
    assert.deepEqual(pathsOf(await send(server, 'PATCH', '/v1/queues/mail', JSON.stringify({ rate }))), [path])
  }
  assert.deepEqual(pathsOf(await send(server, 'PATCH', '/v1/queues/a%20b', '{"rate":null}')), ['queue'])
  assert.equal((await send(server, 'PATCH', '/v1/queues/mail', '[]')).status, 400)
  assert.equal((await send(server, 'PATCH', '/v1/queues/mail')).status, 400)
  assert.equal((await send(server, 'GET', '/v1/queues/mail')).status, 404)
})

test('a key goes with the job and is shown; one that is too long is refused', async (t) => {
  const { server } = await running(t)
  const id = await enqueued(server, { type: 'job', key: 'tenant:7' })
  assert.equal((await send(server, 'GET', `/v1/jobs/${id}`)).json.key, 'tenant:7')
  const plain = await enqueued(server, { type: 'job' })
  assert.equal((await send(server, 'GET', `/v1/jobs/${plain}`)).json.key, null)
  for (const key of ['', 'x'.repeat(257), 7]) {
    assert.deepEqual(pathsOf(await send(server, 'POST', '/v1/jobs', JSON.stringify({ type: 'job', key }))), ['key'])
  }
})

test('a full queue says when to come again, a closed one that it is closed', async (t) => {
  const { server } = await running(t)
  await send(server, 'PATCH', '/v1/queues/small', '{"maxDepth":1}')
  await enqueued(server, { type: 'job', queue: 'small' })
  const full = await send(server, 'POST', '/v1/jobs', '{"type":"job","queue":"small"}')
  assert.deepEqual([full.status, full.json.code, full.json.retryable], [429, 'QUEUE_FULL', true])
  assert.equal(full.headers['retry-after'], '1')
  await send(server, 'PATCH', '/v1/queues/small', '{"accepting":false}')
  const closed = await send(server, 'POST', '/v1/jobs', '{"type":"job","queue":"small"}')
  assert.deepEqual([closed.status, closed.json.code, closed.json.retryable], [409, 'QUEUE_CLOSED', false])
  assert.equal(closed.headers['retry-after'], undefined)
  await send(server, 'PATCH', '/v1/queues/small', '{"accepting":true,"maxDepth":2}')
  await enqueued(server, { type: 'job', queue: 'small' })
})

test('a rate that is used up and a type that is held back show when they open, and why says so', async (t) => {
  const { server, forge } = await running(t)
  await send(server, 'PATCH', '/v1/queues/default', '{"rate":"1/d"}')
  const first = await enqueued(server, { type: 'quick' })
  const over = ended(forge, first)
  const busy = new Promise<void>((resolve) => forge.on('job:retried', () => resolve()))
  working(
    t,
    forge,
    defineJob('quick', { input: typed<null>() }, () => {}),
    defineJob('busy', { input: typed<null>(), queue: 'services' }, () => {
      throw new RateLimited('1d')
    }),
  )
  await over
  const second = await enqueued(server, { type: 'quick', queue: 'default' })
  const { json } = await send(server, 'GET', '/v1/queues/default')
  assert.equal(json.fill.rate.left, 0)
  assert.match(json.fill.rate.opensAt!, instant)
  assert.equal((await send(server, 'GET', `/v1/jobs/${second}?include=why`)).json.why.reason, 'queue-rate')

  await enqueued(server, { type: 'busy', queue: 'services' })
  await busy
  const waiting = await enqueued(server, { type: 'busy', queue: 'services' })
  const { heldTypes } = (await send(server, 'GET', '/v1/queues/services')).json
  assert.match(heldTypes['busy']!, instant)
  assert.equal((await send(server, 'GET', `/v1/jobs/${waiting}?include=why`)).json.why.reason, 'type-held')
})
