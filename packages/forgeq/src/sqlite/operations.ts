// The seam's calls as operations of the engine: which write, which only read, which can be answered without a write, and
// which must be on disk before they are answered.
import type { Answer, Calls, Method } from '../store/calling-store.ts'
import type { Topic } from '../store/store.ts'
import { act } from './act.ts'
import { dump } from './dump.ts'
import { enqueue } from './enqueue.ts'
import { beat, exchange, leave, lost, nothingLost, register, setWorker, settleLost } from './lease.ts'
import { load } from './load.ts'
import { nothingDue, nothingToPrune, promote, prune } from './maintain.ts'
import { queues, types, workers } from './overview.ts'
import { setQueue } from './settings.ts'
import { idleExchange } from './idle.ts'
import { find, jobs } from './query.ts'
import type { Wait } from './held.ts'
import type { Reader } from './reader.ts'
import type { Turn } from './turn.ts'

/** What of this process an operation may know. */
export interface Memory {
  /** When `lost` last committed, store time: a sign that the store was not away. */
  lookedAt: number
  /** Whether a turn failed to get the write lock since then. */
  wasShutOut: boolean
  /** When the next job is due, as far as those who promote know: only an earlier one is news to them. */
  dueAt: number
}

interface Write<M extends Method> {
  write(turn: Turn, memory: Memory, ...args: Parameters<Calls[M]>): Answer<M>
  /** The answer when there is nothing to write, else `undefined`. */
  peek?(db: Reader, memory: Memory, ...args: Parameters<Calls[M]>): Answer<M> | undefined
  /** What this call waits for when a peek found nothing to do; `undefined` when it wants the answer now. */
  waits?(...args: Parameters<Calls[M]>): Wait | undefined
  /** The worker whose waiting this call ends. */
  ends?(...args: Parameters<Calls[M]>): string
  /** What those who wait may hear from it; asked only before it runs. */
  feeds?(...args: Parameters<Calls[M]>): readonly Topic[]
  promises(...args: Parameters<Calls[M]>): Promised
}

/**
 * What power loss must not take back. `nothing`: claims, beats and promotions, for after power loss no holder is left and
 * the job is where it was. (A claim of a job that may start only once promises: claim.ts says so to the turn.) `answer`:
 * what the caller is told; others may act on it before it is on disk, as a worker that starts a job whose enqueuer has no
 * answer yet. `all`: nobody may act on it before.
 */
export type Promised = 'nothing' | 'answer' | 'all'

interface Read<M extends Method> {
  read(db: Reader, ...args: Parameters<Calls[M]>): Answer<M>
}

export type Operation<M extends Method> = Write<M> | Read<M>

const ready = (queue: string): Topic => `ready:${queue}`
const nothing = (): Promised => 'nothing'
const all = (): Promised => 'all'

export const operations: { readonly [M in Method]: Operation<M> } = {
  enqueue: {
    write: (turn, _, newJobs, options) => enqueue(turn, newJobs, options),
    feeds: (newJobs) => [...new Set(newJobs.map(({ policy }) => policy.queue))].map(ready),
    promises: () => 'answer',
  },
  register: { write: (turn, _, worker) => register(turn, worker), promises: nothing },
  exchange: {
    write: (turn, _, request) => exchange(turn, request),
    peek: (db, _, request) => idleExchange(db, request),
    waits: (request) =>
      request.waits ? { worker: request.worker, topics: request.wants.map((want) => ready(want.queue)) } : undefined,
    promises: (request) => (request.settlements.length > 0 ? 'all' : 'nothing'),
  },
  beat: {
    write: (turn, _, worker, facts, notes) => beat(turn, worker, facts, notes),
    ends: (worker) => worker,
    promises: nothing,
  },
  leave: { write: (turn, _, worker, end) => leave(turn, worker, end), ends: (worker) => worker, promises: nothing },
  lost: {
    write: (turn, memory, limit) => {
      turn.afterCommit(() => (memory.lookedAt = turn.now))
      return lost(turn, limit, memory.lookedAt)
    },
    peek: (db, memory) => nothingLost(db, memory.lookedAt),
    promises: nothing,
  },
  settle: { write: (turn, _, settlements) => settleLost(turn, settlements), promises: all },
  promote: {
    write: (turn, memory, limit) => {
      const answer = promote(turn, limit)
      memory.dueAt = answer.nextDueAt ?? Infinity
      return answer
    },
    peek: (db, memory) => {
      const answer = nothingDue(db, db.now)
      if (answer !== undefined) memory.dueAt = answer.nextDueAt ?? Infinity
      return answer
    },
    promises: nothing,
  },
  prune: { write: (turn, _, limit) => prune(turn, limit), peek: (db) => nothingToPrune(db, db.now), promises: nothing },
  setWorker: { write: (turn, _, worker, settings) => setWorker(turn, worker, settings), promises: all },
  setQueue: { write: (turn, _, queue, settings) => setQueue(turn, queue, settings), promises: all },
  act: { write: (turn, _, request) => act(turn, request), promises: all },
  queues: { read: (db) => queues(db) },
  workers: { read: (db) => workers(db) },
  types: { read: (db, names) => types(db, names) },
  jobs: { read: (db, ids, include) => jobs(db, ids, include) },
  dump: { read: (db, cursor, limit) => dump(db, cursor, limit) },
  load: { write: (turn, _, images) => load(turn, images), promises: all },
  find: { read: (db, filter, cursor, limit) => find(db, filter, cursor, limit) },
}
