// Which store a command works on: what is refused before anything is opened or made.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { commandIn, handlersFile } from './command.ts'

const commands: readonly (readonly string[])[] = [
  ['enqueue', 'greet'],
  ['enqueue', '--batch', '-'],
  ['server', '--port', '0'],
  ['worker', handlersFile, '--drain'],
  ['dev', handlersFile, '--port', '0'],
  ['status'],
  ['jobs', 'ls'],
  ['dead', 'retry', '--all'],
  ['queues', 'pause', 'default'],
  ['workers', 'ls'],
  ['migrate'],
  ['migrate', '--plan'],
]

for (const args of commands) {
  test(`a store in memory is refused: ${args.filter((arg) => !arg.startsWith('/')).join(' ')}`, async (t) => {
    const { code, stdout, stderr } = await commandIn(t).forgeq([...args, '--store', 'sqlite::memory:'])
    assert.deepEqual([code, stdout], [2, ''], stderr)
    assert.match(
      stderr,
      /^error: the store sqlite::memory: \(from --store\) .* give it a file, as in sqlite:jobs\.db$/m,
    )
  })
}

for (const path of ['jobs.db', './data/jobs.db', '/var/lib/jobs.db', 'C:\\jobs.db']) {
  test(`a path without a scheme is answered with its URL: ${path}`, async (t) => {
    const { code, stderr } = await commandIn(t).forgeq(['enqueue', 'greet', '--store', path])
    assert.equal(code, 2)
    assert.ok(stderr.includes(`it has no scheme, as in sqlite:${path};`), stderr)
  })
}
