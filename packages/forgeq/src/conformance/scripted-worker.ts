// A worker that does only what a case tells it to: it counts its turns and keeps nothing else.
import assert from 'node:assert/strict'
import type { Claimed, ExchangeReply, ExchangeRequest, LostJob, Settlement, Verdict } from '../store/records.ts'
import type { WorkerEnd } from '../store/worker-record.ts'
import type { Store } from '../store/store.ts'

export type ExchangePart = Partial<Omit<ExchangeRequest, 'worker' | 'turn'>>

export class ScriptedWorker {
  readonly id: string
  readonly #store: Store
  #turn = 0

  constructor(store: Store, id: string) {
    this.#store = store
    this.id = id
  }

  /** The next request of this worker, not sent. */
  request(part: ExchangePart = {}): ExchangeRequest {
    const wants = part.wants ?? []
    return {
      worker: this.id,
      turn: ++this.#turn,
      settlements: [],
      notes: [],
      slots: wants.reduce((sum, want) => sum + want.slots, 0),
      ...part,
      wants,
    }
  }

  async send(request: ExchangeRequest): Promise<ExchangeReply> {
    const reply = await this.#store.exchange(request)
    assert.ok(!reply.closed, `worker ${this.id} was found closed`)
    return reply
  }

  exchange(part: ExchangePart = {}): Promise<ExchangeReply> {
    return this.send(this.request(part))
  }

  async claim(slots: number, queue = 'default'): Promise<readonly Claimed[]> {
    return (await this.exchange({ wants: [{ queue, slots }] })).claimed
  }

  /** The ids of what it claims. */
  async claimIds(slots: number, queue = 'default'): Promise<readonly string[]> {
    return (await this.claim(slots, queue)).map(({ job }) => job)
  }

  async claimOne(queue = 'default'): Promise<Claimed> {
    const [claimed] = await this.claim(1, queue)
    assert.ok(claimed, `nothing to claim in queue ${queue}`)
    return claimed
  }

  async settle(...settlements: readonly Settlement[]): Promise<readonly Verdict[]> {
    return (await this.exchange({ settlements })).verdicts
  }

  /** Whether the store takes this worker for closed. */
  async isClosed(): Promise<boolean> {
    return (await this.#store.beat(this.id, null, [])).closed
  }

  /** Goes away and leaves behind what it holds; answers what is listed as lost by it. */
  async vanish(end?: WorkerEnd): Promise<readonly LostJob[]> {
    await this.#store.leave(this.id, end)
    const { jobs } = await this.#store.lost(1000)
    return jobs.filter((job) => job.worker === this.id)
  }
}
