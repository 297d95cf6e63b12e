// What the processes of a torture run write down, and what is read when all is over. The checker knows nothing else.
import type { QueueSettings, Scope } from '#src/core/limit.js'
import type { QueueRecord } from '#src/store/queue-record.js'
import type { JobRecord, Unique } from '#src/store/records.js'
import type { WorkerRecord } from '#src/store/worker-record.js'
import type { Outcome } from '#src/core/states.js'

/** A job as it was sent to the store, by a producer or with the completion of another job. */
export interface Sent {
  readonly id: string
  readonly type: string
  readonly queue: string
  readonly priority: number
  readonly payload: string
  readonly maxAttempts: number
  readonly once: boolean
  readonly delayMs?: number | undefined
  readonly expireMs?: number | undefined
  readonly unique?: Unique | undefined
  /** Who holds the unique key and waits does this instead. */
  readonly replaces?: boolean | undefined
  readonly key?: string | undefined
}

export interface Settled {
  readonly job: string
  readonly claim: number
  readonly outcome: Outcome
  readonly delayMs?: number | undefined
  readonly followUps?: readonly Sent[] | undefined
  readonly holdBack?: Scope | undefined
  /** Whom a rescuer settles for. */
  readonly worker?: string | undefined
}

export interface Taken {
  readonly job: string
  readonly claim: number
  readonly payload: string
}

export type Fact =
  /** `at`, where it is told: store time, read before it was sent. */
  | { readonly e: 'enqueue'; readonly op: number; readonly job: Sent; readonly at?: number | undefined }
  | {
      readonly e: 'enqueued'
      readonly op: number
      readonly id: string
      readonly duplicate: boolean
      readonly replaced?: boolean
    }
  | { readonly e: 'cancel'; readonly id: string }
  /** `was`: the state it was left in, `refused` when it could not be cancelled. */
  | { readonly e: 'cancelled'; readonly id: string; readonly was: 'cancelled' | 'running' | 'refused' }
  /** `at` is store time: read after the pause was acknowledged, before the resumption is asked for. */
  | { readonly e: 'paused'; readonly queue: string; readonly at: number }
  | { readonly e: 'resuming'; readonly queue: string; readonly at: number }
  /** An operator changes what limits a queue: store time before it is asked for, and after it was acknowledged. */
  | { readonly e: 'limiting'; readonly queue: string; readonly settings: QueueSettings; readonly at: number }
  | { readonly e: 'limited'; readonly queue: string; readonly settings: QueueSettings; readonly at: number }
  /**
   * An operation of a producer failed; a code that leaves it open whether it was done says so. `at`, where it is told: store
   * time, read afterwards.
   */
  | { readonly e: 'op-failed'; readonly op: number; readonly code: string; readonly at?: number | undefined }
  | { readonly e: 'op-done'; readonly op: number }
  | { readonly e: 'registered'; readonly worker: string; readonly pid: number }
  | { readonly e: 'lease-lost'; readonly worker: string }
  | { readonly e: 'exchange'; readonly worker: string; readonly turn: number; readonly settlements: readonly Settled[] }
  | {
      readonly e: 'exchanged'
      readonly worker: string
      readonly turn: number
      readonly closed: boolean
      /** In the order of the settlements that were sent. */
      readonly settlements: readonly Settled[]
      readonly verdicts: readonly string[]
      readonly claimed: readonly Taken[]
    }
  | { readonly e: 'rescue'; readonly settlements: readonly Settled[] }
  | { readonly e: 'rescued'; readonly settlements: readonly Settled[]; readonly verdicts: readonly string[] }
  | {
      readonly e: 'start'
      readonly job: string
      readonly claim: number
      /** The worker process; an isolated handler may be in another one. */
      readonly home: number
      readonly payload: string
    }
  /** A handler that lets nothing else run is still at it. */
  | { readonly e: 'sign'; readonly job: string; readonly claim: number }
  | { readonly e: 'effect'; readonly job: string; readonly claim: number }
  | { readonly e: 'abort'; readonly job: string; readonly claim: number; readonly code: string }
  | { readonly e: 'end'; readonly job: string; readonly claim: number }
  /** A process ended, seen by its supervisor or by the runner. */
  | { readonly e: 'died'; readonly pid: number; readonly how: string }
  /** The runner, or a failpoint, did something to a process; `ms` is how long it lasted. */
  | { readonly e: 'fault'; readonly kind: string; readonly pid: number; readonly ms: number }

export type Event = Fact & {
  /** Milliseconds of the monotonic clock, which all processes of a machine share. */
  readonly t: number
  readonly pid: number
  /** Of that process; absent: its main thread. */
  readonly thread?: number
}

/** What the store holds when all is over. */
export interface Final {
  /** Store time. */
  readonly now: number
  readonly jobs: readonly JobRecord[]
  readonly queues: readonly QueueRecord[]
  readonly workers: readonly WorkerRecord[]
  /** What lies around in the store although every job has ended, found by looking into it from outside. */
  readonly leftovers: readonly string[]
  readonly isDrained: boolean
}

export interface History {
  readonly events: readonly Event[]
  readonly final: Final
}

export interface Violation {
  readonly invariant: string
  readonly message: string
}
