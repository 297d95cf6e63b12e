import assert from 'node:assert/strict'
import { test } from 'node:test'
import { z } from 'zod'
import { ForgeError } from '#src/core/errors.js'
import { typed } from '#src/core/schema.js'
import { defineJob, type Handler } from '#src/job.js'

const input = z.object({ to: z.string() })
const output = z.object({ id: z.string() })

test('a contract has its name, schemas and policy, and nothing else', () => {
  const job = defineJob('send-email', { input, output, queue: 'mail', retries: 3 })
  assert.equal(job.name, 'send-email')
  assert.equal(job.input, input)
  assert.equal(job.output, output)
  assert.deepEqual(job.policy, { queue: 'mail', retries: 3 })
  assert(!('fn' in job))
})

test('a job with its function is a handler of itself', () => {
  const fn = (): number => 5
  const ping = defineJob('ping', { input: typed<string>() }, fn)
  assert.equal(ping.job, ping)
  assert.equal(ping.fn, fn)
})

test('one contract takes a handler elsewhere', () => {
  const job = defineJob('send-email', { input, output })
  const fn = (): { id: string } => ({ id: 'x' })
  assert.deepEqual(job.handler(fn), { job, fn } satisfies Handler)
})

test('a call is the job with its input and options', () => {
  const job = defineJob('send-email', { input })
  assert.deepEqual(job.with({ to: 'a' }, { delay: '1h' }), { job, input: { to: 'a' }, options: { delay: '1h' } })
  assert.deepEqual(job.with({ to: 'a' }).options, {})
})

test('a definition cannot change once it is made', () => {
  const spec = { input, queue: 'mail' }
  const job = defineJob('send-email', spec)
  spec.queue = 'other'
  assert.equal(job.policy.queue, 'mail')
  assert.throws(() => Object.assign(job.policy, { queue: 'other' }), TypeError)
  assert.throws(() => Object.assign(job, { name: 'other' }), TypeError)
})

test('a bad name or policy is refused where the job is defined', () => {
  const wrong: [() => unknown, string][] = [
    [() => defineJob('send email', { input }), 'job type'],
    [() => defineJob('', { input }), 'job type'],
    [() => defineJob('x', { input, queue: 'a b' }), 'queue'],
    [() => defineJob('x', { input, retries: -1 }), 'retries'],
    [() => defineJob('x', {} as { input: typeof input }), 'input'],
  ]
  for (const [define, path] of wrong) {
    assert.throws(define, (error) => ForgeError.is(error, 'INVALID_OPTION') && error.problems?.[0]?.path === path)
  }
})
