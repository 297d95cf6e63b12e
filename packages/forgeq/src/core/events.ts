// What the engine announces while it runs: names and payloads. Logs and users listen; nothing depends on them.
import type { DeadReason, Failure, LogLine } from '../store/records.ts'
import type { ForgeError } from './errors.ts'
import type { Isolation } from './policy.ts'

/** One try of one job. */
export interface JobEvent {
  readonly id: string
  readonly type: string
  readonly queue: string
  readonly attempt: number
  readonly worker: string
}

interface Tried extends JobEvent {
  /** From the start of the handler to its end. */
  readonly durationMs: number
}

/** Event name -> payload. */
export interface EngineEvents {
  /** `waitedMs`: since the job was enqueued. */
  'job:started': JobEvent & { readonly waitedMs: number }
  'job:completed': Tried
  /** Runs again after `delayMs`; `error` is `null` when the handler asked for it without one. */
  'job:retried': Tried & {
    readonly delayMs: number
    readonly error: Failure | null
    /** The try used up an attempt. */
    readonly counted: boolean
  }
  'job:dead': Tried & { readonly reason: DeadReason; readonly error: Failure }
  'job:cancelled': Tried
  /** Handed back unharmed at shutdown. */
  'job:released': JobEvent
  /** Its worker died or stalled, or the isolated child that ran it died; `dead` when that was once too often. */
  'job:crashed': JobEvent & { readonly dead: DeadReason | null; readonly error: Failure }
  /** Its handler ignores the abort and still runs; the try was settled without it. */
  'job:stuck': Tried & {
    readonly isolation: Isolation
    /** How many handlers of this worker do so now. */
    readonly stuck: number
  }
  /** A line that a handler wrote to its log: its first 16,384 characters. */
  'job:log': JobEvent & Pick<LogLine, 'level' | 'message'>
  /** An isolated child died after its job had ended, which keeps its outcome. The job is the last one it ran. */
  'child:died': Pick<JobEvent, 'id' | 'type' | 'worker'> & { readonly error: Failure }
  'worker:started': { readonly worker: string; readonly queues: readonly string[]; readonly slots: number }
  /** `stopped`: its record in the store is closed. `lost`: its lease ran out, what it held runs elsewhere, and it registers anew. */
  'worker:closed': { readonly worker: string; readonly reason: 'stopped' | 'lost' }
  'store:down': { readonly error: ForgeError }
  'store:up': { readonly downMs: number }
}

export type EngineListener<E extends keyof EngineEvents> = (payload: EngineEvents[E]) => void
