// A queue as operators see it, and what a job with a key waits for there.
import { noLimits, type QueueLimits, type QueueSettings, type RateFill } from '../core/limit.ts'
import type { State } from '../core/states.ts'

/** What a ready job with a key waits for, beside what its queue waits for. */
export interface KeyLine {
  /** No other job of the key comes before it. */
  readonly isNext: boolean
  /** Jobs of the key that run. */
  readonly running: number
  /** A handler held the key back until then; `null`: it is not. */
  readonly heldUntil: number | null
  /** When its rate lets the key go on; `null`: it does not stop it. */
  readonly rateOpensAt: number | null
  /** In a queue with ordered keys, the job that has to end first; `null`: none. */
  readonly turnOf: string | null
}

export interface QueueRecord {
  readonly queue: string
  readonly paused: boolean
  /** New jobs are taken. */
  readonly accepting: boolean
  readonly limits: QueueLimits
  /** What is left of its rates, by level for those of levels. */
  readonly fill: { readonly rate: RateFill | null; readonly rates: Readonly<Record<number, RateFill>> }
  /** A handler held it back until then; `null`: it is not. */
  readonly heldUntil: number | null
  /** Types that a handler held back in this queue, and until when; by name. */
  readonly heldTypes: Readonly<Record<string, number>>
  readonly counts: Readonly<Record<State, number>>
  /** When the job at the head became ready. */
  readonly oldestReadyAt: number | null
}

/** `undefined` when it has never had a job or a setting. */
export const findQueue = async (
  store: { readonly queues: () => Promise<readonly QueueRecord[]> },
  name: string,
): Promise<QueueRecord | undefined> => (await store.queues()).find(({ queue }) => queue === name)

/** All settings of a queue, to be set anew. */
export const settingsOf = ({ paused, accepting, limits }: QueueRecord): Required<QueueSettings> => ({
  paused,
  accepting,
  ...limits,
})

/** What is true of a queue that nobody has limited. */
export const unlimited: Pick<QueueRecord, 'accepting' | 'limits' | 'fill' | 'heldUntil' | 'heldTypes'> = {
  accepting: true,
  limits: noLimits,
  fill: { rate: null, rates: {} },
  heldUntil: null,
  heldTypes: {},
}
