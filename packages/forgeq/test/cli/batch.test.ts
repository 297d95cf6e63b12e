// `forgeq enqueue --batch`: a file of jobs, each line with its own answer.
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { commandIn } from './command.ts'

const lines = (count: number): string =>
  Array.from({ length: count }, (_, i) => `{"type":"greet","payload":{"n":${i}},"tags":["batch"]}\n`).join('')

test('every line becomes a job, in its order, over several chunks', async (t) => {
  const { folder, forgeq } = commandIn(t)
  writeFileSync(join(folder, 'jobs.ndjson'), lines(2500))
  const { code, stdout, stderr } = await forgeq(['enqueue', '--batch', 'jobs.ndjson'])
  assert.equal(code, 0, stderr)
  assert.match(stderr, /2,500 enqueued/)
  const ids = stdout.trim().split('\n')
  assert.equal(new Set(ids).size, 2500)
  assert.deepEqual(ids, ids.toSorted())
  const { stdout: status } = await forgeq(['status', '--json'])
  assert.equal((JSON.parse(status) as { queues: { counts: { ready: number } }[] }).queues[0]!.counts.ready, 2500)
  const last = JSON.parse((await forgeq(['jobs', 'show', ids.at(-1)!, '--json'])).stdout) as Record<string, unknown>
  assert.deepEqual([last['payload'], last['tags']], [{ n: 2499 }, ['batch']])
})

test('refused lines are named with their number, the others are stored: exit code 8', async (t) => {
  const { forgeq } = commandIn(t)
  const stdin = `{"type":"greet"}\n\n{"type":"greet",\n{"type":"greet","delay":5}\n{"type":"greet","payload":9007199254740993}\n`
  const { code, stdout, stderr } = await forgeq(['enqueue', '--batch', '-', '--json'], { stdin })
  assert.equal(code, 8)
  const { results } = JSON.parse(stdout) as { results: { line: number; id?: string; code?: string }[] }
  assert.deepEqual(
    results.map(({ line, code: fault }) => [line, fault]),
    [
      [1, undefined],
      [3, 'INVALID_JSON'],
      [4, 'INVALID_OPTION'],
      [5, undefined],
    ],
  )
  assert.match(stderr, /^line 3: /m)
  assert.match(stderr, /^line 4: .*delay/m)
  assert.match(stderr, /2 enqueued, 2 refused/)
  const exact = await forgeq(['jobs', 'show', results[3]!.id!, '--json'])
  assert.ok(exact.stdout.includes('"payload":9007199254740993,'))
})

test('a file in which nothing is usable has the exit code of the fault', async (t) => {
  const { forgeq } = commandIn(t)
  const { code } = await forgeq(['enqueue', '--batch', '-'], { stdin: 'nonsense\n' })
  assert.equal(code, 2)
})

test('sending a file with ids again makes no second job', async (t) => {
  const { forgeq } = commandIn(t)
  const first = await forgeq(['enqueue', '--batch', '-'], { stdin: lines(3) })
  const again = first.stdout
    .trim()
    .split('\n')
    .map((id, i) => `{"type":"greet","payload":{"n":${i}},"id":"${id}"}`)
    .join('\n')
  const second = await forgeq(['enqueue', '--batch', '-'], { stdin: again })
  assert.deepEqual([second.code, second.stdout], [0, first.stdout])
  assert.match(second.stderr, /0 enqueued, 3 there already/)
})

test('lines with a unique key say what became of them', async (t) => {
  const { forgeq } = commandIn(t)
  const line = (onConflict: string, payload: number): string =>
    JSON.stringify({ type: 'greet', payload, unique: { key: 'u', until: 'start', onConflict } })
  const stdin = [line('keep', 1), line('keep', 2), line('replace', 3), line('error', 4)].join('\n')
  const { code, stdout, stderr } = await forgeq(['enqueue', '--batch', '-', '--json'], { stdin })
  assert.equal(code, 8)
  const { results } = JSON.parse(stdout) as { results: { id: string; message?: string }[] }
  const { id } = results[0]!
  assert.deepEqual(
    results.map(({ message: _said, ...result }) => result),
    [
      { line: 1, id, duplicate: false },
      { line: 2, id, duplicate: true },
      { line: 3, id, duplicate: true, replaced: true },
      { line: 4, code: 'UNIQUE_CONFLICT', holder: id },
    ],
  )
  assert.match(stderr, /1 enqueued, 1 taken over by jobs that still waited, 1 there already, 1 refused/)
})

test('a missing file, and options that belong into the lines, are usage errors', async (t) => {
  const { forgeq } = commandIn(t)
  const [missing, mixed, dashed] = await Promise.all([
    forgeq(['enqueue', '--batch', 'missing.ndjson']),
    forgeq(['enqueue', '--batch', '-', '-q', 'mails']),
    forgeq(['enqueue', '--batch', '-', '--on-conflict', 'error']),
  ])
  assert.equal(missing.code, 2)
  assert.match(missing.stderr, /missing\.ndjson cannot be read/)
  assert.equal(mixed.code, 2)
  assert.match(mixed.stderr, /leave out --queue/)
  assert.match(dashed.stderr, /leave out --on-conflict/)
})
