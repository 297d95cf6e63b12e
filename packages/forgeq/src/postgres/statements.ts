// Statements as they are sent: the schema's name in them, prepared once per connection.
import type { Query, Value } from './connect.ts'

export const quoteName = (name: string): string => `"${name.replaceAll('"', '""')}"`

export class Statements {
  readonly #schema: string
  readonly #named = new Map<string, { readonly name: string; readonly text: string }>()

  constructor(schema: string) {
    this.#schema = quoteName(schema)
  }

  /** A text with many statements, or one that is sent once. */
  text(sql: string): string {
    return sql.replaceAll('forgeq.', `${this.#schema}.`)
  }

  query(sql: string, values: readonly Value[]): Query {
    let known = this.#named.get(sql)
    if (known === undefined) {
      known = { name: `forgeq_${this.#named.size}`, text: this.text(sql) }
      this.#named.set(sql, known)
    }
    return { ...known, values }
  }
}
