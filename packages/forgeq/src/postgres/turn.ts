// One transaction in progress: its time, its sequence numbers, and what it owes at the end
// (tallies, expiries, hints). Writes wait until something is read and then go out with it, a statement for all rows of a kind:
// a trip to the server costs more than most statements.
import { rememberMs } from '../core/retention.ts'
import { stateCodes } from '../store/state-codes.ts'
import type { Topic } from '../store/store.ts'
import { Again } from './again.ts'
import type { Batch } from './batch.ts'
import type { Held } from './claims.ts'
import type { Client, Result, Value } from './client.ts'
import { explainLostCommit, isAnswer } from './failures.ts'
import { Gates, type GatesOptions } from './gates.ts'
import type { Heads } from './heads.ts'
import type { Names } from './names.ts'
import type { Fresh } from './row.ts'
import type { Statements } from './statements.ts'
import { addTallies, tallied } from './tally.ts'

/** A key whose token may be wrong. */
export interface Touched {
  readonly queue: number
  readonly key: string
}

export interface Begun {
  readonly now: number
  readonly seq: number
}

export interface TurnOptions extends GatesOptions {
  readonly client: Client
  readonly statements: Statements
  readonly names: Names
  /** When it began, and the first of its sequence numbers: known before anything else is answered. */
  readonly begun: Promise<Begun>
  /** Where lanes begin; shared by the turns of a process, too. */
  readonly heads: Heads
  readonly isAwaited: (id: string) => boolean
}

/** As many as the sequence leaves between two of its numbers. */
export const seqsPerTurn = 4096
const moreSeqs = /* sql */ `SELECT nextval('forgeq.turn') AS seq`
const moment = /* sql */ `SELECT forgeq.moment() AS now`

const addExpiries: Batch = {
  sql: /* sql */ `
  INSERT INTO forgeq.expiry (at, seq, jobs)
  SELECT e.at, e.seq, e.jobs::uuid[] FROM unnest($1::bigint[], $2::bigint[], $3::text[]) AS e (at, seq, jobs)`,
}

export class Turn {
  readonly names: Names
  readonly heads: Heads
  readonly gates: Gates
  readonly hints: Set<Topic> = new Set()
  /** What it has stored ready, for a claim that looks before that is written; `undefined` where none does. */
  fresh: Fresh[] | undefined
  /** What it has claimed, as far as it is worth remembering. */
  readonly taken: Held[] = []
  /** It has put other jobs into lanes: what was read there before is not all. */
  hasFilledLanes = false
  /** Earliest instant at which something of this transaction is due. */
  earliestDueAt: number = Infinity
  readonly #options: TurnOptions
  readonly #waiting = new Map<Batch, (readonly Value[])[]>()
  readonly #sealed: [Batch, (readonly Value[])[]][] = []
  /** In the order in which they were touched. */
  readonly #touched = new Map<string, Touched>()
  readonly #freed = new Set<number>()
  /** queue id * 8 + state code -> change. */
  readonly #tally = new Map<number, number>()
  readonly #expiry = new Map<number, string[]>()
  readonly #atEnd: (() => Promise<unknown>)[] = []
  #begun: Begun | undefined
  #isOver = false
  #now = 0
  #seq = 0
  #lastSeq = 0
  /** What the server says after it only follows from it. */
  #firstFailure: { readonly error: unknown } | undefined

  constructor(options: TurnOptions) {
    this.#options = options
    this.names = options.names
    this.heads = options.heads
    this.gates = new Gates(this, options)
    // Who waits for an answer hears of a failure.
    options.begun.then((begun) => this.#begin(begun)).catch(() => undefined)
  }

  /** Store time: of the last thing that this transaction waited for, or read of what others write. */
  get now(): number {
    if (this.#begun === undefined) throw new RangeError('a call asks for the time before its transaction has begun')
    return this.#now
  }

  /** Store time when it began. */
  get beganAt(): number {
    return this.#begun!.now
  }

  /** What is later in the sequence came with this call. */
  get callSeq(): number {
    return this.#begun!.seq - 1
  }

  /** Nothing is sent any more: what still goes on in it has to fail, or it would write behind the rollback. */
  end(): void {
    this.#isOver = true
  }

  /** What was read just now was written before. */
  passTo(now: number): void {
    this.#now = Math.max(this.#now, now)
  }

  /** What was asked before this is answered before the time that it brings. */
  async tellTime(): Promise<void> {
    this.passTo((await this.one<{ now: number }>(moment))!.now)
  }

  async all<T>(sql: string, ...values: Value[]): Promise<readonly T[]> {
    return (await this.#send(sql, values)).rows as readonly T[]
  }

  async one<T>(sql: string, ...values: Value[]): Promise<T | undefined> {
    return (await this.all<T>(sql, ...values))[0]
  }

  /** Answers how many rows it changed. */
  async run(sql: string, ...values: Value[]): Promise<number> {
    return (await this.#send(sql, values)).rowCount ?? 0
  }

  /** Writes a row, together with others of its kind: before anything is read, at the latest at the end. */
  push(batch: Batch, ...row: readonly Value[]): void {
    const rows = this.#waiting.get(batch)
    if (rows === undefined) this.#waiting.set(batch, [row])
    else rows.push(row)
  }

  /** Sees to it that so many sequence numbers are there. */
  async reserve(count: number): Promise<void> {
    if (this.#seq + count <= this.#lastSeq) return
    this.#seq = (await this.one<{ seq: number }>(moreSeqs))!.seq
    this.#lastSeq = this.#seq + seqsPerTurn
  }

  nextSeq(): number {
    if (this.#seq >= this.#lastSeq) throw new RangeError('a call needs more sequence numbers than it has reserved')
    return this.#seq++
  }

  /** Something about this key changed: its token has to be put right before the call ends. */
  touch(queue: number, key: string): void {
    this.#touched.set(`${queue} ${key}`, { queue, key })
  }

  /** What is written from here on is written behind what waits. */
  seal(): void {
    this.#sealed.push(...this.#waiting)
    this.#waiting.clear()
  }

  takeTouched(): readonly Touched[] {
    const touched = [...this.#touched.values()]
    this.#touched.clear()
    return touched
  }

  /** Queues in which jobs stopped running. */
  takeFreed(): readonly number[] {
    const freed = [...this.#freed]
    this.#freed.clear()
    return freed
  }

  tally(queue: number, state: number, change: number): void {
    if (state === stateCodes.running && change < 0) this.#freed.add(queue)
    const key = queue * 8 + state
    this.#tally.set(key, (this.#tally.get(key) ?? 0) + change)
  }

  /** How many jobs of a queue are in a state now, this transaction included. Exact for who is alone in the queue. */
  async count(queue: number, state: number): Promise<number> {
    const { n } = (await this.one<{ n: number }>(tallied, queue, state))!
    return n + (this.#tally.get(queue * 8 + state) ?? 0)
  }

  /** Plans the deletion of an ended job; answers when that will be. */
  expire(job: string, keepMs: number): number {
    const at = this.now + Math.max(keepMs, rememberMs)
    this.expireAt(job, at)
    return at
  }

  expireAt(job: string, at: number): void {
    const jobs = this.#expiry.get(at)
    if (jobs === undefined) this.#expiry.set(at, [job])
    else jobs.push(job)
  }

  hint(topic: Topic): void {
    this.hints.add(topic)
  }

  /** For those who wait for a job, if anyone does. */
  hintEnded(id: string): void {
    if (this.#options.isAwaited(id)) this.hint(`ended:${id}`)
  }

  dueAt(at: number): void {
    this.earliestDueAt = Math.min(this.earliestDueAt, at)
  }

  /** Asks together with the commit, whose answers come before the call's. */
  atEnd(ask: () => Promise<unknown>): void {
    this.#atEnd.push(ask)
  }

  /** Writes what is owed, and commits. OUTCOME_UNKNOWN when the answer to that is lost. */
  async commit(): Promise<void> {
    this.#begin(await this.#options.begun)
    await this.reserve(this.#expiry.size)
    for (const [at, jobs] of this.#expiry) this.push(addExpiries, at, this.nextSeq(), `{${jobs.join(',')}}`)
    const asked = this.#atEnd.map((ask) => ask())
    // Last: whoever waits for a stripe waits only for the commit.
    for (const [key, change] of [...this.#tally].sort(([a], [b]) => a - b)) {
      if (change !== 0) this.push(addTallies, Math.floor(key / 8), key % 8, change)
    }
    const written = this.#write()
    const committed = this.#options.client.query(this.#options.statements.query('COMMIT', []))
    try {
      await inOrder([...asked, ...written, committed])
    } catch (error) {
      // Who refuses to write commits nothing, and a look has nothing to lose.
      const isKnown = this.#options.isLook || (error === this.#firstFailure?.error && isAnswer(error))
      throw isKnown ? error : explainLostCommit(error)
    }
  }

  /** Sends the rows that wait, kinds in the order in which their first row came. */
  #write(): Promise<void>[] {
    this.seal()
    return this.#sealed.splice(0).map(([batch, rows]) => this.#writeRows(batch, rows))
  }

  async #writeRows({ sql }: Batch, rows: readonly (readonly Value[])[]): Promise<void> {
    await this.#query(
      sql,
      rows[0]!.map((_, i) => rows.map((row) => row[i]!)),
    )
  }

  /** Sends what waits and then this, in one go. */
  async #send(sql: string, values: readonly Value[]): Promise<Result> {
    const written = this.#write()
    const asked = this.#query(sql, values)
    await inOrder([...written, asked])
    return asked
  }

  async #query(sql: string, values: readonly Value[]): Promise<Result> {
    if (this.#isOver) throw new Again()
    try {
      const result = await this.#options.client.query(this.#options.statements.query(sql, values))
      if (this.#begun === undefined) this.#begin(await this.#options.begun)
      return result
    } catch (error) {
      this.#firstFailure ??= { error }
      throw this.#firstFailure.error
    }
  }

  #begin(begun: Begun): void {
    if (this.#begun !== undefined) return
    this.#begun = begun
    this.#now = begun.now
    this.#seq = begun.seq
    this.#lastSeq = begun.seq + seqsPerTurn
  }
}

/** Waits for all, and fails as the first of them that does. */
export const inOrder = async (promises: readonly Promise<unknown>[]): Promise<void> => {
  const results = await Promise.allSettled(promises)
  const failed = results.find((result) => result.status === 'rejected')
  if (failed !== undefined) throw failed.reason
}
