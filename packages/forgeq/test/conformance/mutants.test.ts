// The cases can fail: each store that is wrong in one point is caught by at least one of them.
import assert, { AssertionError } from 'node:assert/strict'
import { test } from 'node:test'
import { conformance } from '#src/conformance/index.js'
import { ManualClock } from '#src/store/clock.js'
import { holdMutants } from './mutants-holds.ts'
import { keyMutants } from './mutants-keys.ts'
import { limitMutants } from './mutants-limits.ts'
import { moveMutants } from './mutants-moves.ts'
import { mutants } from './mutants.ts'

// Hints are left out: a store that does not hint is waited for, not caught.
const cases = conformance.filter(({ needs }) => needs === undefined)

// The last areas are about limits: whoever is wrong there is caught sooner from that end.
const fromTheEnd = cases.toReversed()

for (const [name, make] of Object.entries({
  ...mutants,
  ...limitMutants,
  ...holdMutants,
  ...keyMutants,
  ...moveMutants,
})) {
  test(`caught: a store that ${name}`, async (t) => {
    for (const { area, name: sentence, run } of name in mutants ? cases : fromTheEnd) {
      const clock = new ManualClock()
      const store = make(() => clock.now())
      try {
        await run({ store, now: () => clock.now(), advance: async (ms) => clock.advance(ms) })
      } catch (error) {
        t.diagnostic(`by ${area}: ${sentence}`)
        // A mutant that falls over is not caught by what the case says.
        assert.ok(error instanceof AssertionError, `${area}: ${sentence}: ${String(error)}`)
        return
      }
    }
    assert.fail('every case passes')
  })
}
