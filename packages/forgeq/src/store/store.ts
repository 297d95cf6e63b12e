// THE SEAM: what a store must be able to do, in queue verbs, every call bounded and safe to repeat.
// A store makes atomic what it is told and decides nothing; what follows from an outcome is decided in core/.
import type { QueueSettings } from '../core/limit.ts'
import type { ImagePage, Images, Loaded } from './moved.ts'
import type { QueueRecord } from './queue-record.ts'
import type {
  ActRequest,
  ActVerdict,
  BeatReply,
  Closed,
  Enqueued,
  ExchangeReply,
  ExchangeRequest,
  Include,
  JobFilter,
  JobPage,
  JobRecord,
  LostJob,
  NewJob,
  Note,
  Registration,
  Settlement,
  TypeRecord,
  Verdict,
} from './records.ts'
import type { WorkerEnd, WorkerFacts, WorkerRecord } from './worker-record.ts'

/** At most this many jobs, settlements or ids a call; callers chunk. */
export const batchLimit = 1000

/** A page of jobs ends with the one that brings it to this many characters, counted by `charsOf`. */
export const pageChars: number = 8 * 1024 * 1024

/** What a job adds to its page: its payload and result. All else in it is small. */
export const charsOf = ({ payload, result }: Pick<JobRecord, 'payload' | 'result'>): number =>
  payload.length + (result?.length ?? 0)

export interface StoreInfo {
  readonly kind: string
  /** Version of the server or library behind the store. */
  readonly version: string
  readonly now: number
  /** What survives power loss, in words for people. */
  readonly durability: string
  readonly capabilities: readonly Capability[]
  /** Problems that do not stop it, each with what to do. */
  readonly problems: readonly string[]
}

/**
 * `notify`: hints arrive without polling · `shared`: several processes may work on it.
 */
export type Capability = 'notify' | 'shared'

export interface Migration {
  readonly version: number
  readonly target: number
  /** Names of the steps applied, or to apply. */
  readonly steps: readonly string[]
}

/** What the `listen` side hears; `ready:` is a queue, `ended:` a job, `orders:` a worker. */
export type Topic = `ready:${string}` | `ended:${string}` | `orders:${string}` | 'due'

export interface EnqueueHow {
  readonly atomic: boolean
  readonly withinMs?: number
}

export interface Store {
  /**
   * Connects, checks versions and durability, migrates an empty store. Repeatable; calls before it open by themselves. `making` is
   * called when its schema is made, or somebody who makes it is waited for: the store is there, and needs more time than usual.
   */
  open(making?: () => void): Promise<StoreInfo>
  /** `plan` says what `apply` would do; a store that is not there is not made. */
  migrate(mode: 'plan' | 'apply'): Promise<Migration>
  /**
   * Where the schema is not what its migrations make, each with what to do, or why that was not found out. For people who ask:
   * it may take a while, and changes nothing.
   */
  drift(): Promise<readonly string[]>
  close(): Promise<void>

  /**
   * All or none when `atomic`; otherwise each job has its own answer. The same id again is a duplicate, never a second job,
   * and where it has replaced the work of another job it has the same answer again and replaces nothing. `withinMs`: who
   * waits so long has given up; a store that can end the call by then should, and say what is known of its outcome.
   */
  enqueue(jobs: readonly NewJob[], options: EnqueueHow): Promise<readonly Enqueued[]>

  register(worker: Registration): Promise<{ readonly now: number }>
  /** Settles what ended and claims what fits, in one atomic step. One at a time per worker. */
  exchange(request: ExchangeRequest): Promise<ExchangeReply | Closed>
  beat(worker: string, facts: WorkerFacts | null, notes: readonly Note[]): Promise<BeatReply | Closed>
  /**
   * Closes the worker's record, by itself or by its supervisor, who may have seen the process end: the first who says so is
   * believed. What it holds comes back by rescue.
   */
  leave(worker: string, end?: WorkerEnd): Promise<void>

  /** Closes expired leases (never within one lease after an outage) and lists jobs held by closed workers. */
  lost(limit: number): Promise<{ readonly jobs: readonly LostJob[]; readonly nextExpiryAt: number | null }>
  /** Settles for closed workers. Fenced, so racing rescuers are harmless. */
  settle(settlements: readonly (Settlement & { readonly worker: string })[]): Promise<readonly Verdict[]>
  /**
   * Moves due jobs into their lanes, ends expired ones, and looks at what was closed until now; `moved` counts all of them.
   * `nextDueAt` <= now means there is more.
   */
  promote(limit: number): Promise<{ readonly moved: number; readonly nextDueAt: number | null }>
  /** Deletes ended jobs whose time is over, and forgets which enqueues have replaced the work of others. */
  prune(limit: number): Promise<{ readonly removed: number; readonly more: boolean }>

  /** Orders a worker to work with so many slots; false when no open worker has this id. */
  setWorker(worker: string, settings: { readonly slots: number }): Promise<boolean>
  /**
   * Holds at once, for all workers. Windows know the starts since their rate was set. When the limits of keys change, those
   * of keys that wait are looked at by the next `promote` calls.
   */
  setQueue(queue: string, settings: QueueSettings): Promise<void>
  queues(): Promise<readonly QueueRecord[]>
  workers(): Promise<readonly WorkerRecord[]>
  /** What workers announced about types, of all or of the named ones. */
  types(names?: readonly string[]): Promise<readonly TypeRecord[]>

  /** In the order of `ids`; unknown ids are left out. */
  jobs(ids: readonly string[], include?: readonly Include[]): Promise<readonly JobRecord[]>
  find(filter: JobFilter, cursor: string | null, limit: number): Promise<JobPage>
  act(request: ActRequest): Promise<readonly ActVerdict[]>

  /**
   * All that there is, for another store to load, page by page, `cursor` from the page before; running jobs are left out. Of
   * a store that others work on meanwhile, a page tells how it was when that page was read.
   */
  dump(cursor: string | null, limit: number): Promise<ImagePage>
  /**
   * Takes in what a store has dumped, each job as it was there: to be claimed, promoted, expired and pruned as it would have
   * been there. Into a store whose own jobs are all from there, for order is kept by number. A job whose id is there already is
   * left as it is. Pages may come in any order, and again; limits of queues are set before. No call names anything twice.
   */
  load(images: Images): Promise<readonly Loaded[]>

  /** Hints, never truth: may come twice, late or not at all. */
  listen(topics: readonly Topic[], fn: (topic: Topic) => void): () => void
}
