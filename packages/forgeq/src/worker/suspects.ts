// When a worker takes suspects, jobs that were running in a crash. Where other handlers share its process, it holds nothing
// else while it runs suspects: a worker that is empty takes them; one that is busy lets them wait, but not for long.
import type { ExchangeReply, ExchangeRequest } from '../store/records.ts'

/** A busy worker waits for a random part of this before it empties itself: not all workers do at once. */
const patienceMs = 5_000
/** For so long it takes more suspects into free slots, then others come. */
const batchMs = 5_000
/**
 * Each of them costs a process, and short ones share a few: it begins with two and has twice as many whenever so much time
 * has passed, but no crowd that a machine has no memory for.
 */
const growthMs = 250
const fewest = 2
const most = 10

type Way = NonNullable<ExchangeRequest['suspects']>

/** How a worker that could run suspects now takes them. */
export type Taking = Exclude<Way, 'skip'>

/** What the next exchange does: claims in one of the ways of the seam, or nothing; `look`: because suspects waited long. */
export type Claiming = Way | 'nothing' | 'look'

export class Suspects {
  readonly #taking: Taking
  readonly #random: () => number
  #holdsSome = false
  /** When the batch began of which it takes suspects; one that is taken alone is a batch. */
  #batchAt: number | undefined
  /** A batch has just ended: others come first, so that many suspects do not keep everybody waiting. */
  #yields = false
  /** When the patience with suspects that wait is over. */
  #overAt = Infinity

  constructor(taking: Taking, random: () => number) {
    this.#taking = taking
    this.#random = random
  }

  /** `isEmpty`: the worker holds nothing that it does not settle in that exchange. */
  next(isEmpty: boolean, now: number): Claiming {
    if (this.#taking === 'together') return 'together'
    const isOver = this.#batchAt !== undefined && now >= this.#batchAt + (this.#taking === 'apart' ? batchMs : 0)
    if (isEmpty) {
      this.#holdsSome = false
      if (isOver) this.#endBatch()
      return this.#yields ? 'skip' : this.#taking
    }
    if (this.#holdsSome) return isOver ? 'nothing' : this.#taking
    return now < this.#overAt ? 'skip' : 'look'
  }

  /** How many of them it may hold when it takes them apart. */
  most(now: number): number {
    return Math.min(most, fewest * 2 ** Math.floor((now - (this.#batchAt ?? now)) / growthMs))
  }

  /** `isWhole`: it was asked about all queues. */
  hear({ claimed, suspects }: Pick<ExchangeReply, 'claimed' | 'suspects'>, isWhole: boolean, now: number): void {
    if (this.#taking === 'together') return
    this.#yields = false
    if (claimed.some(({ crashes }) => crashes > 0)) {
      this.#holdsSome = true
      this.#batchAt ??= now
    } else if (!this.#holdsSome) this.#batchAt = undefined
    if (!suspects) this.#overAt = isWhole ? Infinity : this.#overAt
    else if (this.#overAt === Infinity) this.#overAt = now + this.#random() * patienceMs
  }

  #endBatch(): void {
    this.#batchAt = undefined
    this.#yields = true
    // A batch of many is worth as much time of the others; single ones take turns with slots full of them.
    if (this.#taking === 'apart') this.#overAt = Infinity
  }
}
