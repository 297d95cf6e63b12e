// The queues that a transaction works on, entered in the one order that all keep; and what the transactions of a process have
// seen of queues, which tells how the next ones begin.
import { isWideOpen } from '../store/opening.ts'
import { Again } from './again.ts'
import type { Value } from './client.ts'
import { enter, gateOf, look, type Gate, type GateRow } from './gate.ts'
import type { Names } from './names.ts'

/** What the last transactions of a process have seen; shared by them. */
export interface Seen {
  /** Queues that are ruled. */
  readonly ruled: Set<number>
  /** Queues of which something is closed, or may be. */
  readonly narrow: Set<number>
  /** There were suspects, somewhere. */
  suspects: boolean
}

/** The transaction. */
interface Asking {
  readonly now: number
  readonly names: Names
  one<T>(sql: string, ...values: Value[]): Promise<T | undefined>
  passTo(now: number): void
}

export interface GatesOptions {
  readonly seen: Seen
  /** Nothing is locked. */
  readonly isLook: boolean
  readonly learnt: ReadonlyMap<number, boolean>
}

export class Gates {
  readonly #asking: Asking
  readonly #seen: Seen
  readonly #isLook: boolean
  /** What an attempt before has found out that it needs: entered with the first, `true` for alone. */
  #learnt: ReadonlyMap<number, boolean>
  readonly #gates = new Map<number, Promise<Gate>>()
  /** Whether it is alone in them. */
  readonly #locks = new Map<number, boolean>()

  constructor(asking: Asking, { seen, isLook, learnt }: GatesOptions) {
    this.#asking = asking
    this.#seen = seen
    this.#isLook = isLook
    this.#learnt = learnt
  }

  /**
   * What lets jobs of a queue out. From here on nobody else changes its settings; in a ruled queue, or `alone`, nobody else
   * works on its jobs at all.
   */
  of(queue: number, alone = false): Promise<Gate> {
    if (this.#learnt.size > 0) return this.enter(new Map([[queue, alone]])).then(() => this.of(queue, alone))
    const known = this.#gates.get(queue)
    if (known !== undefined && (!alone || this.#locks.get(queue) === true)) return known
    const gate = this.#isLook ? this.#look(queue) : this.#enter(queue, alone)
    this.#gates.set(queue, gate)
    return gate
  }

  /** Enters queues in the one order that all transactions keep. */
  async enter(queues: ReadonlyMap<number, boolean>): Promise<void> {
    const all = joined(this.#learnt, queues)
    this.#learnt = new Map()
    const inTheirOrder = [...all.keys()].sort((a, b) => a - b)
    await Promise.all(inTheirOrder.map((queue) => this.of(queue, all.get(queue))))
  }

  /** Whether all of these are entered: what was read since then still holds. */
  areIn(queues: ReadonlyMap<number, boolean>): boolean {
    return [...queues].every(([queue, alone]) => this.#locks.has(queue) && (!alone || this.#locks.get(queue) === true))
  }

  /** Its settings have changed. */
  forget(queue: number): void {
    this.#gates.delete(queue)
  }

  /** Whether the head of a queue is claimed by whoever reads it, as far as is known. */
  mayReadAhead(queue: number): boolean {
    return this.#locks.get(queue) === false && !this.#seen.narrow.has(queue) && !this.#seen.suspects
  }

  noteSuspects(areThere: boolean): void {
    this.#seen.suspects = areThere
  }

  async #look(queue: number): Promise<Gate> {
    const row = await this.#asking.one<GateRow>(look, queue, this.#asking.now)
    // Its name became known after this look began.
    if (row === undefined) throw new Again()
    return gateOf(queue, row)
  }

  async #enter(queue: number, alone: boolean): Promise<Gate> {
    const { ruled, narrow } = this.#seen
    const isAlone = this.#locks.get(queue)
    const wantsAlone = alone || ruled.has(queue) || isAlone === true
    // A lock is never made stronger, nor taken out of order: two who do so would wait for each other.
    const isInOrder =
      isAlone === undefined ? [...this.#locks.keys()].every((other) => other < queue) : !wantsAlone || isAlone
    if (!isInOrder) throw this.#again(queue, wantsAlone)
    // It is there before anything that is asked from here on.
    this.#locks.set(queue, wantsAlone)
    const row = (await this.#asking.one<GateRow & { readonly now: number }>(enter, queue, wantsAlone))!
    this.#asking.passTo(row.now)
    const gate = gateOf(queue, row)
    this.#asking.names.queue.remember(queue, gate.name)
    if (isWideOpen(gate)) narrow.delete(queue)
    else narrow.add(queue)
    if (!gate.isRuled) ruled.delete(queue)
    else if (!wantsAlone) {
      ruled.add(queue)
      throw this.#again(queue, true)
    }
    return gate
  }

  #again(queue: number, alone: boolean): Again {
    return new Again(new Map(this.#locks).set(queue, alone || this.#locks.get(queue) === true))
  }
}

const joined = (one: ReadonlyMap<number, boolean>, other: ReadonlyMap<number, boolean>): Map<number, boolean> => {
  const all = new Map(one)
  for (const [queue, alone] of other) all.set(queue, alone || all.get(queue) === true)
  return all
}
