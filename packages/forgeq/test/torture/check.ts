// The checker: every invariant over one history.
import { claimChecks } from './check-claims.ts'
import { jobChecks } from './check-jobs.ts'
import { dedupChecks } from './check-dedup.ts'
import { keyChecks } from './check-keys.ts'
import { limitChecks } from './check-limits.ts'
import { orderChecks } from './check-order.ts'
import type { History, Violation } from './events.ts'
import { factsOf } from './facts.ts'

/** Those of limits and unique keys; the rest must be true without any. */
export const limitInvariants: readonly string[] = Object.keys({ ...limitChecks, ...keyChecks, ...dedupChecks })

const checks = { ...jobChecks, ...claimChecks, ...orderChecks, ...limitChecks, ...keyChecks, ...dedupChecks }

export const invariants: readonly string[] = Object.keys(checks)

export function check(history: History): readonly Violation[] {
  const facts = factsOf(history)
  return Object.entries(checks).flatMap(([invariant, find]) =>
    find(facts).map((message): Violation => ({ invariant, message })),
  )
}
