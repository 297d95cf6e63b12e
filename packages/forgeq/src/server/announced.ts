// What workers announced about their types: the policy and the check of the input, for producers that do not have the
// definition. Announcements are read again after a second; one that is not there yet is looked for every time.
import type { StoredPolicy, TypeRecord } from '../store/records.ts'
import type { Store } from '../store/store.ts'
import type { Timers } from '../timers.ts'
import { inputCheck, type Check } from './json-schema.ts'

const freshForMs = 1_000

const unchecked: Check = () => {}

export class Announced {
  readonly #store: Store
  readonly #timers: Timers
  readonly #checks = new Map<string, { readonly schema: string; readonly check: Check }>()
  readonly #faults = new Map<string, string>()
  #records = new Map<string, TypeRecord>()
  #readAt = -Infinity
  #reading: Promise<void> | undefined

  constructor(store: Store, timers: Timers) {
    this.#store = store
    this.#timers = timers
  }

  /** `undefined` when no worker ever announced the type. */
  async find(type: string): Promise<{ readonly policy: StoredPolicy; readonly check: Check } | undefined> {
    const isFresh = this.#timers.now() - this.#readAt < freshForMs
    if (!isFresh || !this.#records.has(type)) await this.#read()
    const record = this.#records.get(type)
    return record && { policy: record.policy, check: this.#checkOf(record) }
  }

  /** Schemas that cannot be used, in words: payloads of these types are checked by their worker only. */
  get problems(): readonly string[] {
    return [...this.#faults.values()]
  }

  #read(): Promise<void> {
    this.#reading ??= this.#readOnce().finally(() => {
      this.#reading = undefined
    })
    return this.#reading
  }

  async #readOnce(): Promise<void> {
    const records = await this.#store.types()
    this.#records = new Map(records.map((record) => [record.type, record]))
    this.#readAt = this.#timers.now()
  }

  /** Compiled when it is first needed and again when the schema changed. */
  #checkOf({ type, inputSchema }: TypeRecord): Check {
    if (inputSchema === null) return unchecked
    const known = this.#checks.get(type)
    if (known?.schema === inputSchema) return known.check
    let check = unchecked
    this.#faults.delete(type)
    try {
      check = inputCheck(inputSchema)
    } catch (error) {
      this.#faults.set(type, `the input schema announced for ${type} cannot be used: ${(error as Error).message}`)
    }
    this.#checks.set(type, { schema: inputSchema, check })
    return check
  }
}
