// One write transaction in progress: its time, its sequence numbers, and what it owes at the end
// (tallies, expiries, hints). Operations see the database only through it.
import type { Topic } from '../store/store.ts'
import { rememberMs } from '../core/retention.ts'
import type { Statement } from './connect.ts'
import type { Gate } from '../store/opening.ts'
import { readGate } from './gate.ts'
import type { Names } from './names.ts'
import { countOf, type Reader } from './reader.ts'
import { migrations, tooNew } from './schema.ts'
import { stateCodes } from '../store/state-codes.ts'
import type { Statements } from './statements.ts'

/** A key whose token may be wrong. */
export interface Touched {
  readonly queue: number
  readonly key: string
}

interface Ledger {
  /** queue id * 8 + state code -> change. */
  readonly tally: Map<number, number>
  /** When jobs expire -> their seqs. */
  readonly expiry: Map<number, number[]>
  readonly hints: Set<Topic>
  /** Earliest instant at which something of this transaction is due. */
  dueAt: number
}

const ledger = (): Ledger => ({ tally: new Map(), expiry: new Map(), hints: new Set(), dueAt: Infinity })

const readMeta = /* sql */ `
  SELECT seq, now, beat_at, guard_until, version FROM forgeq_meta, (SELECT max(version) AS version FROM forgeq_migration)`

// The sequence and the clock go forward together with what used them.
const writeMeta = /* sql */ `UPDATE forgeq_meta SET seq = ?, now = ?, beat_at = ?, guard_until = ?`

const addTally = /* sql */ `
  INSERT INTO forgeq_tally (queue, state, n) VALUES (?, ?, ?) ON CONFLICT (queue, state) DO UPDATE SET n = n + excluded.n`

const addExpiry = /* sql */ `INSERT INTO forgeq_expiry (at, seq, jobs) VALUES (?, ?, ?)`

interface Meta {
  seq: number
  now: number
  beat_at: number
  guard_until: number
  readonly version: number
}

export class Turn implements Reader {
  /** Store time: never below the last one written. */
  readonly now: number
  readonly names: Names
  /** Power loss must not take back what it did, although its calls did not say so. */
  isPromise = false
  readonly #statements: Statements
  readonly #meta: Meta
  readonly #isAwaited: (id: string) => boolean
  readonly #afterCommit: (() => void)[] = []
  readonly #gates = new Map<number, Gate>()
  /** In the order in which they were touched. */
  readonly #touched = new Map<string, Touched>()
  readonly #freed = new Set<number>()
  #callSeq: number
  #done: Ledger = ledger()
  #open: Ledger = ledger()

  constructor(statements: Statements, names: Names, clockMs: number, isAwaited: (id: string) => boolean) {
    this.#statements = statements
    this.names = names
    this.#isAwaited = isAwaited
    this.#meta = { ...(statements.sql(readMeta).get() as Meta) }
    // Somebody migrated the file since it was opened: what this code would write is wrong there.
    if (this.#meta.version !== migrations.length) throw tooNew(this.#meta.version)
    this.now = Math.max(clockMs, this.#meta.now)
    this.#meta.now = this.now
    this.#callSeq = this.#meta.seq
  }

  sql(text: string): Statement {
    return this.#statements.sql(text)
  }

  tuples(text: string): Statement {
    return this.#statements.tuples(text)
  }

  nextSeq(): number {
    return ++this.#meta.seq
  }

  /** What comes later comes after this number. */
  goPast(seq: number): void {
    this.#meta.seq = Math.max(this.#meta.seq, seq)
  }

  get lastSeq(): number {
    return this.#meta.seq
  }

  /** What is later in the sequence came with the operation that runs. */
  get callSeq(): number {
    return this.#callSeq
  }

  /** What lets jobs of a queue out, read once. */
  gate(queue: number): Gate {
    let gate = this.#gates.get(queue)
    if (gate === undefined) this.#gates.set(queue, (gate = readGate(this, queue, this.now)))
    return gate
  }

  forgetGate(queue: number): void {
    this.#gates.delete(queue)
  }

  /** Something about this key changed: its token has to be put right before the operation ends. */
  touch(queue: number, key: string): void {
    this.#touched.set(`${queue} ${key}`, { queue, key })
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

  /** When anyone last beat, and until when the outage guard closes nobody. */
  get beatAt(): number {
    return this.#meta.beat_at
  }

  get guardUntil(): number {
    return this.#meta.guard_until
  }

  noteBeat(guardUntil: number): void {
    this.#meta.beat_at = this.now
    this.#meta.guard_until = guardUntil
  }

  tally(queue: number, state: number, change: number): void {
    if (state === stateCodes.running && change < 0) this.#freed.add(queue)
    const key = queue * 8 + state
    this.#open.tally.set(key, (this.#open.tally.get(key) ?? 0) + change)
  }

  /** How many jobs of a queue are in a state now, this transaction included. */
  count(queue: number, state: number): number {
    const key = queue * 8 + state
    return countOf(this, queue, state) + (this.#done.tally.get(key) ?? 0) + (this.#open.tally.get(key) ?? 0)
  }

  /** Plans the deletion of an ended job; answers when that will be. */
  expire(job: number, keepMs: number): number {
    const at = this.now + Math.max(keepMs, rememberMs)
    this.expireAt(job, at)
    return at
  }

  expireAt(job: number, at: number): void {
    const jobs = this.#open.expiry.get(at)
    if (jobs === undefined) this.#open.expiry.set(at, [job])
    else jobs.push(job)
  }

  hint(topic: Topic): void {
    this.#open.hints.add(topic)
  }

  /** What this process remembers only if the turn stands. */
  afterCommit(remember: () => void): void {
    this.#afterCommit.push(remember)
  }

  committed(): void {
    for (const remember of this.#afterCommit) remember()
  }

  /** For those who wait for a job, if anyone does. */
  hintEnded(id: string): void {
    if (this.#isAwaited(id)) this.hint(`ended:${id}`)
  }

  dueAt(at: number): void {
    this.#open.dueAt = Math.min(this.#open.dueAt, at)
  }

  /** The operation since the last call stands. */
  keep(): void {
    this.#callSeq = this.#meta.seq
    const from = this.#open
    if (from.tally.size + from.expiry.size + from.hints.size === 0 && from.dueAt === Infinity) return
    const to = this.#done
    for (const [key, change] of from.tally) to.tally.set(key, (to.tally.get(key) ?? 0) + change)
    for (const [at, jobs] of from.expiry) to.expiry.set(at, [...(to.expiry.get(at) ?? []), ...jobs])
    for (const topic of from.hints) to.hints.add(topic)
    to.dueAt = Math.min(to.dueAt, from.dueAt)
    this.#open = ledger()
  }

  /** The operation since the last call was rolled back. Sequence numbers may have gaps, so they are not taken back. */
  drop(): void {
    this.#open = ledger()
    this.#callSeq = this.#meta.seq
    this.#gates.clear()
    this.#touched.clear()
    this.#freed.clear()
    this.names.forget()
  }

  /** Writes what is owed; the last step before COMMIT. */
  flush(): void {
    for (const [key, change] of this.#done.tally) {
      if (change !== 0) this.sql(addTally).run(Math.floor(key / 8), key % 8, change)
    }
    for (const [at, jobs] of this.#done.expiry) this.sql(addExpiry).run(at, this.nextSeq(), JSON.stringify(jobs))
    const meta = this.#meta
    this.sql(writeMeta).run(meta.seq, meta.now, meta.beat_at, meta.guard_until)
  }

  get hints(): ReadonlySet<Topic> {
    return this.#done.hints
  }

  get earliestDueAt(): number {
    return this.#done.dueAt
  }
}
