// The seam's calls as transactions: what each of them does, what must survive power loss, which can be answered by a look,
// and which names it needs to know.
import type { Answer, Calls, Method } from '../store/calling-store.ts'
import type { NewJob, Settlement } from '../store/records.ts'
import { act } from './act.ts'
import type { Ask } from './client.ts'
import type { Direct } from './direct.ts'
import { dump } from './dump.ts'
import { enqueue } from './enqueue.ts'
import { exchange, idleExchange } from './exchange.ts'
import { handOverDirectly, type Knowing } from './hand-over.ts'
import { beat, leave, lost, nothingLost, register, setWorker, settleLost } from './lease.ts'
import { load } from './load.ts'
import { queuesIn, typesIn } from './load-traces.ts'
import { nothingDue, nothingToPrune, promote, prune, quietPrune } from './maintain.ts'
import type { Names } from './names.ts'
import { queues, types, workers } from './overview.ts'
import { putDirectly } from './put.ts'
import { find, jobs } from './query.ts'
import { quietBeat, quietExchange, quietLost, quietPromote, type QuietMemory } from './quiet.ts'
import { setQueue } from './settings.ts'
import type { Promised } from './transactions.ts'
import type { Turn } from './turn.ts'

/** What of this process an operation may know. `lookedAt`: when `lost` last committed, or a beat: the store was not away. */
export interface Memory extends QuietMemory, Knowing {
  /** When the next job is due, as far as those who promote know: only an earlier one is news to them. */
  dueAt: number
  /** Queues that got something to claim since somebody here asked for it: a look would only find that out again. */
  readonly woken: Set<string>
}

export interface Operation<M extends Method> {
  readonly promises: Promised
  /** It asks something before it needs to know the time. */
  readonly asksFirst?: true
  run(turn: Turn, memory: Memory, ...args: Parameters<Calls[M]>): Promise<Answer<M>>
  /** Whether it is worth a look if there is anything to write. Default: always. */
  mayPeek?(memory: Memory, ...args: Parameters<Calls[M]>): boolean
  /** That statement writes. */
  readonly quietWrites?: true
  /** What does the call in one message with its commit, where that is enough for it. */
  direct?(memory: Memory, ...args: Parameters<Calls[M]>): Direct<Answer<M>> | undefined
  /** The answer in a statement or from memory, where all is quiet; else `undefined`. */
  quiet?(
    ask: Ask,
    memory: Memory,
    ...args: Parameters<Calls[M]>
  ): Promise<Answer<M> | undefined> | Answer<M> | undefined
  /** The answer when there is nothing to write, else `undefined`. */
  peek?(turn: Turn, memory: Memory, ...args: Parameters<Calls[M]>): Promise<Answer<M> | undefined>
  /** Makes or learns the numbers of the names that the call uses, before its transaction begins. */
  names?(names: Names, ...args: Parameters<Calls[M]>): Promise<void>
  /** What this process knows once the answer stands. */
  after?(memory: Memory, answer: Answer<M>, turn: Turn, ...args: Parameters<Calls[M]>): void
  /** Within how long it is answered, or has failed. Default 30 s. */
  withinMs?(...args: Parameters<Calls[M]>): number | undefined
}

/** The calls of one method share a shape that only `operations` knows; whoever passes them through sees this. */
export interface AnyOperation extends Pick<Operation<Method>, 'promises' | 'quietWrites' | 'asksFirst'> {
  run(turn: Turn, memory: Memory, ...args: readonly unknown[]): Promise<unknown>
  mayPeek?(memory: Memory, ...args: readonly unknown[]): boolean
  direct?(memory: Memory, ...args: readonly unknown[]): Direct<unknown> | undefined
  quiet?(ask: Ask, memory: Memory, ...args: readonly unknown[]): unknown
  peek?(turn: Turn, memory: Memory, ...args: readonly unknown[]): Promise<unknown>
  names?(names: Names, ...args: readonly unknown[]): Promise<void>
  after?(memory: Memory, answer: unknown, turn: Turn, ...args: readonly unknown[]): void
  withinMs?(...args: readonly unknown[]): number | undefined
}

/** A beat that takes longer than until the next one is none. */
const beatMs = 5_000

const internOf = async (names: Names, newJobs: readonly NewJob[]): Promise<void> => {
  await names.queue.intern(newJobs.map(({ policy }) => policy.queue))
  await names.type.intern(newJobs.map(({ type }) => type))
}

const followUpsOf = (settlements: readonly Settlement[]): NewJob[] =>
  settlements.flatMap((settlement) => (settlement.outcome === 'complete' ? (settlement.followUps ?? []) : []))

export const operations: { readonly [M in Method]: Operation<M> } = {
  enqueue: {
    promises: 'all',
    asksFirst: true,
    direct: (memory, newJobs) => putDirectly(memory, newJobs),
    names: (names, newJobs) => internOf(names, newJobs),
    run: (turn, _, newJobs, options) => enqueue(turn, newJobs, options),
    withinMs: (_, { withinMs }) => withinMs,
  },
  register: {
    promises: 'all',
    names: (names, worker) => names.type.intern(worker.types.map(({ type }) => type)),
    run: (turn, _, worker) => register(turn, worker),
  },
  exchange: {
    promises: 'all',
    asksFirst: true,
    names: async (names, request) => {
      await names.queue.learn(request.wants.map(({ queue }) => queue))
      await internOf(names, followUpsOf(request.settlements))
    },
    mayPeek: ({ woken }, { settlements, notes, wants }) => {
      const isWoken = wants.filter(({ queue }) => woken.delete(queue)).length > 0
      return settlements.length === 0 && notes.length === 0 && !isWoken
    },
    quiet: (ask, memory, request) => quietExchange(ask, memory, request),
    peek: (turn, _, request) => idleExchange(turn, request),
    direct: (memory, request) => handOverDirectly(memory, request),
    run: (turn, _, request) => exchange(turn, request),
    after: ({ claims }, { closed }, { taken }, { worker }) =>
      closed ? claims.forget(worker) : claims.add(worker, taken),
  },
  beat: {
    promises: 'nothing',
    quietWrites: true,
    quiet: (ask, memory, worker, facts, notes) => quietBeat(ask, memory, worker, facts, notes),
    run: (turn, _, worker, facts, notes) => beat(turn, worker, facts, notes),
    withinMs: () => beatMs,
  },
  leave: {
    promises: 'all',
    run: (turn, _, worker, end) => leave(turn, worker, end),
    after: ({ claims }, _answer, _turn, worker) => claims.forget(worker),
  },
  lost: {
    promises: 'nothing',
    quiet: (_, memory) => quietLost(memory),
    peek: (turn, memory) => nothingLost(turn, memory.lookedAt),
    run: (turn, memory, limit) => lost(turn, limit, memory.lookedAt),
    after: (memory, _, turn) => (memory.lookedAt = turn.now),
  },
  settle: {
    promises: 'all',
    names: (names, settlements) => internOf(names, followUpsOf(settlements)),
    run: (turn, _, settlements) => settleLost(turn, settlements),
  },
  promote: {
    promises: 'nothing',
    quiet: (_, memory) => {
      const answer = quietPromote(memory)
      if (answer !== undefined) memory.dueAt = answer.nextDueAt ?? Infinity
      return answer
    },
    peek: (turn) => nothingDue(turn),
    run: (turn, _, limit) => promote(turn, limit),
    after: (memory, { nextDueAt }) => (memory.dueAt = nextDueAt ?? Infinity),
  },
  prune: {
    promises: 'nothing',
    quiet: (ask) => quietPrune(ask),
    peek: (turn) => nothingToPrune(turn),
    run: (turn, _, limit) => prune(turn, limit),
  },
  setWorker: { promises: 'all', run: (turn, _, worker, settings) => setWorker(turn, worker, settings) },
  setQueue: {
    promises: 'all',
    names: (names, queue) => names.queue.intern([queue]),
    run: (turn, _, queue, settings) => setQueue(turn, queue, settings),
  },
  act: { promises: 'all', run: (turn, _, request) => act(turn, request) },
  queues: { promises: 'look', run: (turn) => queues(turn) },
  workers: { promises: 'look', run: (turn) => workers(turn) },
  types: { promises: 'look', run: (turn, _, names) => types(turn, names) },
  jobs: { promises: 'look', run: (turn, _, ids, include) => jobs(turn, ids, include) },
  dump: { promises: 'look', run: (turn, _, cursor, limit) => dump(turn, cursor, limit) },
  load: {
    promises: 'all',
    names: async (names, images) => {
      await names.queue.intern(queuesIn(images))
      await names.type.intern(typesIn(images))
    },
    run: (turn, _, images) => load(turn, images),
  },
  find: {
    promises: 'look',
    names: async (names, { queue, type }) => {
      if (queue !== undefined) await names.queue.learn([queue])
      if (type !== undefined) await names.type.learn([type])
    },
    run: (turn, _, filter, cursor, limit) => find(turn, filter, cursor, limit),
  },
}
