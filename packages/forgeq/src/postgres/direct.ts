// Calls that one statement can do, which commits by itself.
import type { Topic } from '../store/store.ts'
import type { Value } from './client.ts'

export interface Direct<T> {
  readonly sql: string
  readonly values: readonly Value[]
  /** What is told once it is done. */
  readonly hints: readonly Topic[]
  /** `undefined`: it has written nothing, and a transaction has to do it. */
  answer(rows: readonly unknown[]): T | undefined
}
