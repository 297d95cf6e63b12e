// A worker whose exchanges a test makes one by one: each settles what the one before claimed.
import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { postgres } from '#src/postgres/index.js'
import type { Claimed, ExchangeReply, Settlement } from '#src/store/records.js'
import type { Store } from '#src/store/store.js'
import type { TestDatabase } from './database.ts'
import { registration } from './jobs.ts'

export class ByHand {
  readonly store: Store
  readonly schema: string
  readonly #queues: readonly string[]
  readonly #slots: number
  #turn = 0
  #ended: readonly Settlement[] = []

  private constructor(store: Store, schema: string, queues: readonly string[], slots: number) {
    this.store = store
    this.schema = schema
    this.#queues = queues
    this.#slots = slots
  }

  /** In a schema of its own, on a clock that goes. */
  static async open(
    t: TestContext,
    database: TestDatabase,
    { queues = ['default'], slots = 10 }: { readonly queues?: readonly string[]; readonly slots?: number } = {},
  ): Promise<ByHand> {
    const schema = database.schema()
    const store = postgres(database.url, { schema, allowUnsafe: true })
    t.after(() => store.close())
    await store.register(registration('w', { queues, slots, leaseMs: 600_000 }))
    return new ByHand(store, schema, queues, slots)
  }

  async exchange(waits = false): Promise<ExchangeReply> {
    const slots = this.#slots
    const wants = this.#queues.map((queue) => ({ queue, slots }))
    const [settlements, turn] = [this.#ended, ++this.#turn]
    const reply = await this.store.exchange({ worker: 'w', turn, settlements, wants, slots, notes: [], waits })
    assert.ok(!reply.closed)
    this.#ended = reply.claimed.map(({ job, claim }) => ({
      job,
      claim,
      outcome: 'complete',
      result: null,
      followUps: [],
    }))
    return reply
  }

  async claim(): Promise<readonly Claimed[]> {
    return (await this.exchange()).claimed
  }
}
