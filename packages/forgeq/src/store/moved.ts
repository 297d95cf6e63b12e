// What crosses the seam when jobs move from one store to another: all that a store knows, and nothing that it only reckons.
import { isDeepStrictEqual } from 'node:util'
import type { AttemptRecord, JobRecord, LogRecord, NewJob, TypeRecord } from './records.ts'

/**
 * A job that does not run, with all that is known of it. Numbers of order are those of the store that it comes from: the one
 * that it goes to keeps them, so that whatever came before something else still does.
 */
export interface JobImage extends Pick<
  JobRecord,
  'id' | 'type' | 'payload' | 'claim' | 'crashes' | 'createdAt' | 'expireAt' | 'tags' | 'unique' | 'key' | 'progress'
> {
  /** As it was enqueued: `maxAttempts` without the tries before the last retry by hand. */
  readonly policy: NewJob['policy']
  readonly attempt: number
  readonly attemptBase: number
  /** The payload may be another than the one it was enqueued with. */
  readonly edited: boolean
  /** For when it was enqueued. */
  readonly runAt: number
  /** It holds its unique key, and frees it. One that is held for a time is a `Trace`. */
  readonly holdsUnique: boolean
  /** In a queue of ordered keys: the others of its key wait for it. */
  readonly hasTurn: boolean
  /** Its number among all jobs, in the order in which they came. */
  readonly arrival: number
  readonly place: Place
  /** Without the claim that completed it: `place` tells of that one. */
  readonly attempts: readonly AttemptRecord[]
  readonly logs: readonly LogRecord[]
}

export type Place =
  | {
      readonly state: 'ready'
      /** It stands aside: its type was not known to a worker, or was held back. */
      readonly parked: boolean
      /** Of its lane: lanes.ts. */
      readonly kind: number
      readonly order: number
      /** In the lanes for its key, at this place; `null`: it has no key, or another job stands there. */
      readonly token: number | null
      readonly readyAt: number
    }
  | { readonly state: 'scheduled'; readonly order: number; readonly dueAt: number }
  | {
      readonly state: 'completed' | 'dead' | 'cancelled'
      readonly startedAt: number | null
      readonly finishedAt: number
      readonly resultUntil: number | null
      readonly expiresAt: number
      readonly reason: string | null
      readonly result: string | null
      /** Who completed it; `null`: it is not completed, `''`: its record is forgotten. */
      readonly worker: string | null
    }

/**
 * What is there beside jobs. `on` of limits, as stores write it: `q` the queue, `l5` a level, `kX` the key X, `tX` the type X,
 * `h` the end of a hold of the queue, `vX` the keys behind X.
 */
export type Trace =
  | { readonly trace: 'type'; readonly record: TypeRecord }
  /** A unique key that is held for a time; its job may be gone. */
  | {
      readonly trace: 'unique'
      readonly type: string
      readonly key: string
      readonly job: string
      readonly until: number
    }
  /** An enqueue that replaced the work of the job `holder`. */
  | {
      readonly trace: 'replacement'
      readonly id: string
      readonly type: string
      readonly holder: string
      readonly expiresAt: number
    }
  | { readonly trace: 'hold'; readonly queue: string; readonly on: string; readonly until: number }
  | { readonly trace: 'alarm'; readonly queue: string; readonly on: string; readonly at: number }
  /** Starts of one instant that a rate counts; `total`: with all that were counted before them. */
  | {
      readonly trace: 'starts'
      readonly queue: string
      readonly on: string
      readonly at: number
      readonly n: number
      readonly total: number
      readonly until: number
    }

export interface Images {
  readonly jobs: readonly JobImage[]
  readonly traces: readonly Trace[]
}

/** `cursor`: where the next page begins; `null`: there is none. */
export interface ImagePage extends Images {
  readonly cursor: string | null
}

/** `loaded`: now · `same`: it was there, exactly so · `other`: a job with this id is there, and is not the same. */
export type Loaded = 'loaded' | 'same' | 'other'

export const verdictOn = (known: JobImage | undefined, given: JobImage): Loaded =>
  isDeepStrictEqual(known, given) ? 'same' : 'other'

/** The highest number of order in it. */
export const lastOrder = ({ arrival, place }: JobImage): number =>
  Math.max(arrival, 'order' in place ? place.order : 0, place.state === 'ready' ? (place.token ?? 0) : 0)

/** When promote would end it, unless it starts before; `null`: never. */
export const deadlineOf = ({ claim, expireAt, place }: JobImage): number | null =>
  claim === 0 && !('finishedAt' in place) ? expireAt : null

/** All workers that it names. */
export const workersIn = ({ attempts, place }: JobImage): string[] =>
  [...attempts.map(({ worker }) => worker), 'worker' in place ? place.worker : null].filter(
    (worker): worker is string => worker !== null && worker !== '',
  )

/** A place in the listings that make up a dump: the listing, and the columns of its key behind which it goes on. */
export type Mark = readonly [listing: string, ...key: (string | number)[]]

export const readMark = (cursor: string | null): Mark | undefined =>
  cursor === null ? undefined : (JSON.parse(cursor) as Mark)

export const writeMark = (mark: Mark): string => JSON.stringify(mark)
