// What promote has to do in the reference store beside due jobs: instants at which something closed opens, and queues whose
// keys are to be looked at again. What is closed, and until when: model-limits.ts.

/** Something of a queue that closes and opens: its rate, that of a level or key; the queue or a type that is held back. */
export interface Gate {
  readonly queue: string
  readonly of: 'rate' | 'level' | 'key' | 'hold' | 'type'
  /** The level, key or type; empty where it is the queue. */
  readonly name: string
}

interface Alarm extends Gate {
  readonly at: number
}

interface Review {
  readonly since: number
  /** The last key that was looked at. */
  after: string | null
}

const order = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

export const idOf = ({ queue, of, name }: Gate): string => JSON.stringify([queue, of, name])

export class ModelAlarms {
  /** By gate. */
  readonly noted: Map<string, Alarm> = new Map()
  /** By queue. */
  readonly reviews: Map<string, Review> = new Map()

  /** One alarm for each gate: whoever sets it knows when that opens. */
  note(gate: Gate, at: number): void {
    this.noted.set(idOf(gate), { ...gate, at })
  }

  /** Takes out what is due: the earliest first, at one instant by queue and name. */
  take(limit: number, now: number): readonly Gate[] {
    const due = [...this.noted.values()]
      .filter(({ at }) => at <= now)
      .sort((a, b) => a.at - b.at || order(a.queue, b.queue) || order(a.name, b.name))
      .slice(0, limit)
    for (const alarm of due) this.noted.delete(idOf(alarm))
    return due
  }

  review(queue: string, now: number): void {
    this.reviews.set(queue, { since: now, after: null })
  }

  /** The keys to look at now, by name, at most `limit`; `keysOf` names those of a queue that have a line. */
  reviewed(limit: number, keysOf: (queue: string) => readonly string[]): readonly (readonly [string, string])[] {
    const seen: [string, string][] = []
    for (const [queue, review] of [...this.reviews].sort(([a], [b]) => order(a, b))) {
      const rest = [...keysOf(queue)].sort(order).filter((key) => review.after === null || key > review.after)
      const now = rest.slice(0, limit - seen.length)
      seen.push(...now.map((key): [string, string] => [queue, key]))
      if (now.length === rest.length) this.reviews.delete(queue)
      else review.after = now.at(-1) ?? review.after
    }
    return seen
  }

  /** `Infinity` when nothing is to be done. */
  nextAt(): number {
    const reviews = [...this.reviews.values()].map(({ since }) => since)
    return Math.min(...[...this.noted.values()].map(({ at }) => at), ...reviews)
  }
}
