// The host of the engine, in the calling thread.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { Host } from '#src/sqlite/host.js'

test('a call that comes together with the wish to close is refused, and no turn runs afterwards', async () => {
  const host = new Host({ path: ':memory:', durability: 'full', allowUnsafe: false, clock: null }, 'schema', {
    hint: () => {},
    gone: () => {},
    send: () => {},
  })
  const answer = new Promise((resolve, reject) => host.submit({ method: 'queues', args: [], resolve, reject }))
  host.close()
  await assert.rejects(answer, { code: 'STORE_CLOSED' })
  // A turn on a closed database would throw here.
  await setImmediate()
})
