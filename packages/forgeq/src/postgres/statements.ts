// Statements as they are sent: the schema's name in them, prepared once per connection where connections are ours alone.
import type { Query, Value } from './client.ts'

export const quoteName = (name: string): string => `"${name.replaceAll('"', '""')}"`

export class Statements {
  readonly #schema: string
  readonly #isPooled: boolean
  readonly #known = new Map<string, { readonly name?: string; readonly text: string }>()

  /** `isPooled`: each transaction may meet another session, so none has anything prepared. */
  constructor(schema: string, isPooled: boolean) {
    this.#schema = quoteName(schema)
    this.#isPooled = isPooled
  }

  /** A text with many statements, or one that is sent once. */
  text(sql: string): string {
    return sql.replaceAll('forgeq.', `${this.#schema}.`)
  }

  query(sql: string, values: readonly Value[]): Query {
    // Who looks at a server, or at what is sent to it, sees what kind of statement it is.
    let known = this.#known.get(sql)
    if (known === undefined) {
      known = {
        text: this.text(sql),
        ...(!this.#isPooled && { name: `forgeq_${this.#known.size}_${kindOf(sql)}` }),
      }
      this.#known.set(sql, known)
    }
    return { ...known, values }
  }
}

/** The function that it calls, or what it does. */
const kindOf = (sql: string): string => (/^\s*SELECT (?:\* FROM )?forgeq\.(\w+)\(/.exec(sql) ?? /(\w+)/.exec(sql)!)[1]!
