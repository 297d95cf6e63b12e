// The server around the routes: who may talk to it, what it says of itself, how it starts and stops.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { Agent } from 'node:http'
import { connect } from 'node:net'
import { test } from 'node:test'
import { ForgeError, ForgeQ } from 'forgeq'
import { api, serve } from 'forgeq/server'
import { sqlite } from 'forgeq/sqlite'
import { foreignConnection, hinted, openStore, someWorker, temporaryFile } from '../sqlite/files.ts'
import { awaited, enqueued, running, send } from './running.ts'

test('only loopback addresses are bound', async (t) => {
  const forge = new ForgeQ({ store: sqlite(temporaryFile(t)) })
  for (const host of ['0.0.0.0', '::', '', '192.0.2.1', '::ffff:192.0.2.1', 'no-such-host.invalid']) {
    await assert.rejects(
      () => serve({ forge, host, port: 0 }),
      (error) => ForgeError.is(error, 'CONFIG') && error.message.includes(JSON.stringify(host)),
      host,
    )
  }
  for (const host of ['localhost', '127.0.0.2', '::1']) {
    const server = await serve({ forge, host, port: 0 })
    const { status } = await fetch(`${server.url}/healthz`)
    assert.equal(status, 200)
    await server.stop()
  }
  await forge.close()
})

test('a port that is taken is named', async (t) => {
  const { forge, server } = await running(t)
  await assert.rejects(
    () => serve({ forge, port: server.port }),
    (error) => ForgeError.is(error, 'CONFIG') && error.message.includes(String(server.port)),
  )
})

test('requests for another host are refused', async (t) => {
  const { server } = await running(t, { hosts: ['queue.example'] })
  const as = async (host: string): Promise<number> =>
    (await send(server, 'GET', '/v1/jobs', undefined, { Host: host })).status
  for (const host of ['evil.example', 'localhost.evil.example', '127.0.0.1.evil.example', '10.0.0.1', '[::2]:80']) {
    assert.equal(await as(host), 421, host)
  }
  for (const host of ['localhost', 'localhost:9', '127.0.0.1', '[::1]:80', 'app.localhost', 'QUEUE.example:80']) {
    assert.equal(await as(host), 200, host)
  }
  const absolute = await send(server, 'GET', 'http://evil.example/v1/jobs', undefined, { Host: 'localhost' })
  assert.equal(absolute.status, 421)
  assert.equal(absolute.json.code, 'WRONG_HOST')
})

test('writes for pages of other origins are refused', async (t) => {
  const { server } = await running(t)
  const own = `http://127.0.0.1:${server.port}`
  const write = (headers: Record<string, string>): Promise<{ readonly status: number }> =>
    send(server, 'POST', '/v1/queues/q/pause', undefined, headers)
  for (const site of ['cross-site', 'same-site', 'nonsense']) {
    assert.equal((await write({ 'Sec-Fetch-Site': site })).status, 403, site)
  }
  assert.equal((await write({ Origin: 'http://evil.example' })).status, 403)
  assert.equal((await write({ Origin: 'null' })).status, 403)
  assert.deepEqual(
    (await send(server, 'GET', '/v1/queues', undefined, { 'Sec-Fetch-Site': 'cross-site' })).json.data,
    [],
  )
  assert.equal((await write({ 'Sec-Fetch-Site': 'same-origin', Origin: own })).status, 200)
  assert.equal((await write({ 'Sec-Fetch-Site': 'none' })).status, 200)
  assert.equal((await write({ Origin: own })).status, 200)
})

test('an unknown path is a problem, a known one with another method names those it takes', async (t) => {
  const { server } = await running(t)
  const nowhere = await send(server, 'GET', '/v2/jobs')
  assert.equal(nowhere.status, 404)
  assert.equal(nowhere.headers['content-type'], 'application/problem+json')
  assert.equal(nowhere.json.code, 'NOT_FOUND')
  const cases = [
    ['PUT', '/v1/jobs', 'POST, GET, HEAD'],
    ['DELETE', '/v1/jobs/1', 'GET, HEAD'],
    ['GET', '/v1/jobs/1/retry', 'POST'],
    ['OPTIONS', '/v1/queues', 'GET, HEAD'],
    ['POST', '/healthz', 'GET, HEAD'],
  ] as const
  for (const [method, path, allow] of cases) {
    const reply = await send(server, method, path)
    assert.equal(reply.status, 405)
    assert.equal(reply.headers.allow, allow)
    assert.equal(reply.json.code, 'METHOD_NOT_ALLOWED')
  }
})

test('a problem says everything a program needs', async (t) => {
  const { server } = await running(t)
  const reply = await send(server, 'POST', '/v1/jobs', '{"type":"a","colour":1}', { 'X-Request-Id': 'abc-1' })
  assert.deepEqual(reply.json, {
    type: 'urn:forgeq:problem:invalid-option',
    title: 'Invalid option',
    status: 400,
    detail: 'body: colour is not known here',
    code: 'INVALID_OPTION',
    errors: [{ path: 'colour', message: 'is not known here' }],
    requestId: 'abc-1',
    retryable: false,
  })
})

test('a request id is kept when it is harmless, made otherwise, and always answered', async (t) => {
  const { server } = await running(t)
  const idFor = async (id?: string): Promise<string> => {
    const reply = await send(server, 'GET', '/healthz', undefined, id === undefined ? {} : { 'X-Request-Id': id })
    return reply.headers['x-request-id'] as string
  }
  assert.equal(await idFor('from-client_1'), 'from-client_1')
  assert.match(await idFor(), /^[\da-f-]{36}$/)
  assert.match(await idFor('a b'), /^[\da-f-]{36}$/)
  assert.match(await idFor('x'.repeat(300)), /^[\da-f-]{36}$/)
})

test('answers are kept by no cache and read as nothing but data', async (t) => {
  const { server } = await running(t)
  for (const path of ['/v1/jobs', '/nowhere']) {
    const { headers } = await send(server, 'GET', path)
    assert.equal(headers['cache-control'], 'no-store')
    assert.equal(headers['x-content-type-options'], 'nosniff')
    assert.match(headers['content-security-policy'] as string, /default-src 'none'/)
  }
})

test('a request that cannot be read is a problem too', async (t) => {
  const { server } = await running(t)
  const socket = connect(server.port, '127.0.0.1')
  socket.end('GET /v1/jobs HTTP/1.1\r\nHost: a b\r\nConnection: close\r\n\r\n')
  let text = ''
  socket.on('data', (chunk) => (text += chunk.toString()))
  await once(socket, 'close')
  assert.match(text, /^HTTP\/1\.1 400 /)
  assert.match(text, /application\/problem\+json/)
})

test('health shows what the store keeps and who is there', async (t) => {
  const { server } = await running(t)
  assert.deepEqual((await send(server, 'GET', '/healthz')).json, { status: 'ok' })
  for (const path of ['/readyz', '/health']) {
    const { status, json } = await send(server, 'GET', path)
    assert.equal(status, 200)
    assert.equal(json.status, 'ok')
    assert.equal(json.store.kind, 'sqlite')
    assert.match(json.store.durability, /survives power loss/)
    assert.equal(json.workers, 0)
    assert.deepEqual(json.problems, [])
  }
})

test('a store with problems that do not stop it shows them', async (t) => {
  const forge = new ForgeQ({ store: sqlite(temporaryFile(t), { durability: 'relaxed' }) })
  const server = await serve({ forge, port: 0 })
  t.after(async () => {
    await server.stop()
    await forge.close()
  })
  const { json } = await send(server, 'GET', '/readyz')
  assert.match(json.problems[0]!, /relaxed/)
})

test('a store that cannot be reached is 503, and the process is alive', async (t) => {
  const path = temporaryFile(t)
  mkdirSync(path)
  const { server } = await running(t, { path })
  assert.equal((await send(server, 'GET', '/healthz')).status, 200)
  const replies = await Promise.all([
    send(server, 'GET', '/readyz'),
    send(server, 'GET', '/health'),
    send(server, 'GET', '/v1/jobs'),
    send(server, 'POST', '/v1/jobs', '{"type":"a"}'),
  ])
  for (const reply of replies) {
    assert.equal(reply.status, 503)
    assert.equal(reply.json.code, 'STORE_UNAVAILABLE')
    assert.equal(reply.headers['retry-after'], '1')
    assert.equal(reply.json.retryable, true)
  }
})

test('a store that does not answer in time is not ready', async (t) => {
  const { server, forge } = await running(t)
  t.mock.method(forge.store, 'workers', () => new Promise(() => {}))
  const reply = await send(server, 'GET', '/readyz')
  assert.equal(reply.status, 503)
  assert.match(reply.json.detail, /did not answer within/)
})

test('a store with a schema of another version is not ready, and tells what to run', async (t) => {
  const path = temporaryFile(t)
  const before = new ForgeQ({ store: sqlite(path) })
  await before.ready()
  await before.close()
  foreignConnection(t, path).exec(`UPDATE forgeq_migration SET version = version + 1000`)
  const { server } = await running(t, { path, onError: () => {} })
  const reply = await send(server, 'GET', '/readyz')
  assert.equal(reply.status, 503)
  assert.equal(reply.json.code, 'MIGRATION_NEEDED')
  assert.equal(reply.headers['retry-after'], '30')
})

test('duties that cannot go on are reported, and make the server not ready', async (t) => {
  const forge = new ForgeQ({ store: sqlite(temporaryFile(t)) })
  await forge.ready()
  t.mock.method(forge.store, 'promote', () => Promise.reject(new ForgeError('INTERNAL', 'broken')))
  let hear = (_error: unknown): void => {}
  const heard = new Promise((resolve) => (hear = resolve))
  const server = await serve({ forge, port: 0, onError: (error) => hear(error) })
  t.after(async () => {
    await server.stop()
    await forge.close()
  })
  assert.match(String(await heard), /broken/)
  assert.equal((await send(server, 'GET', '/readyz')).status, 500)
})

test('a delayed job becomes ready without a worker', async (t) => {
  const { server, forge } = await running(t)
  const ready = hinted(forge.store, 'ready:default')
  const id = await enqueued(server, { type: 'later', delayMs: 30 })
  await ready
  assert.equal((await send(server, 'GET', `/v1/jobs/${id}`)).json.state, 'ready')
})

test('jobs that a server brings back are announced by its forge', async (t) => {
  const { server, forge, path } = await running(t)
  const crashed = new Promise<{ id: string }>((resolve) => forge.on('job:crashed', resolve))
  const id = await enqueued(server, { type: 'mail' })
  const other = openStore(t, path)
  const worker = someWorker()
  await other.register(worker)
  const wants = [{ queue: 'default', slots: 1 }]
  await other.exchange({ worker: worker.id, turn: 1, settlements: [], wants, slots: 1, notes: [] })
  await other.leave(worker.id)
  assert.equal((await crashed).id, id)
})

test('jobs are there after a restart', async (t) => {
  const path = temporaryFile(t)
  const forge = new ForgeQ({ store: sqlite(path) })
  const server = await serve({ forge, port: 0 })
  const id = await enqueued(server, { type: 'kept', payload: { n: 1 } })
  await server.stop()
  await forge.close()
  const again = await running(t, { path })
  assert.deepEqual((await send(again.server, 'GET', `/v1/jobs/${id}`)).json.payload, { n: 1 })
})

test('stopping answers those that wait, refuses those that come, and may be asked twice', async (t) => {
  const { server, forge } = await running(t)
  const ids = await Promise.all(Array.from({ length: 10 }, () => enqueued(server, { type: 'never' })))
  const agent = new Agent({ keepAlive: true })
  t.after(() => agent.destroy())
  const idle = await send(server, 'GET', '/healthz', undefined, {}, { agent })
  assert.equal(idle.status, 200)
  const waiting = awaited(t, forge, ids)
  const waits = ids.map((id) => send(server, 'GET', `/v1/jobs/${id}/wait`, undefined, {}, { agent }))
  await waiting
  await Promise.all([server.stop(), server.stop()])
  for (const { status, json, headers } of await Promise.all(waits)) {
    assert.equal(status, 202)
    assert.equal(json.state, 'ready')
    assert.equal(headers.connection, 'close')
  }
  await assert.rejects(() => send(server, 'GET', '/healthz'), { code: 'ECONNREFUSED' })
})

test('a client that never finishes its request is cut off at the end of the grace', { timeout: 10_000 }, async (t) => {
  const { server } = await running(t)
  const socket = connect(server.port, '127.0.0.1')
  socket.on('error', () => {})
  socket.write(
    'POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{',
  )
  await send(server, 'GET', '/healthz')
  const cut = once(socket, 'close')
  await server.stop({ grace: 20 })
  await cut
})

test('the API is a fetch handler too', async (t) => {
  const forge = new ForgeQ({ store: sqlite(temporaryFile(t)) })
  t.after(() => forge.close())
  const mounted = api({ forge, hosts: ['app.example'] })
  const body = '{"type":"a","payload":9007199254740993}'
  const headers = { 'Content-Type': 'application/json' }
  const posted = await mounted.fetch(new Request('https://app.example/v1/jobs', { method: 'POST', body, headers }))
  assert.equal(posted.status, 201)
  const { id } = (await posted.json()) as { id: string }
  const found = await mounted.fetch(new Request(`https://app.example/v1/jobs/${id}`))
  assert.match(await found.text(), /"payload":9007199254740993,/)
  assert.equal((await mounted.fetch(new Request('https://evil.example/v1/jobs'))).status, 421)
  const wait = mounted.fetch(new Request(`https://app.example/v1/jobs/${id}/wait`))
  await mounted.close()
  assert.equal((await wait).status, 202)
})
