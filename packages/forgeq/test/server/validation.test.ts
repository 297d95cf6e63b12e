// Who checks a payload that comes as text: the definition at hand, else what workers announced, else nobody.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { defineJob } from 'forgeq'
import * as z from 'zod'
import { defaultPolicy } from '#src/core/policy.js'
import { inputJsonSchema } from '#src/core/schema.js'
import { Announced } from '#src/server/announced.js'
import { inputCheck } from '#src/server/json-schema.js'
import type { TypeRecord } from '#src/store/records.js'
import { openStore, someWorker, temporaryFile } from '../sqlite/files.ts'
import { enqueued, pathsOf, running, send, type Reply } from './running.ts'

const mail = defineJob('mail', {
  queue: 'mails',
  priority: 'high',
  retries: 1,
  input: z.object({
    to: z.email(),
    copies: z.array(z.object({ 'a/b': z.int() })).optional(),
    subject: z.string().refine((subject) => subject !== 'spam', 'must not be spam'),
  }),
})

const good = { to: 'a@b.example', subject: 'hi' }

async function refused(late: Promise<Reply>, paths: readonly string[]): Promise<void> {
  const reply = await late
  assert.equal(reply.status, 422, reply.text)
  assert.equal(reply.json.code, 'INVALID_INPUT')
  assert.deepEqual(pathsOf(reply), paths)
}

const announcing = (inputSchema: string | null, type = 'mail'): TypeRecord => ({
  type,
  policy: { ...defaultPolicy, queue: 'mails', priority: 2, maxAttempts: 2 },
  inputSchema,
})

const announcedSchema = inputJsonSchema(mail.input)

test('a definition at hand checks and completes the job', async (t) => {
  const { server, forge } = await running(t, { jobs: [mail] })
  const post = (payload?: unknown): Promise<Reply> =>
    send(server, 'POST', '/v1/jobs', JSON.stringify({ type: 'mail', payload, retries: 3 }))
  await refused(post({ to: 'x', subject: 'spam', copies: [{ 'a/b': 1 }, {}] }), [
    'payload.copies.1.a/b',
    'payload.subject',
    'payload.to',
  ])
  await refused(post(), ['payload'])
  assert.deepEqual(await forge.admin.queues(), [])
  const { json } = await post(good)
  const [job] = await forge.store.jobs([json.id])
  assert.deepEqual(
    [job!.policy.queue, job!.policy.priority, job!.policy.maxAttempts],
    ['mails', 2, 4],
    'options of the body go before those of the definition',
  )
})

test('what a worker announced checks and completes the job', async (t) => {
  const { server, forge } = await running(t)
  await forge.store.register(someWorker({ types: [announcing(announcedSchema)] }))
  const post = (payload?: unknown): Promise<Reply> =>
    send(server, 'POST', '/v1/jobs', JSON.stringify({ type: 'mail', payload }))
  await refused(post({ to: 'x', copies: [{ 'a/b': 1 }, { 'a/b': 1.5 }, {}] }), [
    'payload.copies.1.a/b',
    'payload.copies.2.a/b',
    'payload.subject',
    'payload.to',
  ])
  await refused(post(), ['payload'])
  const { json } = await post(good)
  const [job] = await forge.store.jobs([json.id])
  assert.deepEqual([job!.policy.queue, job!.policy.priority, job!.policy.maxAttempts], ['mails', 2, 2])
})

test('a payload that is left out is null', async (t) => {
  const { server, forge } = await running(t)
  await forge.store.register(someWorker({ types: [announcing('{"type":"null"}')] }))
  await enqueued(server, { type: 'mail' })
})

test('an announcement that was not there yet is seen at once', async (t) => {
  const { server, forge } = await running(t)
  await enqueued(server, { type: 'mail', payload: 1 })
  await forge.store.register(someWorker({ types: [announcing(announcedSchema)] }))
  await refused(send(server, 'POST', '/v1/jobs', '{"type":"mail","payload":1}'), ['payload'])
})

test('an announcement that changed is seen after a second', async (t) => {
  const store = openStore(t, temporaryFile(t))
  let nowMs = 0
  const announced = new Announced(store, { now: () => nowMs, after: () => () => {} })
  await store.register(someWorker({ types: [announcing('{"type":"string"}')] }))
  const isTaken = async (value: unknown): Promise<boolean> => {
    const { check } = (await announced.find('mail'))!
    try {
      check(value, 10)
      return true
    } catch {
      return false
    }
  }
  assert.equal(await isTaken('text'), true)
  await store.register(someWorker({ types: [announcing('{"type":"number"}')] }))
  nowMs = 999
  assert.equal(await isTaken('text'), true)
  nowMs = 1_000
  assert.equal(await isTaken('text'), false)
  assert.equal(await isTaken(1), true)
})

test('a type without a schema is not checked', async (t) => {
  const { server, forge } = await running(t)
  await forge.store.register(someWorker({ types: [announcing(null)] }))
  await enqueued(server, { type: 'mail', payload: 1 })
})

const unusable = [
  '{"type":"strin"}',
  '{"$ref":"http://127.0.0.1:1/schema.json"}',
  '{"$async":true}',
  '{"pattern":"("}',
  'true',
]
for (const schema of unusable) {
  test(`the schema ${schema} is reported, and its jobs are taken`, async (t) => {
    const { server, forge } = await running(t)
    await forge.store.register(someWorker({ types: [announcing(schema)] }))
    await enqueued(server, { type: 'mail', payload: 1 })
    const [problem] = (await send(server, 'GET', '/health')).json.problems
    assert.match(problem!, /schema announced for mail cannot be used/)
  })
}

test('two types may announce schemas with one $id', async (t) => {
  const { server, forge } = await running(t)
  const types = [announcing('{"$id":"in","type":"string"}', 'a'), announcing('{"$id":"in","type":"number"}', 'b')]
  await forge.store.register(someWorker({ types }))
  await enqueued(server, { type: 'a', payload: 'text' })
  await enqueued(server, { type: 'b', payload: 1 })
  await refused(send(server, 'POST', '/v1/jobs', '{"type":"b","payload":"text"}'), ['payload'])
})

test('of a large payload only the first problem is told, of a small one the first twenty', () => {
  const check = inputCheck('{"items":{"type":"string"}}')
  const problems = (length: number): number => {
    const value = Array.from({ length: 100 }, () => 1)
    try {
      check(value, length)
    } catch (error) {
      return (error as { problems: unknown[] }).problems.length
    }
    return 0
  }
  assert.equal(problems(200), 20)
  assert.equal(problems(1_000_000), 1)
})

test('a schema that fails by itself is the fault of the server, and the client learns no more', async (t) => {
  const heard: unknown[] = []
  const broken = defineJob('broken', {
    input: {
      '~standard': {
        version: 1,
        vendor: 'test',
        validate: async () => {
          await setImmediate()
          throw new TypeError('password=secret')
        },
      },
    },
  })
  const { server } = await running(t, { jobs: [broken], onError: (error, id) => heard.push([error, id]) })
  const reply = await send(server, 'POST', '/v1/jobs', '{"type":"broken","payload":1}')
  assert.equal(reply.status, 500)
  assert.equal(reply.json.code, 'INTERNAL')
  assert.ok(!reply.text.includes('secret'))
  const [[error, id]] = heard as [[TypeError, string]]
  assert.equal(error.message, 'password=secret')
  assert.equal(id, reply.json.requestId)
  assert.deepEqual(pathsOf(reply), [])
})
