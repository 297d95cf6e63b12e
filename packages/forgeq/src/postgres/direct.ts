// Calls whose whole transaction is known beforehand, and so goes to the server in one message.
import type { Topic } from '../store/store.ts'
import type { Value } from './client.ts'

export interface Direct<T> {
  /** What is not tried again for a while when the server refuses it. */
  readonly kinds: readonly string[]
  readonly statements: readonly { readonly sql: string; readonly values: readonly Value[] }[]
  /**
   * The call's answer by the rows of each, and what is told now that it stands: also when something new is due, if anything is. `undefined`: the call itself has written
   * nothing, and a longer transaction has to do it.
   */
  answer(
    rows: readonly (readonly unknown[])[],
  ): { readonly value: T; readonly hints: Iterable<Topic>; readonly dueAt?: number } | undefined
}

/** Where that was not enough it is not tried again for so long: what was in its way is there for longer than that. */
const restMs = 1_000
const mostKinds = 1_000

/** Kinds of calls that were refused a moment ago. */
export class Refusals {
  readonly #until = new Map<string, number>()

  add(kind: string): void {
    if (this.#until.size >= mostKinds) this.#until.clear()
    this.#until.set(kind, performance.now() + restMs)
  }

  has(kind: string): boolean {
    const until = this.#until.get(kind)
    return until !== undefined && performance.now() < until
  }
}
