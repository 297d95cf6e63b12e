// Statements that write many rows at once.

/** A statement for many rows: each parameter is an array that holds one column of them. */
export interface Batch {
  readonly sql: string
  /** It must change as many rows as it is given; otherwise somebody was faster, and the transaction starts anew. */
  readonly isExact?: true
}
