// The unique keys of the reference store: who holds which until when, and which enqueues have replaced what a holder is to
// do. What that means for a job is the model's.
import { rememberMs } from '../core/retention.ts'
import type { Unique } from '../store/records.ts'

interface Holding {
  readonly id: string
  /** `null`: until it is freed. */
  readonly until: number | null
}

export interface Replacement {
  readonly type: string
  readonly holder: string
  readonly forgetAt: number
}

interface Owner {
  readonly id: string
  readonly type: string
  readonly unique: Unique | null
}

const nameOf = (type: string, { key }: Unique): string => `${type} ${key}`

export class ModelKeys {
  /** A holding for a time outlives its job. */
  readonly held: Map<string, Holding> = new Map()
  /** By the id of the enqueue that replaced. */
  readonly replacements: Map<string, Replacement> = new Map()

  holder(type: string, unique: Unique, now: number): string | undefined {
    const holding = this.held.get(nameOf(type, unique))
    return holding && (holding.until === null || holding.until > now) ? holding.id : undefined
  }

  take({ id, type, unique }: Owner, now: number): void {
    if (unique) this.held.set(nameOf(type, unique), { id, until: 'forMs' in unique ? now + unique.forMs : null })
  }

  /** Another job's holding of the same key stays. */
  free({ id, type, unique }: Owner): void {
    if (unique && this.held.get(nameOf(type, unique))?.id === id) this.held.delete(nameOf(type, unique))
  }

  /** An enqueue that is sent again must not replace again. */
  remember(id: string, type: string, holder: string, now: number): void {
    this.replacements.set(id, { type, holder, forgetAt: now + rememberMs })
  }

  prune(now: number): void {
    for (const [id, { forgetAt }] of this.replacements) if (forgetAt <= now) this.replacements.delete(id)
  }
}
