// What read operations see of a connection.
import type { Names } from './names.ts'
import type { Sql } from './statements.ts'

/** A connection to read with, the names it knows, and the store's time. */
export interface Reader extends Sql {
  readonly names: Names
  readonly now: number
}
