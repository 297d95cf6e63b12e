// Plays a rehearsal on a store and tells what the checker says of it.
import assert from 'node:assert/strict'
import { ManualClock } from '#src/store/clock.js'
import type { Store } from '#src/store/store.js'
import { check } from './check.ts'
import { Rehearsal, type Habits, type Scenery } from './rehearsal.ts'

export const seeds = Array.from({ length: 12 }, (_, i) => i + 1)
const steps = 400

export async function violated(
  make: (clock: ManualClock) => Store,
  seed: number,
  habits?: Partial<Habits>,
  scenery?: Scenery,
): Promise<string[]> {
  const clock = new ManualClock()
  const store = make(clock)
  try {
    const violations = check(await new Rehearsal(store, clock, seed, habits, scenery).play(steps))
    return violations.map(({ invariant, message }) => `${invariant}: ${message}`)
  } finally {
    await store.close()
  }
}

/** Some seed must give it away. */
export async function assertCaught(
  t: { diagnostic(text: string): void },
  invariant: RegExp,
  run: (seed: number) => Promise<readonly string[]>,
): Promise<void> {
  for (const seed of seeds) {
    const found = (await run(seed)).find((text) => invariant.test(text))
    if (found === undefined) continue
    return t.diagnostic(`seed ${seed}: ${found.slice(0, 200)}`)
  }
  assert.fail('nothing is violated')
}
