// POST /v1/jobs: what is stored is what was written, and what is refused is named and stored nowhere.
import assert from 'node:assert/strict'
import { randomFillSync } from 'node:crypto'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { defineJob, typed, type EnqueueOptions, type ForgeError } from 'forgeq'
import { testForge } from 'forgeq/testing'
import { caps } from '#src/core/caps.js'
import { idSource } from '#src/core/id.js'
import { enqueued, instant, pathsOf, running, send } from './running.ts'

const newId = idSource(Date.now, (bytes) => randomFillSync(bytes))

test('a job is stored and found where Location says', async (t) => {
  const { server } = await running(t)
  const reply = await send(server, 'POST', '/v1/jobs', '{"type":"send-email","payload":{"to":"a@b.example"}}')
  assert.equal(reply.status, 201)
  assert.equal(reply.headers.location, `/v1/jobs/${reply.json.id}`)
  assert.equal(reply.json.duplicate, false)
  const job = await send(server, 'GET', `/v1/jobs/${reply.json.id}`)
  assert.equal(job.status, 200)
  assert.equal(job.headers['content-type'], 'application/json')
  assert.deepEqual(job.json.payload, { to: 'a@b.example' })
  assert.equal(job.json.state, 'ready')
  assert.equal(job.json.maxAttempts, 6)
  assert.match(job.json.createdAt, instant)
})

test('the payload comes back as it was written', async (t) => {
  const { server, forge } = await running(t)
  const payload = '{"n": 9007199254740993,"z":1,"a":1.0,"a":-0e2,"esc":"\\u00e9\\/","é":"\u2028"}'
  const reply = await send(server, 'POST', '/v1/jobs', `{ "payload" : ${payload} , "type":"raw"}`)
  assert.equal(reply.status, 201, reply.text)
  const [job] = await forge.store.jobs([reply.json.id])
  assert.equal(job!.payload, payload)
  const shown = await send(server, 'GET', `/v1/jobs/${reply.json.id}`)
  assert.ok(shown.text.includes(payload), shown.text)
  const listed = await send(server, 'GET', '/v1/jobs')
  assert.ok(listed.text.includes(payload), listed.text)
})

test('every option arrives', async (t) => {
  const { server, forge } = await running(t)
  const id = newId()
  const at = Date.now() + 3_600_000
  await enqueued(server, {
    type: 'full',
    id,
    queue: 'mails',
    priority: 'high',
    delayMs: 1_000,
    runAt: new Date(at).toISOString(),
    retries: 2,
    timeoutMs: 0,
    expireMs: 7_200_000,
    keepResultMs: 60_000,
    unique: 'one',
    tags: ['a', 'b'],
  })
  const [job] = await forge.store.jobs([id])
  assert.equal(job!.payload, 'null')
  assert.equal(job!.state, 'scheduled')
  assert.equal(job!.runAt, at)
  assert.equal(job!.expireAt, job!.createdAt + 7_200_000)
  assert.deepEqual(job!.unique, { key: 'one', until: 'done' })
  assert.deepEqual(job!.tags, ['a', 'b'])
  const { queue, priority, maxAttempts, timeoutMs, keepResultMs } = job!.policy
  assert.deepEqual(
    { queue, priority, maxAttempts, timeoutMs, keepResultMs },
    { queue: 'mails', priority: 2, maxAttempts: 3, timeoutMs: 0, keepResultMs: 60_000 },
  )
})

test('a time with an offset is that instant, a number is a priority', async (t) => {
  const { server, forge } = await running(t)
  const id = await enqueued(server, { type: 'later', runAt: '2099-06-01T12:00:00+02:00', priority: 0 })
  const [job] = await forge.store.jobs([id])
  assert.equal(job!.runAt, Date.UTC(2099, 5, 1, 10))
  assert.equal(job!.policy.priority, 0)
})

test("a type nobody knows gets the forge's defaults", async (t) => {
  const { server, forge } = await running(t, { defaults: { retries: 1, queue: 'slow' } })
  const [job] = await forge.store.jobs([await enqueued(server, { type: 'unheard-of' })])
  assert.equal(job!.policy.maxAttempts, 2)
  assert.equal(job!.policy.queue, 'slow')
})

test('the same id again answers with the stored job, with another payload it conflicts', async (t) => {
  const { server } = await running(t)
  const id = newId()
  const body = JSON.stringify({ type: 'once', id, payload: { n: 1 } })
  assert.equal((await send(server, 'POST', '/v1/jobs', body)).status, 201)
  const again = await send(server, 'POST', '/v1/jobs', body)
  assert.equal(again.status, 200)
  assert.deepEqual(again.json, { id, duplicate: true })
  const other = await send(server, 'POST', '/v1/jobs', JSON.stringify({ type: 'once', id, payload: { n: 2 } }))
  assert.equal(other.status, 409)
  assert.equal(other.json.code, 'ID_CONFLICT')
  assert.equal(other.json.id, id)
})

test('a held unique key answers with its holder', async (t) => {
  const { server } = await running(t)
  const holder = await enqueued(server, { type: 'sync', unique: 'user-1', payload: 1 })
  const second = await send(server, 'POST', '/v1/jobs', '{"type":"sync","unique":"user-1","payload":2}')
  assert.equal(second.status, 200)
  assert.deepEqual(second.json, { id: holder, duplicate: true })
  assert.equal(second.headers.location, `/v1/jobs/${holder}`)
})

test('a held unique key: the holder is replaced while it waits, or named by a 409', async (t) => {
  const { server } = await running(t)
  const post = (payload: number, rule: object): ReturnType<typeof send> =>
    send(
      server,
      'POST',
      '/v1/jobs',
      JSON.stringify({ type: 'sync', payload, unique: { key: 'user-1', ...rule }, delayMs: 60_000 }),
    )
  const first = await post(1, { forMs: 600_000 })
  assert.deepEqual([first.status, first.json.duplicate], [201, false])
  const { id } = first.json
  const replaced = await post(2, { until: 'start', onConflict: 'replace' })
  assert.equal(replaced.status, 200)
  assert.deepEqual(replaced.json, { id, duplicate: true, replaced: true })
  const refused = await post(3, { onConflict: 'error' })
  assert.equal(refused.status, 409)
  assert.deepEqual(
    [refused.json.code, refused.json.id, refused.json.holder, refused.json.retryable],
    ['UNIQUE_CONFLICT', id, id, false],
  )
  const job = await send(server, 'GET', `/v1/jobs/${id}`)
  assert.deepEqual([job.json.payload, job.json.unique], [2, { key: 'user-1', forMs: 600_000 }])
})

test('50 at once are 50 jobs', async (t) => {
  const { server } = await running(t)
  const jobs = Array.from({ length: 50 }, (_, n) => enqueued(server, { type: 'many', payload: n }))
  const ids = new Set(await Promise.all(jobs))
  assert.equal(ids.size, 50)
  const list = await send(server, 'GET', '/v1/jobs?type=many&limit=200')
  assert.deepEqual(
    list.json.data.map(({ payload }) => payload).sort((a, b) => Number(a) - Number(b)),
    Array.from({ length: 50 }, (_, n) => n),
  )
})

test('a payload of exactly the cap is taken, one byte more is not', async (t) => {
  const { server, forge } = await running(t)
  const quoted = (bytes: number): string => `"${'x'.repeat(bytes - 2)}"`
  const full = await send(server, 'POST', '/v1/jobs', `{"type":"big","payload":${quoted(caps.payloadBytes)}}`)
  assert.equal(full.status, 201)
  const [job] = await forge.store.jobs([full.json.id])
  assert.equal(job!.payload.length, caps.payloadBytes)
  const over = await send(server, 'POST', '/v1/jobs', `{"type":"big","payload":${quoted(caps.payloadBytes + 1)}}`)
  assert.equal(over.status, 413)
  assert.equal(over.json.code, 'TOO_LARGE')
  assert.match(over.json.detail, /^payload /)
})

test('the cap counts bytes, not characters', async (t) => {
  const { server } = await running(t)
  const payload = `"${'é'.repeat(caps.payloadBytes / 2)}"`
  assert.equal((await send(server, 'POST', '/v1/jobs', `{"type":"big","payload":${payload}}`)).status, 413)
})

test('a body without end is cut off', async (t) => {
  const { server } = await running(t)
  const body = Buffer.alloc(caps.payloadBytes + 100_000, ' ')
  const announced = await send(server, 'POST', '/v1/jobs', body)
  const chunked = await send(server, 'POST', '/v1/jobs', body, { 'Transfer-Encoding': 'chunked' })
  for (const reply of [announced, chunked]) {
    assert.equal(reply.status, 413)
    assert.equal(reply.json.code, 'TOO_LARGE')
  }
})

test('a chunked body is read whole', async (t) => {
  const { server } = await running(t)
  const reply = await send(server, 'POST', '/v1/jobs', '{"type":"chunked"}', { 'Transfer-Encoding': 'chunked' })
  assert.equal(reply.status, 201)
})

test('a payload may be nested 64 deep and no deeper', async (t) => {
  const { server } = await running(t)
  const nested = (depth: number): string => `{"type":"deep","payload":${'['.repeat(depth)}${']'.repeat(depth)}}`
  assert.equal((await send(server, 'POST', '/v1/jobs', nested(caps.jsonDepth))).status, 201)
  for (const depth of [caps.jsonDepth + 1, 100_000]) {
    const reply = await send(server, 'POST', '/v1/jobs', nested(depth))
    assert.equal(reply.status, 400)
    assert.equal(reply.json.code, 'INVALID_JSON')
    assert.deepEqual(pathsOf(reply), ['payload'])
  }
})

test('every faulty member is named at once', async (t) => {
  const { server } = await running(t)
  const body = {
    paylod: {},
    __proto: 1,
    priority: 10,
    delayMs: -1,
    runAt: 'tomorrow',
    retries: 1.5,
    timeoutMs: '5s',
    tags: 'a',
    unique: 7,
  }
  const reply = await send(server, 'POST', '/v1/jobs', JSON.stringify(body))
  assert.equal(reply.status, 400)
  assert.equal(reply.json.code, 'INVALID_OPTION')
  assert.deepEqual(pathsOf(reply), ['type', ...Object.keys(body)].sort())
})

test('what is wrong with a member is said as the library says it', async (t) => {
  const { server } = await running(t)
  const messageOf = async (member: string, value: unknown): Promise<string> => {
    const reply = await send(server, 'POST', '/v1/jobs', JSON.stringify({ type: 'a', [member]: value }))
    assert.deepEqual([reply.status, reply.json.code], [400, 'INVALID_OPTION'], `${member}: ${JSON.stringify(value)}`)
    const [problem] = reply.json.errors
    assert.equal(reply.json.detail, `body: ${problem!.path} ${problem!.message}`)
    return reply.json.detail
  }
  const forge = testForge()
  t.after(() => forge.close())
  const job = defineJob('a', { input: typed<null>() })
  for (const [member, value] of [
    ['priority', 'urgent'],
    ['priority', 10],
    ['priority', null],
    ['retries', -1],
    ['retries', 'many'],
    ['queue', 'a b'],
    ['queue', 7],
    ['unique', ''],
    ['unique', 7],
    ['unique', { key: '' }],
    ['unique', { key: 'a', until: 'end' }],
    ['unique', { key: 'a', onConflict: 'drop' }],
    ['tags', 'a'],
    ['tags', ['', 'b']],
  ] as const) {
    const said = await messageOf(member, value)
    const refusal = forge.enqueue(job, null, { [member]: value } as EnqueueOptions)
    await assert.rejects(
      refusal,
      ({ problems }: ForgeError) => said === `body: ${problems![0]!.path} ${problems![0]!.message}`,
    )
  }
  for (const member of ['id', 'delayMs', 'runAt', 'timeoutMs', 'expireMs', 'keepResultMs', 'type']) {
    for (const value of [null, true, [], {}, -1, 1e300]) {
      assert.match(await messageOf(member, value), /must be (a |an |1 to 128 of )/)
    }
  }
  for (const body of ['1', '[]', 'null']) {
    assert.equal((await send(server, 'POST', '/v1/jobs', body)).json.detail, 'body: must be an object')
  }
})

const refusals: readonly (readonly [what: string, body: string, code: string, paths: readonly string[]])[] = [
  ['a type with a space', '{"type":"a b"}', 'INVALID_OPTION', ['type']],
  ['a queue with a space', '{"type":"a","queue":"a b"}', 'INVALID_OPTION', ['queue']],
  ['an empty unique key', '{"type":"a","unique":""}', 'INVALID_OPTION', ['unique']],
  ['a rule without a key', '{"type":"a","unique":{"until":"start"}}', 'INVALID_OPTION', ['unique.key']],
  ['half a millisecond', '{"type":"a","unique":{"key":"a","forMs":0.5}}', 'INVALID_OPTION', ['unique.forMs']],
  ['no time at all', '{"type":"a","unique":{"key":"a","forMs":0}}', 'INVALID_OPTION', ['unique.forMs']],
  ['a time as text', '{"type":"a","unique":{"key":"a","forMs":"10m"}}', 'INVALID_OPTION', ['unique.forMs']],
  ['two ends', '{"type":"a","unique":{"key":"a","forMs":5,"until":"done"}}', 'INVALID_OPTION', ['unique.forMs']],
  ['a rule of the library', '{"type":"a","unique":{"key":"a","for":"10m"}}', 'INVALID_OPTION', ['unique.for']],
  ['a long tag', `{"type":"a","tags":["${'x'.repeat(65)}"]}`, 'INVALID_OPTION', ['tags.0']],
  ['an own id', '{"type":"a","id":"42"}', 'INVALID_ID', []],
  ['an id of another day', '{"type":"a","id":"00000000-0000-7000-8000-000000000000"}', 'INVALID_ID', []],
  ['a prototype', '{"type":"a","__proto__":{"x":1}}', 'INVALID_OPTION', ['__proto__']],
  ['a list', '[]', 'INVALID_OPTION', ['']],
  ['half a body', '{"type":', 'INVALID_JSON', []],
  ['an empty body', '', 'INVALID_JSON', []],
]

for (const [what, body, code, paths] of refusals) {
  test(`${what} is refused`, async (t) => {
    const { server } = await running(t)
    const reply = await send(server, 'POST', '/v1/jobs', body)
    assert.equal(reply.status, 400, reply.text)
    assert.equal(reply.headers['content-type'], 'application/problem+json')
    assert.equal(reply.json.code, code)
    assert.deepEqual(pathsOf(reply), paths)
    assert.deepEqual((await send(server, 'GET', '/v1/jobs')).json.data, [])
  })
}

test('text that is not UTF-8 is refused', async (t) => {
  const { server } = await running(t)
  const body = Buffer.concat([Buffer.from('{"type":"a","payload":"'), Buffer.from([0xff]), Buffer.from('"}')])
  const reply = await send(server, 'POST', '/v1/jobs', body)
  assert.equal(reply.status, 400)
  assert.equal(reply.json.code, 'INVALID_JSON')
})

test('a body is sent as plain JSON', async (t) => {
  const { server } = await running(t)
  const body = '{"type":"a"}'
  const replies = await Promise.all([
    send(server, 'POST', '/v1/jobs', body, { 'Content-Type': 'text/plain' }),
    send(server, 'POST', '/v1/jobs', body, { 'Content-Type': 'application/jsonp' }),
    send(server, 'POST', '/v1/jobs', Buffer.from(body), { 'Content-Type': '' }),
    send(server, 'POST', '/v1/jobs', gzipSync(body), { 'Content-Encoding': 'gzip' }),
  ])
  for (const reply of replies) {
    assert.equal(reply.status, 415)
    assert.equal(reply.json.code, 'UNSUPPORTED_MEDIA_TYPE')
  }
  const charset = await send(server, 'POST', '/v1/jobs', body, { 'Content-Type': 'Application/JSON; charset=utf-8' })
  assert.equal(charset.status, 201)
})
