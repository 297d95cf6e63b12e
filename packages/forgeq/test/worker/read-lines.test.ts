// A pipe that breaks ends quietly: an error that nobody hears would end its process.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer, type AddressInfo } from 'node:net'
import { test } from 'node:test'
import { readLines } from '#src/worker/read-lines.js'

test('lines are heard until the other side is gone, however it goes', async (t) => {
  const server = createServer((there) => {
    there.write('one\ntwo\nhal')
    // What it has not read makes its end an error here.
    there.once('readable', () => there.resetAndDestroy())
  }).listen(0, '127.0.0.1')
  t.after(() => server.close())
  await once(server, 'listening')
  const here = connect((server.address() as AddressInfo).port, '127.0.0.1')
  const [lines, errors]: [string[], Error[]] = [[], []]
  here.on('error', (error) => errors.push(error))
  readLines(here, (line) => {
    lines.push(line)
    if (line === 'two') here.write('nobody reads this')
  })
  await new Promise((resolve) => here.once('close', resolve))
  assert.deepEqual(lines.slice(0, 2), ['one', 'two'])
  assert.equal(errors.length, 1)
})
