// Runs calls as transactions: begins, commits, rolls back, and starts anew what collided with others or has to lock more
// than it knew. Decides nothing about what is written.
import { setTimeout as sleep } from 'node:timers/promises'
import { ForgeError } from '../core/errors.ts'
import type { Client, Pool, Pooled } from './connect.ts'
import { explainFailure, isCollision } from './failures.ts'
import type { Names } from './names.ts'
import type { Statements } from './statements.ts'
import { Again, inOrder, Turn } from './turn.ts'

/**
 * What power loss of the server must not take back: `all`, or `nothing` of it, for beats, promotions and the like, which are
 * simply done again. `look`: writes nothing, and sees one state of the database. A claim is `all`: workers outlive the
 * server, and the same claim number must never be handed out twice.
 */
export type Promised = 'all' | 'nothing' | 'look'

const begin = /* sql */ `SELECT forgeq.moment() AS now, nextval('forgeq.turn') AS seq`
const beginLight = /* sql */ `${begin}, set_config('synchronous_commit', 'off', true)`

/** Who collides so often does not have bad luck. */
const attemptsLimit = 30
const pauseMs = 10

export class Transactions {
  readonly #pool: Pool
  readonly #statements: Statements
  readonly #names: Names
  readonly #isAwaited: (id: string) => boolean
  readonly #ruled = new Set<number>()

  constructor(pool: Pool, statements: Statements, names: Names, isAwaited: (id: string) => boolean) {
    this.#pool = pool
    this.#statements = statements
    this.#names = names
    this.#isAwaited = isAwaited
  }

  /** The answer of `work`, and the turn that gave it: once it is committed. */
  async run<T>(
    promised: Promised,
    work: (turn: Turn) => Promise<T>,
  ): Promise<{ readonly value: T; readonly turn: Turn }> {
    let queues: ReadonlyMap<number, boolean> = new Map()
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#attempt(promised, queues, work)
      } catch (error) {
        if (attempt === attemptsLimit) throw tooOften(error)
        if (error instanceof Again) queues = new Map([...queues, ...error.queues])
        else if (!isCollision(error)) throw error
        // Those who stood in each other's way must not meet again.
        if (attempt > 2) await sleep(Math.random() * pauseMs * attempt)
      }
    }
  }

  async #attempt<T>(
    promised: Promised,
    queues: ReadonlyMap<number, boolean>,
    work: (turn: Turn) => Promise<T>,
  ): Promise<{ readonly value: T; readonly turn: Turn }> {
    const { client, now, seq } = await this.#begin(promised)
    try {
      const turn = this.#turn(client, promised, now, seq)
      await turn.enter(queues)
      const value = await work(turn)
      await turn.commit()
      client.release()
      return { value, turn }
    } catch (error) {
      await rollback(client)
      if (error instanceof Again || isCollision(error)) throw error
      throw explainFailure(error)
    }
  }

  #turn(client: Client, promised: Promised, now: number, seq: number): Turn {
    return new Turn({
      client,
      statements: this.#statements,
      names: this.#names,
      now,
      seq,
      isLook: promised === 'look',
      ruled: this.#ruled,
      isAwaited: this.#isAwaited,
    })
  }

  /** An idle connection may have broken unnoticed: nothing was done on it, so another one is tried. */
  async #begin(promised: Promised): Promise<{ client: Pooled; now: number; seq: number }> {
    for (let attempt = 1; ; attempt++) {
      let client: Pooled | undefined
      try {
        client = await this.#pool.connect()
        const sql = promised === 'nothing' ? beginLight : begin
        const begun = client.query(promised === 'look' ? 'BEGIN ISOLATION LEVEL REPEATABLE READ' : 'BEGIN')
        const answer = client.query(this.#statements.query(sql, []))
        await inOrder([begun, answer])
        const { rows } = await answer
        return { client, ...(rows[0] as { now: number; seq: number }) }
      } catch (error) {
        client?.release(error as Error)
        if (client === undefined || attempt === 2) throw explainFailure(error)
      }
    }
  }
}

const rollback = async (client: Pooled): Promise<void> => {
  try {
    await client.query('ROLLBACK')
    client.release()
  } catch (error) {
    // What was open on it ends with the connection.
    client.release(error as Error)
  }
}

const tooOften = (cause: unknown): ForgeError =>
  new ForgeError('STORE_UNAVAILABLE', 'PostgreSQL: the call stood in the way of others too often; it may be repeated', {
    cause,
  })
