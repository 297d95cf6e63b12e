// Exchanges, and enqueues that meet one that waits: a job that an idle worker of this process waits for is claimed by the
// transaction that stores it.
import { ForgeError } from '../core/errors.ts'
import type { Answer, Calls, Method } from '../store/calling-store.ts'
import type { ExchangeRequest } from '../store/records.ts'
import { areClaimed, enqueueFor } from './enqueue-for.ts'
import { holdWorker } from './lease.ts'
import { operations, type AnyOperation } from './operations.ts'
import { Waits, type End } from './waits.ts'

type Reply = Answer<'exchange'>

/** For `forgeq.hand_over`, which comes last. */
const beginJoint = /* sql */ `SELECT set_config('forgeq_call.began', forgeq.moment()::text, true)`

export class Exchanges {
  readonly #call: (method: Method, operation: AnyOperation, args: readonly unknown[]) => Promise<unknown>
  readonly #waits = new Waits()
  /** Those that were more than a look, or may have been: a commit whose answer was lost may still be under way. */
  readonly #written = new WeakSet<ExchangeRequest>()
  readonly #exchange: AnyOperation
  /** Without a look. */
  readonly #repeat: AnyOperation

  constructor(call: (method: Method, operation: AnyOperation, args: readonly unknown[]) => Promise<unknown>) {
    this.#call = call
    const exchange = operations.exchange as AnyOperation
    this.#exchange = {
      ...exchange,
      run: (turn, memory, request) => {
        this.#written.add(request as ExchangeRequest)
        return exchange.run(turn, memory, request)
      },
      direct: (memory, request) => {
        const direct = exchange.direct!(memory, request)
        if (direct === undefined) return undefined
        this.#written.add(request as ExchangeRequest)
        const answer: typeof direct.answer = (rows) => {
          const answered = direct.answer(rows)
          if (answered === undefined) this.#written.delete(request as ExchangeRequest)
          return answered
        }
        return { ...direct, answer }
      },
    }
    this.#repeat = { ...this.#exchange }
    delete this.#repeat.quiet
    delete this.#repeat.direct
    delete this.#repeat.peek
  }

  /** Something may be there. */
  hint(topics: Iterable<string>): void {
    this.#waits.hint(topics)
  }

  /** No exchange of this worker waits any longer. */
  endOf(worker: string): void {
    this.#waits.endOf(worker)
  }

  endAll(): void {
    this.#waits.endAll()
  }

  async exchange(request: ExchangeRequest): Promise<Reply> {
    const waiting = request.waits === true ? this.#waits.begin(request) : undefined
    try {
      const answer = await this.#ask(request)
      // A turn that the store has seen brings nothing new any more.
      const isOver = answer.closed || answer.claimed.length + answer.orders.length > 0 || this.#written.has(request)
      if (waiting === undefined || isOver || answer.suspects) return answer
      const askedAt = performance.now()
      const end = await waiting.wait(this.#waits.forMs)
      // It is later by now.
      if (end === 'over') return { ...answer, now: answer.now + Math.floor(performance.now() - askedAt) }
      return end === 'look' ? await this.#ask(request) : end.reply
    } finally {
      if (waiting !== undefined) this.#waits.done(waiting)
    }
  }

  async #ask(request: ExchangeRequest): Promise<Reply> {
    // A look does not see a commit that is under way; a transaction waits for it, and then gives the same again.
    const operation = this.#written.has(request) ? this.#repeat : this.#exchange
    const answer = (await this.#call('exchange', operation, [request])) as Reply
    if (!answer.closed && answer.claimed.length > 0) this.#waits.busy()
    return answer
  }

  async enqueue(args: Parameters<Calls['enqueue']>): Promise<unknown> {
    const { enqueue, exchange } = operations
    const alone = enqueue as AnyOperation
    const [jobs] = args
    const now = jobs.filter(({ delayMs, runAt }) => delayMs === undefined && runAt === undefined)
    const queues = new Set(now.map(({ policy }) => policy.queue))
    const waiting = this.#waits.find(queues)
    if (waiting === undefined) return this.#call('enqueue', alone, args)
    const { request } = waiting
    const finish = waiting.take()
    // There was nothing in the others, and they may be locked.
    const wants = request.wants.filter(({ queue }) => queues.has(queue))
    let reply: Reply | undefined
    let end: End = 'look'
    const both: AnyOperation = {
      ...alone,
      direct: (memory) => {
        // Each of the two adds to tallies in their order.
        if (queues.size > 1) return undefined
        const [put, handOver] = [enqueue.direct!(memory, ...args), exchange.direct!(memory, { ...request, wants })]
        if (put === undefined || handOver === undefined) return undefined
        this.#written.add(request)
        return {
          kinds: [...put.kinds, ...handOver.kinds],
          // In the order in which all lock: the worker, then queues.
          statements: [
            { sql: beginJoint, values: [] },
            { sql: holdWorker, values: [[request.worker]] },
            ...put.statements,
            ...handOver.statements,
          ],
          answer: ([, , ...rows]) => {
            const [stored, given] = [put.answer(rows), handOver.answer(rows.slice(1))]
            if (given !== undefined) end = { reply: given.value }
            else for (const kind of handOver.kinds) memory.refusals.add(kind)
            if (stored === undefined) return undefined
            const reply = given?.value
            const isAll = reply?.closed === false && !reply.more && areClaimed(stored.value, reply)
            return isAll ? { ...stored, hints: [] } : stored
          },
        }
      },
      names: async (names) => {
        await exchange.names!(names, request)
        await enqueue.names!(names, ...args)
      },
      run: async (turn, memory) => {
        this.#written.add(request)
        if (typeof end === 'object') return enqueue.run(turn, memory, ...args)
        const given = await enqueueFor(turn, { ...request, wants }, () => enqueue.run(turn, memory, ...args))
        reply = given.reply
        return given.answers
      },
      after: (memory, _answer, turn) => {
        if (reply === undefined) return
        exchange.after!(memory, reply, turn, request)
        end = { reply }
      },
    }
    try {
      return await this.#call('enqueue', both, args)
    } catch (error) {
      // The worker is at another turn: that is its own trouble.
      if (!ForgeError.is(error, 'LEASE_LOST')) throw error
      return await this.#call('enqueue', alone, args)
    } finally {
      if (typeof end === 'object') this.#waits.busy()
      finish(end)
    }
  }
}
