// Sees every statement that stores of this process send, as it is in the code and as it is sent.
import type { Query, Value } from '#src/postgres/client.js'
import { Statements } from '#src/postgres/statements.js'

export function watchStatements(see: (sql: string, values: readonly Value[], query: Query) => void): void {
  const method = 'query'
  const original = Statements.prototype[method]
  Statements.prototype[method] = function (this: Statements, sql, values) {
    const query = original.call(this, sql, values)
    see(sql, values, query)
    return query
  }
}
