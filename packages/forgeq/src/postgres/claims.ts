// Where the jobs are that workers of this process hold, so that nobody has to look for them when they complete (hand-over.ts).
// It is a memory, not a record: what has become of them since is for the server to say.
import { unpackPolicy } from '../store/policy-text.ts'

/** A claim on a job that has no key and no unique key. */
export interface Held {
  readonly job: string
  readonly queue: number
  readonly lane: number
  readonly seq: number
  readonly claim: number
  /** In which exchange. */
  readonly turn: number
  /** How long its result is kept. */
  readonly keepMs: number
}

interface Row {
  readonly id: string
  readonly lane: number
  readonly seq: number
  readonly policy: string | null
}

/** Of a row that was claimed, in a queue, under a claim of a turn. */
export const heldOf = (
  { id, lane, seq, policy }: Row,
  { queue, claim, turn }: Pick<Held, 'queue' | 'claim' | 'turn'>,
): Held => ({ job: id, queue, lane, seq, claim, turn, keepMs: unpackPolicy(policy).keepResultMs })

export class Claims {
  readonly #held = new Map<string, Map<string, Held>>()

  add(worker: string, claims: Iterable<Held>): void {
    let held = this.#held.get(worker)
    if (held === undefined) this.#held.set(worker, (held = new Map()))
    for (const claim of claims) held.set(claim.job, claim)
  }

  /** What is known of a job that a worker settles now: once. */
  take(worker: string, job: string): Held | undefined {
    const held = this.#held.get(worker)
    const claim = held?.get(job)
    held?.delete(job)
    return claim
  }

  /** A worker that holds nothing any more. */
  forget(worker: string): void {
    this.#held.delete(worker)
  }
}
