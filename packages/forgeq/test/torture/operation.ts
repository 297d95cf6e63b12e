// What a producer of a torture run does, one thing at a time.
import type { Priority, UniqueRule } from 'forgeq'
import type { QueueSettings } from '#src/core/limit.js'
import type { Kind, Load } from './workload.ts'

export interface EnqueueOp {
  readonly do: 'enqueue'
  readonly kind: Kind
  readonly load: Load
  readonly queue: string
  readonly priority: Priority
  readonly delayMs?: number
  readonly expireMs?: number
  readonly unique?: Exclude<UniqueRule, string>
  readonly key?: string
}

/** An operation of a producer, `at` ms after its start. */
export type Op = { readonly at: number } & (
  | EnqueueOp
  /** The job that operation `op` of the same producer enqueued. */
  | { readonly do: 'cancel'; readonly op: number }
  | { readonly do: 'pause'; readonly queue: string; readonly ms: number }
  | { readonly do: 'limit'; readonly queue: string; readonly settings: QueueSettings }
)
