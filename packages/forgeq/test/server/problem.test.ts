// Which answers tell the client when to come again.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { errorCodes, ForgeError, type ErrorCode } from 'forgeq'
import { problem } from '#src/server/problem.js'

test('who is refused for now is told when to come again, who is refused for good is not', () => {
  const told = (Object.keys(errorCodes) as ErrorCode[]).filter(
    (code) => 'Retry-After' in problem(new ForgeError(code, 'x'), 'r').headers,
  )
  for (const code of ['QUEUE_FULL', 'TOO_MANY_WAITING', 'STORE_UNAVAILABLE'] as const)
    assert.ok(told.includes(code), code)
  assert.deepEqual(
    told.filter((code) => ![429, 503].includes(errorCodes[code].status)),
    [],
  )
  assert.equal(told.includes('QUEUE_CLOSED'), false)
})
