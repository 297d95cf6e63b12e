// Queues and types are numbers in the hot tables; here their names are interned and looked up. Numbers never change.
import type { Statements } from './statements.ts'

const addQueue = /* sql */ `INSERT INTO forgeq_queue (name) VALUES (?) ON CONFLICT DO NOTHING`
const queueByName = /* sql */ `SELECT id FROM forgeq_queue WHERE name = ?`
const queueById = /* sql */ `SELECT name FROM forgeq_queue WHERE id = ?`
const addType = /* sql */ `INSERT INTO forgeq_type (name) VALUES (?) ON CONFLICT DO NOTHING`
const typeByName = /* sql */ `SELECT id FROM forgeq_type WHERE name = ?`
const typeById = /* sql */ `SELECT name FROM forgeq_type WHERE id = ?`

class Interned {
  readonly #ids = new Map<string, number>()
  readonly #names = new Map<number, string>()
  readonly #statements: Statements
  readonly #sql: { readonly add: string; readonly byName: string; readonly byId: string }

  constructor(statements: Statements, sql: { readonly add: string; readonly byName: string; readonly byId: string }) {
    this.#statements = statements
    this.#sql = sql
  }

  /** The number of a name, `undefined` when nobody has used it. */
  find(name: string): number | undefined {
    const known = this.#ids.get(name)
    if (known !== undefined) return known
    const row = this.#statements.sql(this.#sql.byName).get(name) as { id: number } | undefined
    if (row !== undefined) this.#remember(row.id, name)
    return row?.id
  }

  /** The number of a name, made when it is new: only inside a write transaction. */
  id(name: string): number {
    const known = this.find(name)
    if (known !== undefined) return known
    this.#statements.sql(this.#sql.add).run(name)
    return this.find(name)!
  }

  name(id: number): string {
    const known = this.#names.get(id)
    if (known !== undefined) return known
    const row = this.#statements.sql(this.#sql.byId).get(id) as { name: string }
    this.#remember(id, row.name)
    return row.name
  }

  forget(): void {
    this.#ids.clear()
    this.#names.clear()
  }

  #remember(id: number, name: string): void {
    this.#ids.set(name, id)
    this.#names.set(id, name)
  }
}

export class Names {
  readonly queue: Interned
  readonly type: Interned

  constructor(statements: Statements) {
    this.queue = new Interned(statements, { add: addQueue, byName: queueByName, byId: queueById })
    this.type = new Interned(statements, { add: addType, byName: typeByName, byId: typeById })
  }

  /** After a rollback: a name interned by it has no number. */
  forget(): void {
    this.queue.forget()
    this.type.forget()
  }
}
