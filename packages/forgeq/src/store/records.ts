// What crosses the seam: plain data, JSON texts kept opaque, instants as epoch milliseconds of the store's clock.
import type { BackoffPlan } from '../core/backoff.ts'
import type { Problem } from '../core/errors.ts'
import type { Scope } from '../core/limit.ts'
import type { Outcome, State } from '../core/states.ts'
import type { KeyLine } from './queue-record.ts'
import type { ProcessEnd, WorkerEnd } from './worker-record.ts'

/** A policy as numbers: resolved when the job is enqueued and stored with it. */
export interface StoredPolicy {
  readonly queue: string
  /** 0..9, 0 runs first. */
  readonly priority: number
  /** Tries in all. */
  readonly maxAttempts: number
  /** Per claim; 0 = none. */
  readonly timeoutMs: number
  readonly backoff: BackoffPlan
  /** How long the record and result of a completed job are kept. */
  readonly keepResultMs: number
  readonly delivery: 'at-least-once' | 'at-most-once'
}

export interface NewJob {
  /** UUIDv7 made by the client before the first send. */
  readonly id: string
  readonly type: string
  readonly payload: string
  /** Jobs of one call may share one policy object: it then crosses threads once. */
  readonly policy: StoredPolicy
  readonly delayMs?: number
  /** Absolute start; the later one of `runAt` and `delayMs` counts. */
  readonly runAt?: number
  /** Ends cancelled when it has not started this long after it was enqueued. */
  readonly expireMs?: number
  readonly unique?: NewUnique
  /** Partition of its queue for limits, order and fairness. */
  readonly key?: string
  readonly tags?: readonly string[]
}

/**
 * A key that at most one job of the type holds. `done`: until the job has ended · `start`: until it is claimed · `forMs`: so
 * long from its enqueue, whatever becomes of it, unless it is cancelled, expires or is deleted.
 */
export type Unique =
  | { readonly key: string; readonly until: 'done' | 'start' }
  | { readonly key: string; readonly forMs: number }

/**
 * What happens when another job holds the key. `keep`: nothing · `replace`: a holder that is ready or scheduled does the
 * work of this enqueue instead of its own, with nothing kept but its id, its counters and its hold; any other is kept ·
 * `error`: refused.
 */
export type NewUnique = Unique & { readonly onConflict: 'keep' | 'replace' | 'error' }

export interface Refusal {
  /** `BATCH_REFUSED`: nothing is wrong with this job, another one of the same atomic call was refused. */
  readonly code: 'ID_CONFLICT' | 'INVALID_ID' | 'UNIQUE_CONFLICT' | 'QUEUE_FULL' | 'QUEUE_CLOSED' | 'BATCH_REFUSED'
  readonly message: string
  /** With `UNIQUE_CONFLICT`: the job that holds the key. */
  readonly holder?: string
}

/** `id` is that of the stored job: with `duplicate` it may be the holder of the unique key. */
export type Enqueued =
  | {
      readonly id: string
      readonly duplicate: boolean
      /** The holder does what this enqueue asked for. */
      readonly replaced?: true
    }
  | { readonly id: string; readonly refused: Refusal }

/** One handing-out of a job: the fence that every write for a running job carries. */
export interface Hold {
  readonly job: string
  readonly claim: number
}

/** What went wrong in one try, bounded to 16 KiB by the worker. */
export interface Failure {
  /** `HANDLER_ERROR`, `TIMEOUT`, `INVALID_INPUT`, `WORKER_LOST`, ... */
  readonly code: string
  readonly name: string
  readonly message: string
  readonly stack?: string
  readonly problems?: readonly Problem[]
  /** With `CHILD_LOST`, and with `WORKER_LOST` when somebody saw the process end; `rssBytes`: of its memory, when it last told. */
  readonly process?: ProcessEnd & { readonly rssBytes: number | null }
}

export type DeadReason = 'exhausted' | 'discarded' | 'invalid' | 'poison' | 'lost'

interface Ending<O extends Outcome> extends Hold {
  readonly outcome: O
}

/** For that time no job of the same key, of the same type in this queue, or of the queue is handed out. */
export interface HoldBack {
  readonly scope: Scope
  readonly forMs: number
}

/** How a claim ends. Core decides which one it is; the store carries it out under the fence. */
export type Settlement =
  | (Ending<'complete'> & { readonly result: string | null; readonly followUps?: readonly NewJob[] })
  | (Ending<'retry'> & { readonly delayMs: number; readonly error: Failure })
  | (Ending<'snooze'> & { readonly delayMs: number; readonly error: Failure | null; readonly holdBack?: HoldBack })
  | Ending<'release'>
  | (Ending<'bury'> & { readonly reason: DeadReason; readonly error: Failure; readonly holdBack?: HoldBack })
  | (Ending<'cancel'> & { readonly error: Failure | null })
  /** Raises the crash count; without `bury` the job is ready again in the front lane. */
  | (Ending<'crash'> & { readonly error: Failure; readonly bury?: DeadReason })

/**
 * `applied`: done now or earlier by this same claim · `cancelled`: the claim ended, but the job was marked cancelled and
 * ended so · `lost`: the claim was stale and nothing changed.
 */
export type Verdict = 'applied' | 'cancelled' | 'lost'

export interface Want {
  readonly queue: string
  readonly slots: number
}

export interface Claimed extends Hold {
  readonly type: string
  readonly payload: string
  readonly attempt: number
  /** Attempts used up before the last retry by hand: backoff counts from there. */
  readonly attemptBase: number
  readonly crashes: number
  readonly createdAt: number
  /** `maxAttempts` includes `attemptBase`. */
  readonly policy: StoredPolicy
}

export interface LogLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error'
  readonly message: string
  /** How long before the write it was made; the store turns it into its own time. */
  readonly ageMs: number
}

export interface Progress {
  readonly done: number
  readonly total?: number
  readonly label?: string
}

/** Progress and logs of a running job; fenced like a settlement, silently dropped when stale. */
export interface Note extends Hold {
  readonly progress?: Progress
  readonly logs?: readonly LogLine[]
}

export type Order =
  | (Hold & { readonly order: 'cancel' })
  /** Work with so many slots. Comes with beats, until their facts say that it does. */
  | { readonly order: 'resize'; readonly slots: number }

export interface ExchangeRequest {
  readonly worker: string
  /** Strictly rising per worker. The last turn again gives the same answer, an older one is refused. */
  readonly turn: number
  readonly settlements: readonly Settlement[]
  /** In the order in which queues are served, each queue once. */
  readonly wants: readonly Want[]
  /** Claims at most in all. */
  readonly slots: number
  /**
   * How it takes suspects, ready jobs whose crash count is not 0. `together` (also when absent): as any other job; for a
   * worker whose handlers cannot take each other along. `apart`: when there are some, as many as fit and nothing else; for
   * a worker whose suspects cannot take each other along, but its other jobs could. `alone`: when there is one, the first
   * of them and nothing else. `skip`: none, and what is behind them is handed out. While the worker holds other jobs,
   * `apart` and `alone` are as `skip`. One that holds a suspect gets nothing but more of them `apart`, unless it takes
   * them together.
   */
  readonly suspects?: 'together' | 'apart' | 'alone' | 'skip'
  /** Of the slots, so many at most for suspects that are taken apart. Default: all. */
  readonly suspectSlots?: number
  readonly notes: readonly Note[]
  /**
   * Without anything to claim, the store may answer late: when there is something, at the latest with the worker's next
   * beat. For a worker that has nothing else to tell.
   */
  readonly waits?: boolean
}

export interface ExchangeReply {
  readonly closed: false
  /** In the order of the settlements. */
  readonly verdicts: readonly Verdict[]
  readonly claimed: readonly Claimed[]
  readonly orders: readonly Order[]
  /** Suspects that this worker could run are left in the queues it wants from, and it does not take them together. */
  readonly suspects: boolean
  /** It stopped before it had looked at every job it could claim, to stay bounded: ask again. */
  readonly more: boolean
  /** When the next scheduled job is due, `null` when none is. */
  readonly nextDueAt: number | null
  readonly now: number
}

/** The worker's record is closed: nothing was changed, whatever it held is lost to it, it must register anew. */
export interface Closed {
  readonly closed: true
}

export interface BeatReply {
  readonly closed: false
  readonly orders: readonly Order[]
  readonly now: number
}

export interface TypeRecord {
  readonly type: string
  readonly policy: StoredPolicy
  /** JSON Schema of the input as JSON text, `null` when the schema library offers none. */
  readonly inputSchema: string | null
}

export interface Registration {
  /** New at every start. */
  readonly id: string
  readonly host: string
  readonly pid: number
  /** Where `pid` means this process and no other: one boot of one machine, one space of process ids; `null`: not known. */
  readonly pidSpace: string | null
  readonly version: string
  readonly queues: readonly string[]
  readonly types: readonly TypeRecord[]
  readonly slots: number
  readonly leaseMs: number
  /** The store itself beats for this worker, from a thread that a blocked event loop does not stop. */
  readonly keepAlive: boolean
}

/** A job held by a closed worker: what core needs to decide how it goes on. */
export interface LostJob extends Hold {
  readonly type: string
  readonly worker: string
  readonly crashes: number
  readonly attempt: number
  readonly attemptBase: number
  readonly policy: StoredPolicy
  /** When it was claimed. */
  readonly startedAt: number
  readonly host: string
  readonly pid: number
  /** Of the worker's memory, when it last told. */
  readonly rssBytes: number | null
  /** What was said when the worker left; whoever rescues the job decides by it. */
  readonly end: WorkerEnd | null
}

export interface AttemptRecord {
  readonly claim: number
  readonly attempt: number
  readonly outcome: Outcome
  readonly worker: string
  readonly startedAt: number
  readonly endedAt: number
  readonly error: Failure | null
}

export interface LogRecord {
  readonly at: number
  readonly claim: number
  readonly level: LogLine['level']
  readonly message: string
}

/** What of a job is read only when asked for. */
export type Include = 'attempts' | 'logs' | 'line'

export interface JobRecord {
  readonly id: string
  readonly type: string
  readonly state: State
  readonly policy: StoredPolicy
  readonly payload: string
  readonly result: string | null
  /** Why it is dead or cancelled: a `DeadReason`, `cancelled` or `expired`. */
  readonly reason: string | null
  /** Of the last try that failed. */
  readonly error: Failure | null
  readonly progress: Progress | null
  readonly claim: number
  /** Failures and timeouts so far plus one. */
  readonly attempt: number
  readonly crashes: number
  readonly createdAt: number
  readonly runAt: number
  readonly startedAt: number | null
  readonly finishedAt: number | null
  /** A completed job's result is readable until then; afterwards `result` is `null`. */
  readonly resultUntil: number | null
  readonly expireAt: number | null
  /** Worker id, while running. */
  readonly worker: string | null
  readonly cancelRequested: boolean
  readonly tags: readonly string[]
  readonly unique: Unique | null
  readonly key: string | null
  /** Present when asked for, of a ready job with a key. */
  readonly line?: KeyLine
  /** Present when asked for; the last 20, oldest first. */
  readonly attempts?: readonly AttemptRecord[]
  readonly logs?: readonly LogRecord[]
}

export interface JobFilter {
  readonly state?: State
  readonly queue?: string
  readonly type?: string
  readonly tag?: string
}

/** A page may be short, even empty, while `cursor` is set: the scan is bounded, and so are the characters of a page. */
export interface JobPage {
  readonly jobs: readonly JobRecord[]
  /** `null` when nothing is left behind this page, as far as the scan reached. */
  readonly cursor: string | null
  readonly scanned: number
}

export type ActRequest =
  | { readonly action: 'cancel'; readonly ids: readonly string[] }
  /** Ready again with a fresh set of tries; takes its unique key again, for as long as it was enqueued with. */
  | { readonly action: 'retry'; readonly ids: readonly string[]; readonly payload?: string }
  | { readonly action: 'delete'; readonly ids: readonly string[] }
  | { readonly action: 'promote'; readonly ids: readonly string[] }

export type ActVerdict =
  | { readonly id: string; readonly done: true; readonly state: State | 'gone' }
  | { readonly id: string; readonly done: false; readonly code: 'NOT_FOUND' }
  | { readonly id: string; readonly done: false; readonly code: 'STATE_CONFLICT'; readonly state: State }
  | { readonly id: string; readonly done: false; readonly code: 'UNIQUE_CONFLICT'; readonly holder: string }
