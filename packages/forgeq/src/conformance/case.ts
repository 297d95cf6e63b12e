// What a conformance case is and what a runner hands to it. How a case talks to the store: scene.ts.
import type { Capability, Store } from '../store/store.ts'

/** What a runner provides for one case: an empty store whose clock stands still until `advance`. */
export interface CaseTools {
  readonly store: Store
  /** The instant of the clock that the store reads, epoch milliseconds. */
  readonly now: () => number
  /** Moves that clock, backwards too: a machine's clock may jump. */
  readonly advance: (ms: number) => Promise<void>
}

/** One sentence of the contract, checked by throwing an AssertionError when the store does not keep it. */
export interface Case {
  readonly area: string
  readonly name: string
  /** Applies only to stores that have all of these. */
  readonly needs?: readonly Capability[]
  readonly run: (tools: CaseTools) => Promise<void>
}
