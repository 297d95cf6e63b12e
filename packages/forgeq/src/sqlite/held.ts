// Calls that wait: the exchanges of idle workers, held back until there is something to claim. A job then goes to its
// worker in the very transaction that stored it.
import type { Topic } from '../store/store.ts'

/** What a call waits for, and for which worker. */
export interface Wait {
  readonly worker: string
  readonly topics: readonly Topic[]
}

export class Held<C> {
  readonly #waits = new Map<C, Wait>()

  /** Whether anything waits for one of the topics. */
  hears(topics: readonly Topic[]): boolean {
    if (this.#waits.size === 0) return false
    const wanted = new Set(topics)
    return [...this.#waits.values()].some((wait) => wait.topics.some((topic) => wanted.has(topic)))
  }

  add(call: C, wait: Wait): void {
    this.#waits.set(call, wait)
  }

  /** Takes out what waits for one of the topics, those that wait longest first. */
  take(topics: ReadonlySet<Topic>): C[] {
    return this.#take((wait) => wait.topics.some((topic) => topics.has(topic)))
  }

  /** Takes out what waits for this worker. */
  takeOf(worker: string): C[] {
    return this.#take((wait) => wait.worker === worker)
  }

  takeAll(): C[] {
    return this.#take(() => true)
  }

  #take(isWanted: (wait: Wait) => boolean): C[] {
    const taken: C[] = []
    for (const [call, wait] of this.#waits) if (isWanted(wait)) taken.push(call)
    for (const call of taken) this.#waits.delete(call)
    return taken
  }
}
