// What the SQL functions take and refuse, against what the library makes of the same.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { policy } from '#src/conformance/scene.js'
import { caps } from '#src/core/caps.js'
import { idTime, isId } from '#src/core/id.js'
import { newJob as libraryJob } from '#src/core/new-job.js'
import { defaultPolicy, resolvePolicy, type EnqueueOptions } from '#src/core/policy.js'
import type { JobRecord } from '#src/store/records.js'
import { registration } from './jobs.ts'
import { refused, scenes } from './sql.ts'

const { database, open } = await scenes()

test('a call without options makes a job with the defaults, whose id has store time', async (t) => {
  const { sql, jobs, now, store } = await open(t)
  const id = await sql(`'mail', '{"n": 9007199254740993, "f": 1.0}'`)
  const [job] = await jobs()
  assert.ok(isId(id), id)
  assert.equal(idTime(id), now())
  assert.equal(job!.id, id)
  assert.equal(job!.state, 'ready')
  assert.equal(job!.payload, '{"n": 9007199254740993, "f": 1.0}')
  assert.deepEqual(job!.policy, defaultPolicy)
  assert.equal(job!.createdAt, now())
  const [queue] = await store.queues()
  assert.equal(queue!.counts.ready, 1)
})

const options: readonly EnqueueOptions[] = [
  { queue: 'a/b', priority: 'high', key: 'k', tags: ['b', 'a', 'b', 'ü'] },
  { priority: 0, retries: 0, timeout: 0, keepResult: '7d' },
  { priority: 'low', retries: 10_000, timeout: '1.1m', expire: '0.5h' },
  { delay: 1.2, unique: 'u' },
  { delay: '1h', at: new Date('2026-01-01T00:00:00Z'), unique: { key: 'v', until: 'start' } },
  { at: new Date('2199-12-31T23:59:59.123+02:00'), unique: { key: 'w', for: '2h', onConflict: 'error' } },
  { delivery: 'at-most-once', retries: 7 },
  { backoff: { type: 'exponential' } },
  { backoff: { type: 'exponential', base: '2h', factor: 1.5, jitter: false } },
  { backoff: { type: 'exponential', base: 10, max: '1m' } },
  { backoff: { type: 'fixed', delay: '.5s' }, tags: [] },
  { backoff: { type: 'list', delays: [1, '2s'], jitter: false }, key: '😀'.repeat(caps.keyLength / 2) },
]

const withoutIds = (records: readonly JobRecord[]): unknown[] => records.map((job) => ({ ...job, id: '' }))

test('every option means what it means in the library', async (t) => {
  const [here, there] = [await open(t), await open(t)]
  for (const one of options) {
    const written = JSON.stringify(one).replaceAll("'", "''")
    await here.sql(`'mail', '{}', '${written}'`)
    const job = libraryJob('mail', '{}', resolvePolicy({}, one), one, () => there.job().id)
    await there.store.enqueue([job], { atomic: true })
  }
  const made = await here.jobs()
  assert.equal(made.length, options.length)
  assert.deepEqual(withoutIds(made), withoutIds(await there.jobs()))
  assert.deepEqual(await here.store.queues(), await there.store.queues())
})

test('payload is text, json or jsonb, or left out; null is JSON', async (t) => {
  const { sql, jobs } = await open(t)
  const payloads: Readonly<Record<string, string>> = {
    [`'[1.0,  1e2]'`]: '[1.0,  1e2]',
    [`'[1.0,  1e2]'::text`]: '[1.0,  1e2]',
    [`'[1.0,  1e2]'::json`]: '[1.0,  1e2]',
    [`'[1.0,  1e2]'::jsonb`]: '[1.0, 100]',
    [`json_build_object('a', 1)`]: '{"a" : 1}',
    [`jsonb_build_object('a', 1)`]: '{"a": 1}',
    [`to_json('it''s'::text)`]: `"it's"`,
    NULL: 'null',
  }
  for (const payload of Object.keys(payloads)) await sql(`'mail', ${payload}`)
  await sql(`'mail'`)
  await sql(`type => 'mail', options => '{"priority": 1}'`)
  assert.deepEqual(
    (await jobs()).map(({ payload }) => payload),
    [...Object.values(payloads), 'null', 'null'],
  )
})

test('a driver may send parameters', async (t) => {
  const { schema, jobs } = await open(t)
  const { client } = database
  await client.query(`SELECT ${schema}.enqueue($1, $2, $3)`, ['mail', '{"a":1.0}', { key: 'k', tags: ['x'] }])
  await client.query(`SELECT ${schema}.enqueue_many($1)`, [JSON.stringify([{ type: 'mail' }])])
  const found = await jobs()
  assert.deepEqual(
    found.map(({ payload }) => payload),
    ['{"a":1.0}', 'null'],
  )
  assert.equal(found[0]!.key, 'k')
})

test('what a worker announced for the type holds, and options go before it', async (t) => {
  const { sql, jobs, store } = await open(t)
  const announced = { ...policy, queue: 'slow', priority: 2, timeoutMs: 7000, maxAttempts: 3 }
  const once = { ...policy, delivery: 'at-most-once', maxAttempts: 1 } as const
  const types = [
    { type: 'mail', policy: announced, inputSchema: null },
    { type: 'once', policy: once, inputSchema: null },
  ]
  await store.register(registration('w', { types }))
  await sql(`'mail', '1'`)
  await sql(`'mail', '2', '{"queue": "fast", "retries": 9, "priority": null}'`)
  await sql(`'once', '3', '{"retries": 9}'`)
  assert.deepEqual(
    (await jobs()).map((job) => job.policy),
    [announced, { ...announced, queue: 'fast', maxAttempts: 10 }, once],
  )
})

const nested = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels)

test('a payload may be as deep and as long as in the library', async (t) => {
  const { sql, jobs } = await open(t)
  const taken = [
    nested(caps.jsonDepth),
    JSON.stringify(`\\"${nested(100)}`),
    JSON.stringify(Array.from({ length: 100 }, () => [{ a: [] }])),
    `"${'x'.repeat(caps.payloadBytes - 2)}"`,
  ]
  for (const payload of taken) await sql(`'mail', '${payload}'`)
  assert.deepEqual(
    (await jobs()).map(({ payload }) => payload),
    taken,
  )
})

const long = (length: number): string => 'x'.repeat(length)
const invalid = ['22023', 'INVALID_OPTION'] as const

const wrong = [
  [`'no spaces please'`, ...invalid, /type must be/],
  [`NULL`, ...invalid, /type must be/],
  [`'${long(129)}'`, ...invalid, /type must be/],
  [`E'mail\\n'`, ...invalid, /type must be/],
  [`'mail', '{nope'`, '22032', 'INVALID_JSON', /payload must be JSON/],
  [`'mail', ''`, '22032', 'INVALID_JSON', /payload must be JSON/],
  [`'mail', '${nested(65)}'`, '22032', 'INVALID_JSON', /64 levels/],
  [`'mail', '{"a":[1,${'{"b":'.repeat(63)}0${'}'.repeat(63)}]}'`, '22032', 'INVALID_JSON', /64 levels/],
  [`'mail', '"${long(caps.payloadBytes)}"'`, '54000', 'TOO_LARGE', /payload has 1048578 bytes/],
  [`'mail', '"${'ü'.repeat(600_000)}"'`, '54000', 'TOO_LARGE', /payload has/],
  [`'mail', '1', '[]'`, ...invalid, /options must be an object/],
  [`'mail', '1', '{"retry": 3}'`, ...invalid, /retry is not known/],
  [`'mail', '1', '{"runAt": "2027-01-01T00:00:00Z"}'`, ...invalid, /runAt is not known/],
  [`'mail', '1', '{"queue": "a b"}'`, ...invalid, /queue must be/],
  [`'mail', '1', '{"queue": 7}'`, ...invalid, /queue must be/],
  [`'mail', '1', '{"priority": 10}'`, ...invalid, /priority must be/],
  [`'mail', '1', '{"priority": 5.5}'`, ...invalid, /priority must be/],
  [`'mail', '1', '{"priority": "5"}'`, ...invalid, /priority must be/],
  [`'mail', '1', '{"delay": -1}'`, ...invalid, /delay must be/],
  [`'mail', '1', '{"delay": "1 hour"}'`, ...invalid, /delay must be/],
  [`'mail', '1', '{"delay": "3651d"}'`, ...invalid, /delay must be/],
  [`'mail', '1', '{"delay": true}'`, ...invalid, /delay must be/],
  [`'mail', '1', '{"at": "tomorrow"}'`, ...invalid, /at must be an instant/],
  [`'mail', '1', '{"at": "2027-13-01T00:00:00Z"}'`, ...invalid, /at must be an instant/],
  [`'mail', '1', '{"at": "2027-01-01T00:00:00"}'`, ...invalid, /at must be an instant/],
  [`'mail', '1', '{"at": 1893456000000}'`, ...invalid, /at must be an instant/],
  [`'mail', '1', '{"expire": "x"}'`, ...invalid, /expire must be/],
  [`'mail', '1', '{"timeout": "3651d"}'`, ...invalid, /timeout must be/],
  [`'mail', '1', '{"keepResult": []}'`, ...invalid, /keepResult must be/],
  [`'mail', '1', '{"retries": 10001}'`, ...invalid, /retries must be/],
  [`'mail', '1', '{"retries": 1.5}'`, ...invalid, /retries must be/],
  [`'mail', '1', '{"retries": "3"}'`, ...invalid, /retries must be/],
  [`'mail', '1', '{"delivery": "maybe"}'`, ...invalid, /delivery must be/],
  [`'mail', '1', '{"key": ""}'`, ...invalid, /key must be a text/],
  [`'mail', '1', '{"key": 7}'`, ...invalid, /key must be a text/],
  [`'mail', '1', '{"key": "${long(257)}"}'`, ...invalid, /key must be a text/],
  [`'mail', '1', '{"key": "${'😀'.repeat(129)}"}'`, ...invalid, /key must be a text/],
  [`'mail', '1', '{"tags": "one"}'`, ...invalid, /tags must be a list/],
  [`'mail', '1', '{"tags": [${'"t",'.repeat(10)}"t"]}'`, ...invalid, /tags must be a list/],
  [`'mail', '1', '{"tags": ["t", ""]}'`, ...invalid, /tags\.1 must be a text/],
  [`'mail', '1', '{"tags": ["${long(65)}"]}'`, ...invalid, /tags\.0 must be a text/],
  [`'mail', '1', '{"unique": 7}'`, ...invalid, /unique must be/],
  [`'mail', '1', '{"unique": {}}'`, ...invalid, /unique\.key must be/],
  [`'mail', '1', '{"unique": "${long(257)}"}'`, ...invalid, /unique must be/],
  [`'mail', '1', '{"unique": {"key": "u", "forMs": 1}}'`, ...invalid, /unique\.forMs is not known/],
  [`'mail', '1', '{"unique": {"key": "u", "until": "end"}}'`, ...invalid, /unique\.until/],
  [`'mail', '1', '{"unique": {"key": "u", "onConflict": "drop"}}'`, ...invalid, /unique\.onConflict/],
  [`'mail', '1', '{"unique": {"key": "u", "for": 1, "until": "done"}}'`, ...invalid, /unique\.for/],
  [`'mail', '1', '{"unique": {"key": "u", "for": 0}}'`, ...invalid, /unique\.for must be more/],
  [`'mail', '1', '{"unique": {"key": "u", "onConflict": "replace"}}'`, '0A000', 'UNSUPPORTED', /replace/],
  [`'mail', '1', '{"backoff": "fast"}'`, ...invalid, /backoff must be/],
  [`'mail', '1', '{"backoff": {}}'`, ...invalid, /backoff\.type must be/],
  [`'mail', '1', '{"backoff": {"type": "fixed"}}'`, ...invalid, /backoff\.delay must be/],
  [`'mail', '1', '{"backoff": {"type": "fixed", "delay": 1, "jitter": 1}}'`, ...invalid, /jitter/],
  [`'mail', '1', '{"backoff": {"type": "fixed", "delay": 1, "base": 1}}'`, ...invalid, /backoff\.base is not known/],
  [`'mail', '1', '{"backoff": {"type": "exponential", "factor": 101}}'`, ...invalid, /backoff\.factor/],
  [`'mail', '1', '{"backoff": {"type": "exponential", "factor": "2"}}'`, ...invalid, /backoff\.factor/],
  [`'mail', '1', '{"backoff": {"type": "list", "delays": []}}'`, ...invalid, /backoff\.delays/],
  [`'mail', '1', '{"backoff": {"type": "list", "delays": [1, "x"]}}'`, ...invalid, /backoff\.delays\.1/],
  [`'mail', '1', '{"id": "order-17"}'`, '22023', 'INVALID_ID', /id must be a UUIDv7/],
  [`'mail', '1', '{"id": "019B76DA-A800-7000-8000-000000000000"}'`, '22023', 'INVALID_ID', /id must be a UUIDv7/],
  [`'mail', '1', '{"id": "00000000-0000-7000-8000-000000000000"}'`, '22023', 'INVALID_ID', /within a day/],
] as const

test('what is wrong is refused, with a SQLSTATE, a code and what to do, and leaves nothing', async (t) => {
  const { sql, jobs, store } = await open(t)
  for (const [args, state, code, words] of wrong) {
    await t.test(`${args.length > 90 ? `${args.slice(0, 90)}…` : args}: ${code}`, () =>
      refused(sql(args), state, code, words),
    )
  }
  assert.deepEqual(await jobs(), [])
  assert.deepEqual(await store.queues(), [])
})
