// The seam's calls as operations of the engine: which write, which only read, which can be answered without a write, and
// which must be on disk before they are answered.
import type { ExchangeRequest } from '../store/records.ts'
import type { Store } from '../store/store.ts'
import { act } from './act.ts'
import { enqueue } from './enqueue.ts'
import { beat, exchange, leave, lost, nothingLost, register, settleLost } from './lease.ts'
import { nothingDue, nothingToPrune, promote, prune } from './maintain.ts'
import { queues, setQueue, types, workers } from './overview.ts'
import { idleExchange } from './idle.ts'
import { find, jobs } from './query.ts'
import type { Reader } from './reader.ts'
import type { Turn } from './turn.ts'

type Calls = Omit<Store, 'open' | 'migrate' | 'close' | 'listen'>
export type Method = keyof Calls
export type Answer<M extends Method> = Awaited<ReturnType<Calls[M]>>

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
  /**
   * Whether the answer promises something that power loss must not take back. Claims, beats and promotions promise
   * nothing: after power loss no holder is left, and the job is where it was. (A claim of a job that may start only once
   * does: claim.ts says so to the turn.)
   */
  isPromise(...args: Parameters<Calls[M]>): boolean
}

interface Read<M extends Method> {
  read(db: Reader, ...args: Parameters<Calls[M]>): Answer<M>
}

export type Operation<M extends Method> = Write<M> | Read<M>

const yes = (): boolean => true
const no = (): boolean => false

export const operations: { readonly [M in Method]: Operation<M> } = {
  enqueue: { write: (turn, _, newJobs, options) => enqueue(turn, newJobs, options), isPromise: yes },
  register: { write: (turn, _, worker) => register(turn, worker), isPromise: no },
  exchange: {
    write: (turn, _, request) => exchange(turn, request),
    peek: (db, _, request) => idleExchange(db, request),
    isPromise: (request: ExchangeRequest) => request.settlements.length > 0,
  },
  beat: { write: (turn, _, worker, facts, notes) => beat(turn, worker, facts, notes), isPromise: no },
  leave: { write: (turn, _, worker) => leave(turn, worker), isPromise: no },
  lost: {
    write: (turn, memory, limit) => {
      turn.afterCommit(() => (memory.lookedAt = turn.now))
      return lost(turn, limit, memory.lookedAt)
    },
    peek: (db, memory) => nothingLost(db, memory.lookedAt),
    isPromise: no,
  },
  settle: { write: (turn, _, settlements) => settleLost(turn, settlements), isPromise: yes },
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
    isPromise: no,
  },
  prune: { write: (turn, _, limit) => prune(turn, limit), peek: (db) => nothingToPrune(db, db.now), isPromise: no },
  setQueue: { write: (turn, _, queue, settings) => setQueue(turn, queue, settings), isPromise: yes },
  act: { write: (turn, _, request) => act(turn, request), isPromise: yes },
  queues: { read: (db) => queues(db) },
  workers: { read: (db) => workers(db) },
  types: { read: (db, names) => types(db, names) },
  jobs: { read: (db, ids, include) => jobs(db, ids, include) },
  find: { read: (db, filter, cursor, limit) => find(db, filter, cursor, limit) },
}
