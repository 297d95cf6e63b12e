// What read operations see of a connection.
import type { Gate } from '../store/opening.ts'
import { readGate } from './gate.ts'
import type { Names } from './names.ts'
import type { Sql, Statements } from './statements.ts'

/** A connection to read with, the names it knows, and the store's time. */
export interface Reader extends Sql {
  readonly names: Names
  readonly now: number
  /** What lets jobs of a queue out. */
  gate(queue: number): Gate
  /** How many jobs of a queue are in a state, by its code. */
  count(queue: number, state: number): number
}

const tally = /* sql */ `SELECT n FROM forgeq_tally WHERE queue = ? AND state = ?`

/** As last committed. */
export const countOf = (db: Sql, queue: number, state: number): number =>
  (db.sql(tally).get(queue, state) as { n: number } | undefined)?.n ?? 0

export const readerOf = (statements: Statements, names: Names, now: number): Reader => ({
  sql: (text) => statements.sql(text),
  tuples: (text) => statements.tuples(text),
  names,
  now,
  gate: (queue) => readGate(statements, queue, now),
  count: (queue, state) => countOf(statements, queue, state),
})
