// Where the rows begin that a claim or a promotion may still find. While somebody's transaction stays open, the server cannot
// clean up behind jobs that are gone: whoever reads a lane from its start walks over all that stood there since. So this process
// remembers how far a lane is empty for good, and reads on from there.
//
// A lane is empty up to a number for good once no transaction can add a row below it: numbers are drawn in order, by
// transactions that have an xid by then (forgeq.moment). So a look that comes after another one has a higher xid than all who
// drew what that one saw, and when the xmin of a snapshot has come as far, they have ended. A transaction that only reads holds up cleaning,
// but not xmin. One that writes holds up both: then what was drawn a while ago is passed all the same, and looked at again now
// and then, for who took that long to commit.
import type { Lanes } from '../store/lanes.ts'
import type { Ask } from './client.ts'

/** Parts of a queue's lanes, in columns: each from behind (first, after) to the end of lane `last`. */
export interface Segments {
  readonly first: readonly number[]
  readonly after: readonly number[]
  readonly last: readonly number[]
}

/** Up to `after` it has no job that may be claimed. */
interface Head {
  readonly queue: number
  readonly lane: number
  after: number
  /** Jobs were taken there since the last look. */
  isMet: boolean
}

interface Sample {
  readonly takenAt: number
  /** The last number that had been drawn, and store time. */
  readonly drawn: number
  readonly now: number
  /** Who drew it, or one before it, has an xid below this one: of the next look. */
  below: number | undefined
}

interface Seen {
  readonly drawn: number
  readonly now: number
  readonly xmin: number
  /** Its own. */
  readonly xid: number
  readonly firsts: readonly (string | null)[]
  readonly later: number | null
}

/** Looks are this far apart, where jobs are taken. */
const lookMs = 100
/** What was drawn so long ago is passed, whoever has not ended. */
const patienceMs = 500
/**
 * So often all is looked at from the start, for at most so large a part of the time: for who ended late, and for rows that were
 * put in by other means.
 */
const [sweepMs, calmSweepMs, sweepPart] = [1_000, 30_000, 20]
/** What nobody has confirmed for so long may belong to another server by now, and what nobody took from is not worth a look. */
const [trustMs, keepMs] = [5_000, 60_000]
/** More lanes than anybody works on. */
const mostLanes = 1_000

/** The last sequence number that anybody may have: of `forgeq.turn`, whose numbers each stand for as many as it steps over. */
export const lastDrawn = `CASE WHEN is_called THEN last_value + 4095 ELSE last_value - 1 END`

/** Whether a row of live is in a segment `s` of lanes. */
export const inSegment = `(lane, seq) > (s.first, s.after) AND lane <= s.last`

/** A look at lanes, of which $3 is known, and at what is due first. */
const look = /* sql */ `
  SELECT ${lastDrawn} AS drawn, forgeq.moment() AS now,
    pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS xmin, pg_current_xact_id()::text::bigint AS xid,
    ARRAY(SELECT (SELECT seq FROM forgeq.live l WHERE l.queue = k.queue AND l.lane = k.lane AND l.seq > k.after AND l.worker IS NULL
      ORDER BY queue, lane, seq LIMIT 1) FROM unnest($1::int[], $2::int[], $3::bigint[]) AS k (queue, lane, after))::text[] AS firsts,
    (SELECT run_at FROM forgeq.later WHERE run_at > $4::bigint ORDER BY run_at LIMIT 1) AS later,
    set_config('synchronous_commit', 'off', true)
  FROM forgeq.turn`

const newHead = (queue: number, lane: number): Head => ({ queue, lane, after: -1, isMet: true })

export class Heads {
  readonly #heads = new Map<string, Head>()
  /** Of the jobs that are due at a time: in place of numbers it has times. */
  #later: Head = { ...newHead(0, 0), isMet: false }
  #samples: Sample[] = []
  #drawn = 0
  #confirmedAt = -Infinity
  #metAt = -Infinity
  #lookedAt = -Infinity
  #sweptAt = -Infinity
  #sweepTookMs = 0
  #isLooking = false
  /** Transactions with an xid below this may have drawn what was passed, and not have ended. */
  #unsureBelow: number | undefined

  /** What of these lanes may have jobs. */
  segments(queue: number, { from, to }: Lanes): Segments {
    const heads = this.#isTrusted ? [...this.#heads.values()].filter((head) => head.queue === queue) : []
    const known = heads.filter(({ lane }) => lane >= from && lane <= to).sort((a, b) => a.lane - b.lane)
    const starts = known[0]?.lane === from ? known : [{ lane: from, after: -1 }, ...known]
    return {
      first: starts.map(({ lane }) => lane),
      after: starts.map(({ after }) => after),
      last: starts.map((_, i) => (i + 1 < starts.length ? starts[i + 1]!.lane - 1 : to)),
    }
  }

  /** No job is due before this. */
  get later(): number {
    return this.#isTrusted ? this.#later.after : -1
  }

  /** Jobs were taken from a lane. */
  met(queue: number, lane: number): void {
    this.#metAt = performance.now()
    const key = `${queue} ${lane}`
    const head = this.#heads.get(key)
    if (head !== undefined) head.isMet = true
    else if (this.#heads.size < mostLanes) this.#heads.set(key, newHead(queue, lane))
  }

  /** Jobs that were due were taken. */
  metLater(): void {
    this.#metAt = performance.now()
    this.#later.isMet = true
  }

  /** Whether it is time for a look. */
  get isDue(): boolean {
    const now = performance.now()
    if (now - this.#metAt > keepMs) this.forget()
    if (this.#isLooking || now - this.#lookedAt < lookMs) return false
    return this.#all.some(({ isMet }) => isMet) || (this.#metAt > 0 && this.#sweepIsDue)
  }

  /** The last number that is known to have been drawn. */
  get drawn(): number {
    return this.#drawn
  }

  /** Somebody saw the store as it goes on; a lower number than the last one that was known when it was asked is another past. */
  confirm(drawn: number, known: number): void {
    if (drawn < known) this.forget()
    this.#drawn = Math.max(this.#drawn, drawn)
    this.#confirmedAt = performance.now()
  }

  /** The connection broke: who answers next may know less. */
  forget(): void {
    this.#heads.clear()
    this.#later = { ...newHead(0, 0), isMet: false }
    this.#samples = []
    this.#unsureBelow = undefined
    this.#drawn = 0
    this.#confirmedAt = -Infinity
    this.#metAt = -Infinity
  }

  async look(ask: Ask): Promise<void> {
    this.#isLooking = true
    this.#lookedAt = performance.now()
    const isSweep = this.#sweepIsDue
    const [later, known] = [this.#later, this.#drawn]
    const heads = [...this.#heads.values()].filter(({ isMet }) => isMet || isSweep)
    for (const head of this.#all) head.isMet = false
    const afters = [...heads, later].map(({ after }) => (isSweep ? -1 : after))
    try {
      const [queues, lanes] = [heads.map(({ queue }) => queue), heads.map(({ lane }) => lane)]
      const result = await ask(look, queues, lanes, afters.slice(0, -1), afters.at(-1)!)
      // Forgotten meanwhile, or something is wrong.
      if (later !== this.#later) return
      if (result === undefined) return this.forget()
      const seen = result.rows[0] as Seen
      if (isSweep) this.#swept(seen)
      this.confirm(seen.drawn, known)
      this.#pass(seen, heads)
    } finally {
      this.#isLooking = false
    }
  }

  #swept({ xmin }: Seen): void {
    this.#sweptAt = performance.now()
    this.#sweepTookMs = this.#sweptAt - this.#lookedAt
    if (this.#unsureBelow !== undefined && this.#unsureBelow <= xmin) this.#unsureBelow = undefined
  }

  #pass(seen: Seen, heads: readonly Head[]): void {
    const { drawn, now } = seen
    for (const sample of this.#samples) sample.below ??= seen.xid
    const hasEnded = ({ below }: Sample): boolean => below !== undefined && below <= seen.xmin
    const isOld = ({ takenAt }: Sample): boolean => this.#lookedAt - takenAt > patienceMs
    const passed = this.#samples.findLast((sample) => hasEnded(sample) || isOld(sample))
    if (passed !== undefined) {
      this.#samples.splice(0, this.#samples.indexOf(passed) + 1)
      if (!hasEnded(passed)) this.#unsureBelow = passed.below
    }
    this.#samples.push({ takenAt: this.#lookedAt, drawn, now, below: undefined })
    for (const [i, head] of heads.entries()) {
      const first = seen.firsts[i] ?? null
      go(head, first === null ? Infinity : Number(first), passed?.drawn)
    }
    go(this.#later, seen.later ?? Infinity, passed?.now)
  }

  get #all(): readonly Head[] {
    return [...this.#heads.values(), this.#later]
  }

  get #isTrusted(): boolean {
    return performance.now() - this.#confirmedAt < trustMs
  }

  get #sweepIsDue(): boolean {
    const everyMs = Math.max(this.#unsureBelow !== undefined ? sweepMs : calmSweepMs, sweepPart * this.#sweepTookMs)
    return performance.now() - this.#sweptAt > everyMs
  }
}

/** Up to the first row, at most as far as was passed; back to it when it came late. */
const go = (head: Head, first: number, passed = -1): void => {
  head.after = first <= head.after ? first - 1 : Math.max(head.after, Math.min(passed, first - 1))
}
