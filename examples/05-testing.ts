// Handlers under test: a forge in memory, whose clock stands still until it is moved. Nothing here waits.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defineJob } from 'forgeq'
import { testForge } from 'forgeq/testing'
import { z } from 'zod'

const mails: string[] = []
let isMailServerUp = true

const sendMail = defineJob(
  'send-mail',
  { input: z.object({ to: z.email() }), retries: 1, backoff: { type: 'fixed', delay: '1m', jitter: false } },
  ({ input }) => {
    if (!isMailServerUp) throw new Error('connection refused')
    mails.push(input.to)
  },
)
const signUp = defineJob('sign-up', { input: z.object({ to: z.email() }) }, ({ input, enqueue }) => {
  enqueue(sendMail, input, { delay: '1d' })
})

test('a day after the sign-up a mail goes out', async () => {
  const forge = testForge()
  await forge.run(signUp, { to: 'ada@example.com' })
  assert.equal(forge.enqueued(sendMail)[0]?.runAt.toISOString(), '2026-01-02T00:00:00.000Z')

  await forge.clock.advance('1d')
  assert.deepEqual(await forge.drain([sendMail]), { completed: 1, failed: 0, dead: 0 })
  assert.deepEqual(mails, ['ada@example.com'])
  await forge.close()
})

test('a mail that cannot be sent is tried once more, then it is a dead letter', async () => {
  const forge = testForge()
  isMailServerUp = false
  await forge.enqueue(sendMail, { to: 'bob@example.com' })
  assert.deepEqual(await forge.drain([sendMail]), { completed: 0, failed: 1, dead: 0 })
  await forge.clock.advance('1m')
  assert.deepEqual(await forge.drain([sendMail]), { completed: 0, failed: 0, dead: 1 })
  await forge.close()
})
