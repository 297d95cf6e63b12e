// The comparison of shown and real output notices what it is there to notice.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Transcript } from './transcript.ts'

const shownId = '01a20344-54a1-7101-b5cc-47c9a2e5ddc9'
const realId = '01a20399-0000-7000-8000-000000000001'
const otherId = '01a20399-0000-7000-8000-000000000002'

function missing(shown: string[], real: string[], isWhole = true): string | undefined {
  return new Transcript().compare(shown, real, isWhole).missing
}

test('other words, a line too few and a line too many are noticed', () => {
  assert.equal(missing(['one', 'two'], ['one', 'two']), undefined)
  assert.equal(missing(['one', 'two'], ['one', 'three']), 'two')
  assert.equal(missing(['one', 'two'], ['one']), 'two')
  assert.match(missing(['one'], ['one', 'two']) ?? '', /two/)
})

test('dots stand for any lines, also at the end', () => {
  assert.equal(missing(['one', '...', 'three'], ['one', 'two', 'two', 'three']), undefined)
  assert.equal(missing(['one', '...', 'four'], ['one', 'two', 'three']), 'four')
  assert.equal(missing(['one', '...'], ['one', 'two', 'three']), undefined)
})

test('instants, durations and gaps may differ, other numbers may not', () => {
  assert.equal(missing(['took 3ms  now'], ['took 12.5ms now']), undefined)
  assert.equal(missing(['at 2026-01-01T00:00:00.000Z'], ['at 2027-05-06T07:08:09.123Z']), undefined)
  assert.equal(missing(['3 completed'], ['4 completed']), '3 completed')
  assert.equal(missing(['a.b'], ['axb']), 'a.b')
})

test('an id is the same one wherever it is shown, and goes into later commands', () => {
  const transcript = new Transcript()
  assert.deepEqual(transcript.compare([`enqueued ${shownId}`], [`enqueued ${realId}`], true), {})
  assert.deepEqual(transcript.compare([`${shownId} ready`], [`${realId} ready`], true), {})
  assert.equal(transcript.compare([`${shownId} ready`], [`${otherId} ready`], true).missing, `${shownId} ready`)
  assert.equal(transcript.translate(`forgeq jobs show ${shownId}`), `forgeq jobs show ${realId}`)
})
