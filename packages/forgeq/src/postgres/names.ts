// Queues and types are numbers in the tables; here their names are interned and looked up. Numbers never change, and a name
// is made outside of the transaction that needs it: what this process remembers is true whatever becomes of that one.
import type { Pool } from './client.ts'
import type { Statements } from './statements.ts'

interface Row {
  readonly id: number
  readonly name: string
}

// Most names are there already: an insert that does nothing would still draw a number.
const statementsFor = (table: 'queue' | 'type') => ({
  add: /* sql */ `
    INSERT INTO forgeq.${table} (name) SELECT n FROM unnest($1::text[]) AS n
    WHERE NOT EXISTS (SELECT 1 FROM forgeq.${table} WHERE name = n) ON CONFLICT (name) DO NOTHING`,
  byName: /* sql */ `SELECT id, name FROM forgeq.${table} WHERE name = ANY ($1::text[])`,
})

class Interned {
  readonly #ids = new Map<string, number>()
  readonly #names = new Map<number, string>()
  readonly #pool: Pool
  readonly #statements: Statements
  readonly #sql: ReturnType<typeof statementsFor>

  constructor(pool: Pool, statements: Statements, table: 'queue' | 'type') {
    this.#pool = pool
    this.#statements = statements
    this.#sql = statementsFor(table)
  }

  /** Makes the numbers of these names known, where they have one. */
  async learn(names: Iterable<string>): Promise<void> {
    const unknown = this.#unknown(names)
    if (unknown.length === 0) return
    const { rows } = await this.#pool.query(this.#statements.query(this.#sql.byName, [unknown]))
    for (const { id, name } of rows as readonly Row[]) this.remember(id, name)
  }

  /** Gives each of these names a number. */
  async intern(names: Iterable<string>): Promise<void> {
    const unknown = this.#unknown(names)
    if (unknown.length === 0) return
    await this.#pool.query(this.#statements.query(this.#sql.add, [unknown]))
    await this.learn(unknown)
  }

  /** `undefined` when nobody has used the name, as far as was learnt. */
  find(name: string): number | undefined {
    return this.#ids.get(name)
  }

  /** Of a name that was interned. */
  id(name: string): number {
    return this.#ids.get(name)!
  }

  name(id: number): string {
    return this.#names.get(id)!
  }

  remember(id: number, name: string): void {
    this.#ids.set(name, id)
    this.#names.set(id, name)
  }

  /** No name has a NUL, which the server would not even look for. */
  #unknown(names: Iterable<string>): string[] {
    return [...new Set(names)].filter((name) => !this.#ids.has(name) && !name.includes('\0'))
  }
}

export class Names {
  readonly queue: Interned
  readonly type: Interned

  constructor(pool: Pool, statements: Statements) {
    this.queue = new Interned(pool, statements, 'queue')
    this.type = new Interned(pool, statements, 'type')
  }
}
