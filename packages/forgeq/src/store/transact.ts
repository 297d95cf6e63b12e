// THE SEAM, the part of stores whose database may hold the user's own tables, too: work that is committed with theirs or not at
// all. Laid out for SQLite and PostgreSQL.
import type { Enqueued, Hold, NewJob, Settlement } from './records.ts'
import type { EnqueueHow, Store } from './store.ts'

declare const adopted: unique symbol

/** A transaction that the store has recognised as one of its own database. */
export interface Transaction {
  readonly [adopted]: true
}

/**
 * No call of it begins, commits, rolls back or starts anew: that is the user's. What collides with others fails with the
 * database's own error for it (40001 on PostgreSQL), which whoever made the transaction knows how to repeat. Nobody is hinted:
 * what was enqueued is found by polls, at most 1.4 s after the commit.
 */
export interface Transact {
  /** In a transaction on a connection of the store, committed when `fn` has resolved. On SQLite `fn` is synchronous. */
  begin<T>(fn: (transaction: Transaction) => T | Promise<T>): Promise<T>
  /**
   * By its shape: a client of pg, postgres.js, Drizzle, Prisma or Kysely, a handle of SQLite. NOT_A_TRANSACTION for a pool, for a
   * connection outside of a transaction, and for one of another database.
   */
  adopt(transaction: unknown): Promise<Transaction>
  /** As `Store.enqueue`. A job that is refused refuses nothing of the user's. */
  enqueue(transaction: Transaction, jobs: readonly NewJob[], options: EnqueueHow): Promise<readonly Enqueued[]>
  /**
   * Ends a claim as completed, with its follow-ups. LEASE_LOST, which rolls the user's work back, for a claim that is stale or whose
   * job is marked cancelled. Locks the row of the claim and not that of its worker, who goes on beating and claiming meanwhile.
   */
  complete(
    transaction: Transaction,
    claim: Hold & { readonly worker: string },
    completion: Extract<Settlement, { readonly outcome: 'complete' }>,
  ): Promise<void>
}

/** Any other store refuses a transaction of the user's: by its type, and when it is called. */
export interface TransactingStore extends Store {
  readonly transact: Transact
}
