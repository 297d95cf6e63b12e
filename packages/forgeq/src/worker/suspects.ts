// When a worker takes suspects, jobs that were running in a crash. Where handlers share a process a suspect runs while
// nothing else does: a worker that is empty takes the first one; one that is busy lets them wait, but not for long.
import type { ExchangeReply, ExchangeRequest } from '../store/records.ts'

/** A busy worker waits for a random part of this before it empties itself: not all workers do at once. */
const patienceMs = 5_000

/** What the next exchange does: claims in one of the ways of the seam, or nothing; `look`: because suspects waited long. */
export type Claiming = NonNullable<ExchangeRequest['suspects']> | 'nothing' | 'look'

export class Suspects {
  readonly #canIsolate: boolean
  readonly #random: () => number
  #runsOne = false
  /** One has just run: others come first, so that many suspects do not keep everybody waiting. */
  #yields = false
  /** When the patience with suspects that wait is over. */
  #overAt = Infinity

  /** `canIsolate`: every job runs in a process of its own. */
  constructor(canIsolate: boolean, random: () => number) {
    this.#canIsolate = canIsolate
    this.#random = random
  }

  /** `isEmpty`: the worker holds nothing that it does not settle in that exchange. */
  next(isEmpty: boolean, now: number): Claiming {
    if (this.#canIsolate) return 'together'
    if (isEmpty) {
      this.#yields ||= this.#runsOne
      this.#runsOne = false
      return this.#yields ? 'skip' : 'alone'
    }
    if (this.#runsOne) return 'nothing'
    return now < this.#overAt ? 'skip' : 'look'
  }

  /** `isWhole`: it was asked about all queues. */
  hear({ claimed, suspects }: Pick<ExchangeReply, 'claimed' | 'suspects'>, isWhole: boolean, now: number): void {
    if (this.#canIsolate) return
    this.#yields = false
    if (claimed.some(({ crashes }) => crashes > 0)) this.#runsOne = true
    if (!suspects) this.#overAt = isWhole ? Infinity : this.#overAt
    else if (this.#overAt === Infinity) this.#overAt = now + this.#random() * patienceMs
  }
}
