// The routes of single jobs and lists: what they show, how they act, how they wait.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defineJob, typed } from 'forgeq'
import { awaited, ended, enqueued, instant, pathsOf, running, send, working } from './running.ts'

const unknownId = '01890000-0000-7000-8000-000000000000'

test('a list is filtered and read page by page', async (t) => {
  const { server } = await running(t)
  for (let n = 0; n < 7; n++) {
    await enqueued(server, { type: n % 2 ? 'odd' : 'even', queue: 'q', tags: [`n${n}`], payload: n })
  }
  await enqueued(server, { type: 'odd', queue: 'other', delayMs: 60_000 })
  const payloads: unknown[] = []
  let cursor = ''
  do {
    const { status, json } = await send(server, 'GET', `/v1/jobs?queue=q&type=even&limit=3${cursor}`)
    assert.equal(status, 200)
    payloads.push(...json.data.map(({ payload }) => payload))
    assert.equal(json.page.hasMore, json.page.next !== null)
    cursor = json.page.next === null ? '' : `&cursor=${encodeURIComponent(json.page.next)}`
  } while (cursor !== '')
  assert.deepEqual(new Set(payloads), new Set([0, 2, 4, 6]))
  assert.equal(payloads.length, 4)
  const list = async (query: string): Promise<string[]> => {
    const { json } = await send(server, 'GET', `/v1/jobs?${query}`)
    return json.data.map(({ type }) => type)
  }
  assert.deepEqual(await list('tag=n3'), ['odd'])
  assert.deepEqual(await list('state=scheduled'), ['odd'])
  assert.deepEqual(await list('state=completed'), [])
  assert.equal((await list('limit=200')).length, 8)
})

test('a full page with the last job says that there is no more', async (t) => {
  const { server } = await running(t)
  for (let n = 0; n < 4; n++) await enqueued(server, { type: 'even' })
  const first = await send(server, 'GET', '/v1/jobs?limit=2')
  assert.equal(first.json.page.hasMore, true)
  const last = await send(server, 'GET', `/v1/jobs?limit=2&cursor=${encodeURIComponent(first.json.page.next!)}`)
  assert.deepEqual([last.json.data.length, last.json.page], [2, { next: null, hasMore: false }])
})

test('a page of large payloads ends early', async (t) => {
  const { server } = await running(t)
  const payload = 'x'.repeat(1_000_000)
  for (let n = 0; n < 10; n++) await enqueued(server, { type: 'large', payload })
  const { text, json } = await send(server, 'GET', '/v1/jobs?limit=200')
  assert.ok(text.length < 10_000_000, `${text.length} characters`)
  assert.equal(json.page.hasMore, true)
  const rest = await send(server, 'GET', `/v1/jobs?cursor=${encodeURIComponent(json.page.next!)}`)
  assert.equal(json.data.length + rest.json.data.length, 10)
})

const badQueries: readonly (readonly [query: string, paths: readonly string[]])[] = [
  ['state=done&limit=0&colour=red', ['state', 'limit', 'colour']],
  ['limit=201', ['limit']],
  ['limit=1e2', ['limit']],
  ['limit=', ['limit']],
  ['queue=a&queue=b', ['queue']],
  ['__proto__=1', ['__proto__']],
]
for (const [query, paths] of badQueries) {
  test(`a list with ${query} is refused by name`, async (t) => {
    const { server } = await running(t)
    const reply = await send(server, 'GET', `/v1/jobs?${query}`)
    assert.equal(reply.status, 400)
    assert.equal(reply.json.code, 'INVALID_OPTION')
    assert.deepEqual(pathsOf(reply), [...paths].sort())
    for (const { message } of reply.json.errors) assert.match(message, /^(must be (one of|a whole number from)|is) /)
  })
}

test('a cursor that nobody gave out is refused by name', async (t) => {
  const { server } = await running(t)
  for (const cursor of ['x', 'all.1.2', 'all.1%20OR%201', '__proto__']) {
    const reply = await send(server, 'GET', `/v1/jobs?cursor=${cursor}`)
    assert.equal(reply.status, 400)
    assert.match(reply.json.detail, /^cursor /)
  }
})

test('a job shows its attempts, its logs and why it is where it is when asked', async (t) => {
  const { server, forge } = await running(t)
  const failing = defineJob('failing', { input: typed<number>() }, ({ log, progress }) => {
    log.info('about to fail')
    progress(1, 2, 'half')
    throw new Error('no luck')
  })
  const id = await enqueued(server, { type: 'failing', payload: 1, retries: 0 })
  const waiting = await send(server, 'GET', `/v1/jobs/${id}?include=why`)
  assert.equal(waiting.json.why.reason, 'no-worker')
  const over = ended(forge, id)
  working(t, forge, failing)
  await over
  const plain = await send(server, 'GET', `/v1/jobs/${id}`)
  assert.deepEqual([plain.json.attempts, plain.json.logs, plain.json.why], [undefined, undefined, undefined])
  assert.equal(plain.json.state, 'dead')
  assert.equal(plain.json.reason, 'exhausted')
  assert.equal(plain.json.error.message, 'no luck')
  assert.deepEqual(plain.json.progress, { done: 1, total: 2, label: 'half' })
  const { json } = await send(server, 'GET', `/v1/jobs/${id}?include=attempts,logs,why`)
  const [attempt, ...more] = json.attempts
  assert.deepEqual(more, [])
  assert.equal(attempt!.outcome, 'bury')
  assert.equal(attempt!.error.message, 'no luck')
  assert.match(attempt!.startedAt, instant)
  assert.equal(json.logs[0]!.message, 'about to fail')
  assert.match(json.logs[0]!.at, instant)
  assert.equal(json.why.reason, 'ended')
  const bad = await send(server, 'GET', `/v1/jobs/${id}?include=logs,steps`)
  assert.equal(bad.status, 400)
  assert.deepEqual(pathsOf(bad), ['include.1'])
})

test('a result comes back as it was stored', async (t) => {
  const { server, forge } = await running(t)
  const id = await enqueued(server, { type: 'answer' })
  const over = ended(forge, id)
  working(
    t,
    forge,
    defineJob('answer', { input: typed<null>() }, () => ({ when: new Date(0), n: 1 })),
  )
  await over
  const { json } = await send(server, 'GET', `/v1/jobs/${id}`)
  assert.equal(json.state, 'completed')
  assert.deepEqual(json.result, { when: '1970-01-01T00:00:00.000Z', n: 1 })
  assert.ok(json.resultUntil > json.finishedAt)
})

test('an unknown job is not found, whatever is asked of it', async (t) => {
  const { server } = await running(t)
  for (const id of [unknownId, 'nonsense', '%00', '..%2f..']) {
    const replies = await Promise.all([
      send(server, 'GET', `/v1/jobs/${id}`),
      send(server, 'GET', `/v1/jobs/${id}/wait`),
      send(server, 'POST', `/v1/jobs/${id}/retry`),
      send(server, 'POST', `/v1/jobs/${id}/retry`, '{"payload":1}'),
      send(server, 'POST', `/v1/jobs/${id}/cancel`),
    ])
    for (const reply of replies) {
      assert.equal(reply.status, 404)
      assert.equal(reply.json.code, 'NOT_FOUND')
    }
  }
})

test('waiting answers when the job ends', async (t) => {
  const { server, forge } = await running(t)
  const id = await enqueued(server, { type: 'slow', payload: 20 })
  const waiting = awaited(t, forge, [id])
  const wait = send(server, 'GET', `/v1/jobs/${id}/wait?timeoutMs=60000`)
  await waiting
  const started = new Promise<void>((resolve) => forge.on('job:started', () => resolve()))
  let end = (): void => {}
  working(
    t,
    forge,
    defineJob('slow', { input: typed<number>() }, async ({ input }) => {
      await new Promise<void>((resolve) => (end = resolve))
      return input + 1
    }),
  )
  await started
  end()
  const { status, json } = await wait
  assert.equal(status, 200)
  assert.equal(json.state, 'completed')
  assert.equal(json.result, 21)
  const again = await send(server, 'GET', `/v1/jobs/${id}/wait`)
  assert.equal(again.status, 200)
})

test('waiting ends at its timeout with 202', async (t) => {
  const { server } = await running(t)
  const id = await enqueued(server, { type: 'never' })
  for (const timeoutMs of [0, 20]) {
    const reply = await send(server, 'GET', `/v1/jobs/${id}/wait?timeoutMs=${timeoutMs}`)
    assert.equal(reply.status, 202)
    assert.equal(reply.headers['retry-after'], '1')
    assert.equal(reply.json.state, 'ready')
  }
  for (const timeoutMs of ['-1', '60001', '1s']) {
    const reply = await send(server, 'GET', `/v1/jobs/${id}/wait?timeoutMs=${timeoutMs}`)
    assert.equal(reply.status, 400)
    assert.deepEqual(pathsOf(reply), ['timeoutMs'])
  }
})

test('waiting for a job that is deleted meanwhile ends with 404', async (t) => {
  const { server, forge } = await running(t)
  const id = await enqueued(server, { type: 'never' })
  const waiting = awaited(t, forge, [id])
  const wait = send(server, 'GET', `/v1/jobs/${id}/wait`)
  await waiting
  await forge.admin.remove([id])
  assert.equal((await wait).status, 404)
})

test('a pending job is cancelled at once, an ended one cannot be', async (t) => {
  const { server, forge } = await running(t)
  const id = await enqueued(server, { type: 'never' })
  for (let i = 0; i < 2; i++) {
    const reply = await send(server, 'POST', `/v1/jobs/${id}/cancel`)
    assert.equal(reply.status, 200)
    assert.deepEqual(reply.json, { id, state: 'cancelled' })
  }
  const done = await enqueued(server, { type: 'quick' })
  const over = ended(forge, done)
  working(
    t,
    forge,
    defineJob('quick', { input: typed<null>() }, () => {}),
  )
  await over
  const late = await send(server, 'POST', `/v1/jobs/${done}/cancel`)
  assert.equal(late.status, 409)
  assert.equal(late.json.code, 'STATE_CONFLICT')
  assert.match(late.json.detail, /is completed/)
})

test('a running job is cancelled when its handler has heard of it', async (t) => {
  const { server, forge } = await running(t)
  const id = await enqueued(server, { type: 'long' })
  const started = new Promise<void>((resolve) => forge.on('job:started', () => resolve()))
  working(
    t,
    forge,
    defineJob('long', { input: typed<null>() }, async ({ signal }) => {
      await new Promise((resolve) => signal.addEventListener('abort', resolve))
    }),
  )
  await started
  const wait = send(server, 'GET', `/v1/jobs/${id}/wait`)
  const reply = await send(server, 'POST', `/v1/jobs/${id}/cancel`, '{}')
  assert.equal(reply.status, 202)
  assert.deepEqual(reply.json, { id, state: 'running' })
  assert.equal((await wait).json.state, 'cancelled')
})

test('an ended job is retried, with another payload when one is given', async (t) => {
  const { server, forge } = await running(t)
  const id = await enqueued(server, { type: 'again', payload: { n: 1 } })
  const early = await send(server, 'POST', `/v1/jobs/${id}/retry`)
  assert.equal(early.status, 409)
  assert.equal(early.json.code, 'STATE_CONFLICT')
  await forge.admin.cancel([id])
  const plain = await send(server, 'POST', `/v1/jobs/${id}/retry`)
  assert.equal(plain.status, 200)
  assert.deepEqual(plain.json, { id, state: 'ready' })
  await forge.admin.cancel([id])
  const edited = await send(server, 'POST', `/v1/jobs/${id}/retry`, '{"payload": {"n":9007199254740993}}')
  assert.equal(edited.status, 200)
  const [job] = await forge.store.jobs([id])
  assert.equal(job!.payload, '{"n":9007199254740993}')
})

test('a payload given to a retry is checked like one that is enqueued', async (t) => {
  const only = defineJob('only', {
    input: { '~standard': { version: 1, vendor: 'test', validate: (value) => onlyTexts(value) } },
  })
  const { server, forge } = await running(t, { jobs: [only] })
  const id = await enqueued(server, { type: 'only', payload: 'text' })
  await forge.admin.cancel([id])
  const wrong = await send(server, 'POST', `/v1/jobs/${id}/retry`, '{"payload":1}')
  assert.equal(wrong.status, 422)
  assert.deepEqual(pathsOf(wrong), ['payload'])
  const deep = await send(server, 'POST', `/v1/jobs/${id}/retry`, `{"payload":${'['.repeat(65)}${']'.repeat(65)}}`)
  assert.equal(deep.status, 400)
  const unknown = await send(server, 'POST', `/v1/jobs/${id}/retry`, '{"delayMs":1}')
  assert.equal(unknown.status, 400)
  assert.deepEqual(pathsOf(unknown), ['delayMs'])
  assert.equal((await send(server, 'GET', `/v1/jobs/${id}`)).json.state, 'cancelled')
})

const onlyTexts = (value: unknown): { value: unknown } | { issues: { message: string }[] } =>
  typeof value === 'string' ? { value } : { issues: [{ message: 'must be a text' }] }

test('a retry whose unique key is held names the holder', async (t) => {
  const { server, forge } = await running(t)
  const id = await enqueued(server, { type: 'sync', unique: 'one' })
  await forge.admin.cancel([id])
  const holder = await enqueued(server, { type: 'sync', unique: 'one' })
  const reply = await send(server, 'POST', `/v1/jobs/${id}/retry`)
  assert.equal(reply.status, 409)
  assert.equal(reply.json.code, 'UNIQUE_CONFLICT')
  assert.equal(reply.json.holder, holder)
})
