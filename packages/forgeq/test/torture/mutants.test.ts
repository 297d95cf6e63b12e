// The checker sees what is wrong from histories alone: stores, and processes, that are wrong in one point each.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Model } from '#src/conformance/model.js'
import { afterLoss } from '#src/core/outcome.js'
import { sqlite } from '#src/sqlite/index.js'
import type { ManualClock } from '#src/store/clock.js'
import type { Store } from '#src/store/store.js'
import { mutants } from '../conformance/mutants.ts'
import type { Habits } from './rehearsal.ts'
import { assertCaught, seeds, violated } from './rehearsed.ts'

const model = (clock: ManualClock): Store => new Model(() => clock.now())

for (const seed of seeds.slice(0, 6)) {
  test(`seed ${seed}: the reference store and SQLite violate nothing`, async () => {
    assert.deepEqual(await violated(model, seed), [])
    assert.deepEqual(await violated((clock) => sqlite(':memory:', { clock, inline: true }), seed), [])
  })
}

/** Store of the conformance suite's mutants -> the invariant that gives it away. */
const stores: Readonly<Record<string, RegExp>> = {
  'parses payloads': /^I3/,
  'begins claim numbers again after a rescue': /^I[45]/,
  'settles without a fence': /^I6/,
  'counts a crash as an attempt': /^I10/,
  'counts a release as an attempt': /^I10/,
  'stores follow-ups of stale completions': /^I8/,
  'completes what was cancelled': /^I19/,
  'brings back by rescue what was cancelled': /^I19/,
  'frees a unique key when its job starts': /^I18/,
  'frees a unique key between two tries': /^I18/,
  'holds no unique key': /^I18/,
  'hands out the last first': /^I14/,
  'knows no levels': /^I13/,
  'ignores the pause': /^I21/,
  'never ends what expired': /^I22/,
  'closes nobody': /^I22/,
  'does not hear beats': /^I7/,
  'lets closed workers go on': /^I7/,
  'takes every worker for lost': /^I7/,
  'claims afresh when a turn is sent again': /^I22/,
  'counts a rescue again': /^I10/,
}

for (const [name, invariant] of Object.entries(stores)) {
  test(`caught: a store that ${name}`, async (t) => {
    const make = mutants[name]!
    await assertCaught(t, invariant, (seed) => violated((clock) => make(() => clock.now()), seed))
  })
}

const processes: Readonly<Record<string, [RegExp, Partial<Habits>]>> = {
  'does not abort what it lost': [/^I6 who lost/, { abortsWhatItLost: false }],
  'goes on to the next turn when an answer was lost': [/^I22/, { sendsALostTurnAgain: false }],
  'starts again what may start only once': [
    /^I9/,
    {
      decideCrash: (lost) => afterLoss({ ...lost, policy: { ...lost.policy, delivery: 'at-least-once' } }, 0, () => 0),
    },
  ],
  'rescues what is not lost': [
    /^I22/,
    { decideCrash: (lost) => ({ ...afterLoss(lost, 0, () => 0), worker: 'somebody' }) },
  ],
}

for (const [name, [invariant, habits]] of Object.entries(processes)) {
  test(`caught: a process that ${name}`, (t) => assertCaught(t, invariant, (seed) => violated(model, seed, habits)))
}
