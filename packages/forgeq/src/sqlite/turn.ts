// One write transaction in progress: its time, its sequence numbers, and what it owes at the end
// (tallies, expiries, hints). Operations see the database only through it.
import type { Topic } from '../store/store.ts'
import { rememberMs } from '../core/retention.ts'
import type { Statement } from './connect.ts'
import type { Names } from './names.ts'
import type { Sql, Statements } from './statements.ts'

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

const readMeta = /* sql */ `SELECT seq, now, beat_at, guard_until FROM forgeq_meta`

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
}

export class Turn implements Sql {
  /** Store time: never below the last one written. */
  readonly now: number
  readonly names: Names
  /** Power loss must not take back what it did, although its calls did not say so. */
  isPromise = false
  readonly #statements: Statements
  readonly #meta: Meta
  readonly #isAwaited: (id: string) => boolean
  readonly #afterCommit: (() => void)[] = []
  #done: Ledger = ledger()
  #open: Ledger = ledger()

  constructor(statements: Statements, names: Names, clockMs: number, isAwaited: (id: string) => boolean) {
    this.#statements = statements
    this.names = names
    this.#isAwaited = isAwaited
    this.#meta = { ...(statements.sql(readMeta).get() as Meta) }
    this.now = Math.max(clockMs, this.#meta.now)
    this.#meta.now = this.now
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

  get lastSeq(): number {
    return this.#meta.seq
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
    const key = queue * 8 + state
    this.#open.tally.set(key, (this.#open.tally.get(key) ?? 0) + change)
  }

  /** Plans the deletion of an ended job; answers when that will be. */
  expire(job: number, keepMs: number): number {
    const at = this.now + Math.max(keepMs, rememberMs)
    const jobs = this.#open.expiry.get(at)
    if (jobs === undefined) this.#open.expiry.set(at, [job])
    else jobs.push(job)
    return at
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
