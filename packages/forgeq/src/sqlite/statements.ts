// Prepared statements by text, kept as long as the connection.
import type { Database, Statement } from './connect.ts'

/** What an operation needs of a connection; a `Turn` offers it too. */
export interface Sql {
  sql(text: string): Statement
  /** The same with rows as arrays: for hot paths, where building an object per row would cost more than the query. */
  tuples(text: string): Statement
}

export class Statements implements Sql {
  readonly #db: Database
  readonly #byText = new Map<string, Statement>()
  readonly #tuples = new Map<string, Statement>()

  constructor(db: Database) {
    this.#db = db
  }

  sql(text: string): Statement {
    let statement = this.#byText.get(text)
    if (statement === undefined) {
      statement = this.#db.prepare(text)
      this.#byText.set(text, statement)
    }
    return statement
  }

  tuples(text: string): Statement {
    let statement = this.#tuples.get(text)
    if (statement === undefined) {
      statement = this.#db.prepare(text)
      statement.setReturnArrays(true)
      this.#tuples.set(text, statement)
    }
    return statement
  }
}
