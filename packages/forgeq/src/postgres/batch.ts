// Statements that write many rows at once.

/** A statement for many rows: each parameter is an array that holds one column of them. */
export interface Batch {
  readonly sql: string
}

/**
 * A statement that must change as many rows as its first parameter has: otherwise somebody was faster, and the server rolls
 * the transaction back, which starts anew. `before`: what it reads, as common table expressions that may write.
 */
export const exactly = (sql: string, before = ''): string => /* sql */ `
  WITH ${before === '' ? '' : `${before},`} changed AS (${sql} RETURNING 1)
  SELECT forgeq.expect(count(*), cardinality($1)) FROM changed`
