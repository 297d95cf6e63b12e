// Runs calls as transactions: begins, commits, rolls back, and starts anew what collided with others or has to lock more
// than it knew. Decides nothing about what is written.
import { setTimeout as sleep } from 'node:timers/promises'
import { ForgeError } from '../core/errors.ts'
import type { Client, Pool, Pooled, Result, Value } from './client.ts'
import { settingsHere } from './connect.ts'
import type { Deadline } from './deadline.ts'
import type { Direct } from './direct.ts'
import { explainFailure, explainLostCommit, isAnswer, isCancelled, isCollision, isLate } from './failures.ts'
import type { Seen } from './gates.ts'
import type { Heads } from './heads.ts'
import type { Names } from './names.ts'
import type { Statements } from './statements.ts'
import { Again } from './again.ts'
import { inOrder, Turn, type Begun } from './turn.ts'

/**
 * What power loss of the server must not take back: `all`, or `nothing` of it, for beats, promotions and the like, which are
 * simply done again. `look`: writes nothing, and sees one state of the database. A claim is `all`: workers outlive the
 * server, and the same claim number must never be handed out twice.
 */
export type Promised = 'all' | 'nothing' | 'look'

const begin = /* sql */ `SELECT forgeq.moment() AS now, nextval('forgeq.turn') AS seq`
/** Through a pooler the session is nobody's. */
const beginPooled = /* sql */ `BEGIN ISOLATION LEVEL READ COMMITTED`
const beginLook = /* sql */ `BEGIN ISOLATION LEVEL REPEATABLE READ`
const light = /* sql */ `, set_config('synchronous_commit', 'off', true)`

/** Who collides so often does not have bad luck. */
const attemptsLimit = 30
const pauseMs = 10
const latePauseMs = 100
/** Who would wait again until the deadline, with the commit sent, would not know whether it was done. */
const lateMs = 400
/** What was cancelled is tried again for so long: at once it may succeed, but time that is too short does not get longer. */
const cancelledMs = 5_000

export interface Transacting {
  readonly pool: Pool
  /** Through a pooler: what else is asked of a session is asked of each transaction. */
  readonly isPooled: boolean
  readonly statements: Statements
  readonly names: Names
  readonly heads: Heads
  readonly isAwaited: (id: string) => boolean
}

export class Transactions {
  readonly #pool: Pool
  readonly #statements: Statements
  readonly #names: Names
  readonly #heads: Heads
  readonly #isAwaited: (id: string) => boolean
  readonly #settings: string
  readonly #beginWork: string
  readonly #seen: Seen = { ruled: new Set(), narrow: new Set(), suspects: false }
  readonly #used = new WeakSet<Pooled>()

  constructor({ pool, isPooled, statements, names, heads, isAwaited }: Transacting) {
    this.#pool = pool
    this.#statements = statements
    this.#names = names
    this.#heads = heads
    this.#isAwaited = isAwaited
    this.#settings = isPooled ? `, ${settingsHere}` : ''
    this.#beginWork = isPooled ? beginPooled : 'BEGIN'
  }

  /**
   * The answer of `work`, and the turn that gave it: once it is committed. At the deadline it has failed, whatever the server
   * says or does not say. `asksFirst`: what it asks first goes out together with the begin, whose time it does not know yet.
   */
  async run<T>(
    promised: Promised,
    work: (turn: Turn) => Promise<T>,
    deadline: Deadline,
    asksFirst = false,
  ): Promise<{ readonly value: T; readonly turn: Turn }> {
    let queues: ReadonlyMap<number, boolean> = new Map()
    const cancelledUntil = performance.now() + cancelledMs
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#attempt(promised, queues, work, deadline, asksFirst)
      } catch (error) {
        const isPassing = isCollision(error) || (isCancelled(error) && performance.now() < cancelledUntil)
        if (error instanceof Again) queues = new Map([...queues, ...error.queues])
        else if (!isPassing) throw explainFailure(error)
        const isTheEnd = deadline.leftMs <= (isLate(error) ? lateMs : 0)
        if (attempt === attemptsLimit || isTheEnd) {
          throw isCancelled(error) || isLate(error) ? explainFailure(error) : tooOften(error)
        }
        // Those who stood in each other's way must not meet again, and who waited for a lock lets others through.
        const pause = isLate(error)
          ? latePauseMs * (0.5 + Math.random())
          : attempt > 2
            ? Math.random() * pauseMs * attempt
            : 0
        if (pause > 0) await sleep(Math.min(pause, deadline.leftMs))
      }
    }
  }

  /**
   * A whole transaction in one message; the rows that its statements gave. `undefined` when the server refused it: nothing is
   * stored, and a transaction of the other kind tells what it was, or gets through.
   */
  async atOnce(
    statements: Direct<unknown>['statements'],
    deadline: Deadline,
  ): Promise<(readonly unknown[])[] | undefined> {
    let client: Pooled
    try {
      client = await deadline.wait(this.#pool.connect(), (late) => late.release())
    } catch (error) {
      throw explainFailure(error)
    }
    this.#used.add(client)
    const unwatch = deadline.watch(client)
    const ask = (sql: string, values: readonly Value[] = []): Promise<Result> =>
      client.query(this.#statements.query(sql, values))
    const begun = [ask(this.#beginWork), ...(this.#settings === '' ? [] : [ask(`SELECT ${settingsHere}`)])]
    const asked = statements.map(({ sql, values }) => ask(sql, values))
    const committed = ask('COMMIT')
    const [done, end] = await Promise.allSettled([inOrder([...begun, ...asked]), committed])
    unwatch()
    if (done.status === 'fulfilled' && end.status === 'fulfilled') {
      client.release()
      return (await Promise.all(asked)).map(({ rows }) => rows)
    }
    const [failed] = [done, end].filter((one) => one.status === 'rejected')
    if (failed === done && isAnswer(failed.reason)) {
      if (!(await rollback(client))) this.#heads.forget()
      return undefined
    }
    client.release(failed!.reason as Error)
    this.#heads.forget()
    throw explainLostCommit(failed!.reason)
  }

  async #attempt<T>(
    promised: Promised,
    queues: ReadonlyMap<number, boolean>,
    work: (turn: Turn) => Promise<T>,
    deadline: Deadline,
    asksFirst: boolean,
  ): Promise<{ readonly value: T; readonly turn: Turn }> {
    for (;;) {
      const client = await deadline.wait(this.#pool.connect(), (late) => late.release())
      const isNew = !this.#used.has(client)
      this.#used.add(client)
      const unwatch = deadline.watch(client)
      const begun = this.#begin(client, promised)
      const turn = this.#turn(client, promised, begun, queues)
      try {
        if (!asksFirst) await begun
        const value = await work(turn)
        await turn.commit()
        client.release()
        return { value, turn }
      } catch (error) {
        turn.end()
        // Connections that were idle may have broken unnoticed, or lead to what is a standby by now: nothing was done on them.
        // A new one tells how it is. What was asked with the begin failed with it.
        const failure = await failureOf(begun)
        if (failure === undefined) {
          await rollback(client)
          throw error
        }
        client.release(failure.error as Error)
        this.#heads.forget()
        if (isNew || deadline.leftMs === 0) throw failure.error
      } finally {
        unwatch()
      }
    }
  }

  #turn(client: Client, promised: Promised, begun: Promise<Begun>, learnt: ReadonlyMap<number, boolean>): Turn {
    return new Turn({
      client,
      statements: this.#statements,
      names: this.#names,
      heads: this.#heads,
      begun,
      isLook: promised === 'look',
      seen: this.#seen,
      learnt,
      isAwaited: this.#isAwaited,
    })
  }

  async #begin(client: Pooled, promised: Promised): Promise<Begun> {
    const sql = `${begin}${promised === 'all' ? '' : light}${this.#settings}`
    const begun = client.query(this.#statements.query(promised === 'look' ? beginLook : this.#beginWork, []))
    const answer = client.query(this.#statements.query(sql, []))
    await inOrder([begun, answer])
    return (await answer).rows[0] as Begun
  }
}

const failureOf = (begun: Promise<unknown>): Promise<{ readonly error: unknown } | undefined> =>
  begun.then(
    () => undefined,
    (error: unknown) => ({ error }),
  )

/** Whether the connection goes on; what was open on one that does not ends with it. */
const rollback = async (client: Pooled): Promise<boolean> => {
  try {
    await client.query('ROLLBACK')
    client.release()
    return true
  } catch (error) {
    client.release(error as Error)
    return false
  }
}

const tooOften = (cause: unknown): ForgeError =>
  new ForgeError('STORE_UNAVAILABLE', 'PostgreSQL: the call stood in the way of others too often; it may be repeated', {
    cause,
  })
