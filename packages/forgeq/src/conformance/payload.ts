// Payloads, results, tags and errors are opaque text: what comes back is what was given, character by character.
import assert from 'node:assert/strict'
import { area } from './area.ts'
import type { Case } from './case.ts'
import { complete, retry } from './endings.ts'
import type { Scene } from './scene.ts'

const hostile: Readonly<Record<string, string>> = {
  'an escaped NUL': String.raw`"a\u0000b"`,
  'lone surrogate escapes': String.raw`["\ud800","\udc00x"]`,
  'numbers that no double holds': '[9007199254740993,1e400,-0,0.10000000000000000001,1E+2]',
  'white space and key order': ' {"b" : 1,\n\t"a":2 , "b":3}\r\n',
  'keys that prototypes have': '{"__proto__":{"x":1},"constructor":1,"toString":null}',
  'text of many scripts': '"Grüße, 你好, שלום, 👩‍👩‍👧, \u2028\u2029, \ufeff, \u007f"',
  'quotes of other languages': String.raw`"'; drop table job; -- \" \\ %s $1 ?1 :a ${'`'}x${'`'} {{x}}"`,
  'nothing but null': 'null',
  'an empty text': '""',
  '64 levels': `${'['.repeat(64)}${']'.repeat(64)}`,
  'one MiB': JSON.stringify('x'.repeat(1024 * 1024 - 2)),
}

const roundTrip =
  (text: string) =>
  async (s: Scene): Promise<void> => {
    const id = await s.add({ payload: text })
    const worker = await s.worker()
    const claimed = await worker.claimOne()
    assert.ok(claimed.payload === text, 'the claimed payload differs')
    await worker.settle(complete(claimed, text))
    const job = await s.job(id)
    assert.ok(job.payload === text, 'the stored payload differs')
    assert.ok(job.result === text, 'the result differs')
  }

export const payloadCases: readonly Case[] = area('payload', {
  ...Object.fromEntries(Object.entries(hostile).map(([what, text]) => [`keeps ${what}`, roundTrip(text)])),

  'tags, unique keys and names keep their characters': async (s) => {
    const tags = ['Grüße', "it's", '%', '__proto__', '👍', ' ']
    const given = { type: '__proto__', queue: 'constructor', unique: "k'%_\u2028", tags }
    const id = await s.add(given)
    const job = await s.job(id)
    assert.deepEqual([job.type, job.policy.queue, job.unique?.key, job.tags], Object.values(given))
    const worker = await s.worker({ types: ['__proto__'], queues: ['constructor'] })
    assert.equal((await worker.claimOne('constructor')).job, id)
    assert.equal((await s.queue('constructor')).counts.running, 1)
  },

  'an error keeps every member': async (s) => {
    const id = await s.add()
    const worker = await s.worker()
    const error = {
      code: 'INVALID_INPUT',
      name: 'Fehler "ü"',
      message: 'line 1\nline 2 \u0001 👎',
      stack: 'Fehler: at x (y:1:2)',
      problems: [{ path: 'a.0.b', message: "it's missing" }],
    }
    await worker.settle(retry(await worker.claimOne(), 1000, error))
    const job = await s.job(id)
    assert.deepEqual(job.error, error)
    assert.deepEqual(job.attempts?.[0]?.error, error)
  },

  'one call may carry 16 MiB': async (s) => {
    const payload = JSON.stringify('y'.repeat(1024 * 1024 - 2))
    const ids = await s.addMany(16, { payload })
    const jobs = await s.store.jobs(ids)
    assert.ok(jobs.length === 16 && jobs.every((job) => job.payload === payload))
  },
})
