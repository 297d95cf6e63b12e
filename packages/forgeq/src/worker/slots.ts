// How many jobs may run at once, in all and per queue, and what to ask the store for next.
import type { Want } from '../store/records.ts'

export class Slots {
  #total: number
  #queues: readonly { readonly queue: string; readonly slots: number }[]
  readonly #used = new Map<string, number>()
  #busy = 0
  #first = 0
  /** Apart from the other: turns of both kinds may alternate. */
  #firstForOne = 0

  constructor(queues: Readonly<Record<string, number>>, total: number) {
    this.#queues = Object.entries(queues).map(([queue, slots]) => ({ queue, slots }))
    this.#total = total
  }

  get total(): number {
    return this.#total
  }

  /** Queues that had all slots have all of them again; others keep their own number. What runs beyond it may end. */
  resize(total: number): void {
    const before = this.#total
    this.#total = total
    this.#queues = this.#queues.map(({ queue, slots }) => ({ queue, slots: slots === before ? total : slots }))
  }

  get names(): readonly string[] {
    return this.#queues.map(({ queue }) => queue)
  }

  get busy(): number {
    return this.#busy
  }

  get free(): number {
    return this.#total - this.#busy
  }

  take(queue: string): void {
    this.#busy += 1
    this.#used.set(queue, (this.#used.get(queue) ?? 0) + 1)
  }

  give(queue: string): void {
    this.#busy -= 1
    this.#used.set(queue, (this.#used.get(queue) ?? 0) - 1)
  }

  /**
   * Queues with room. When there are fewer slots than they want, another one comes first each time: none starves. The same
   * with `isForOne`: a single job will come.
   */
  wants(isForOne = false): readonly Want[] {
    if (this.free <= 0) return []
    const first = isForOne ? this.#firstForOne++ : this.#first
    const wants: Want[] = []
    let wanted = 0
    for (let i = 0; i < this.#queues.length; i += 1) {
      const { queue, slots } = this.#queues[(first + i) % this.#queues.length]!
      const free = Math.min(slots - (this.#used.get(queue) ?? 0), this.free)
      if (free <= 0) continue
      wants.push({ queue, slots: free })
      wanted += free
    }
    if (!isForOne && wanted > this.free) this.#first = (this.#first + 1) % this.#queues.length
    return wants
  }
}
