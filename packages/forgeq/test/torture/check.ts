// The checker: every invariant over one history.
import { claimChecks } from './check-claims.ts'
import { jobChecks } from './check-jobs.ts'
import { orderChecks } from './check-order.ts'
import type { History, Violation } from './events.ts'
import { factsOf } from './facts.ts'

const checks = { ...jobChecks, ...claimChecks, ...orderChecks }

export const invariants: readonly string[] = Object.keys(checks)

export function check(history: History): readonly Violation[] {
  const facts = factsOf(history)
  return Object.entries(checks).flatMap(([invariant, find]) =>
    find(facts).map((message): Violation => ({ invariant, message })),
  )
}
