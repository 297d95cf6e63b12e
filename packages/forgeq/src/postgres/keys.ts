// Keys: the ready jobs of a key wait in its line; the first of them also has a place in the lanes of its queue, the key's
// token, while the key has room. So lanes hold only what may start, a claim steps over nothing, and keys take turns: when
// a token is taken, the next one goes to the end of its lane. Room is counted from what runs, so nothing leaks. Whoever
// works on the keys of a queue is alone there.
import { fillOf, slotsOfKey, windowStart } from '../core/limit.ts'
import type { Counters } from '../core/counters.ts'
import { freshLane, laneOf, levelOf } from '../store/lanes.ts'
import type { KeyLine } from '../store/queue-record.ts'
import { exactly, type Batch } from './batch.ts'
import type { Gate } from './gate.ts'
import { heldKey, setAlarm } from './holds.ts'
import { takeLive } from './live.ts'
import { rowOf } from './seek.ts'
import { noteStarts, windowOf } from './starts.ts'
import type { Touched, Turn } from './turn.ts'

const addToLine: Batch = {
  sql: /* sql */ `
  INSERT INTO forgeq.line (queue, key, lane, seq, job, type, at, claim, attempt, crashes, settler, moved)
  SELECT l.*, true FROM unnest($1::int[], $2::text[], $3::int[], $4::bigint[], $5::uuid[], $6::int[], $7::bigint[], $8::int[],
    $9::int[], $10::int[], $11::int[]) AS l`,
}
const takeFromLine: Batch = { sql: exactly(/* sql */ `DELETE FROM forgeq.line WHERE job = ANY ($1::uuid[])`) }
// One step: what leaves the line is parked.
const park: Batch = {
  sql: exactly(
    /* sql */ `
  INSERT INTO forgeq.parked (queue, type, lane, seq, job, at, claim, attempt, crashes, settler, key)
  SELECT queue, type, lane, seq, job, at, claim, attempt, crashes, settler, key FROM gone`,
    /* sql */ `gone AS (DELETE FROM forgeq.line WHERE job = ANY ($1::uuid[]) RETURNING *)`,
  ),
}
const addToken: Batch = {
  sql: exactly(/* sql */ `
  INSERT INTO forgeq.live (queue, lane, seq, job, type, at, claim, attempt, crashes, settler, moved, key)
  SELECT l.queue, t.lane, t.seq, l.job, l.type, l.at, l.claim, l.attempt, l.crashes, l.settler, true, l.key
  FROM unnest($1::uuid[], $2::int[], $3::bigint[]) AS t (job, lane, seq) CROSS JOIN ${rowOf('line', 'l', 'job = t.job')}`),
}
const giveTurn: Batch = {
  sql: /* sql */ `
  INSERT INTO forgeq.key_turn (queue, key, job) SELECT * FROM unnest($1::int[], $2::text[], $3::uuid[]) ON CONFLICT DO NOTHING`,
}
const endTurn = /* sql */ `DELETE FROM forgeq.key_turn WHERE queue = $1 AND key = $2 AND job = $3`

// All there is to know of keys, one seek for each column: the first in line, the token, what runs, the hold, whose turn it
// is (in line or not), and the window of the rate.
const states = /* sql */ `
  SELECT f.lane AS first_lane, f.seq AS first_seq, f.job AS first_job, f.type AS first_type, t.lane AS token_lane, t.seq AS token_seq, t.job AS token_job,
    (SELECT count(*) FROM forgeq.live l WHERE l.queue = k.queue AND l.key = k.key AND l.worker IS NOT NULL) AS running,
    (SELECT until FROM forgeq.hold h WHERE h.queue = k.queue AND h.what = 'k' || k.key AND h.until > $4) AS held_until,
    o.job AS owner, i.lane AS owner_lane, i.seq AS owner_seq, i.type AS owner_type, w.first_at, w.starts
  FROM unnest($1::int[], $2::text[], $3::bigint[]) WITH ORDINALITY AS k (queue, key, since, n)
    LEFT JOIN LATERAL (SELECT lane, seq, job, type FROM forgeq.line WHERE queue = k.queue AND key = k.key ORDER BY lane, seq LIMIT 1) f ON true
    LEFT JOIN LATERAL (
      SELECT lane, seq, job FROM forgeq.live WHERE queue = k.queue AND key = k.key AND worker IS NULL LIMIT 1) t ON true
    LEFT JOIN ${rowOf('key_turn', 'o', 'queue = k.queue AND key = k.key')} ON true
    LEFT JOIN ${rowOf('line', 'i', 'job = o.job')} ON true
    LEFT JOIN ${windowOf("'k' || k.key", 'k.since')} w ON true
  ORDER BY k.n`

// The first of each type in the lines of keys: a walk over types, not over jobs.
const firstsByType = /* sql */ `
  SELECT k.n, x.lane, x.seq, x.job, x.type
  FROM unnest($1::int[], $2::text[]) WITH ORDINALITY AS k (queue, key, n) CROSS JOIN LATERAL (
    WITH RECURSIVE t AS (
      (SELECT type FROM forgeq.line WHERE queue = k.queue AND key = k.key ORDER BY type LIMIT 1)
      UNION ALL
      SELECT (SELECT l.type FROM forgeq.line l WHERE l.queue = k.queue AND l.key = k.key AND l.type > t.type ORDER BY l.type LIMIT 1)
      FROM t WHERE t.type IS NOT NULL)
    SELECT f.* FROM t CROSS JOIN LATERAL (
      SELECT lane, seq, job, type FROM forgeq.line WHERE queue = k.queue AND key = k.key AND type = t.type
      ORDER BY queue, key, type, lane, seq LIMIT 1) f) x`

interface StateRow {
  readonly first_lane: number
  readonly first_seq: number
  readonly first_job: string | null
  readonly first_type: number
  readonly token_lane: number
  readonly token_seq: number
  readonly token_job: string | null
  readonly running: number
  readonly held_until: number | null
  readonly owner: string | null
  readonly owner_lane: number | null
  readonly owner_seq: number
  readonly owner_type: number
  readonly first_at: number | null
  readonly starts: number | null
}

interface Spot {
  readonly lane: number
  readonly seq: number
  readonly job: string
}

interface TypedSpot extends Spot {
  readonly type: number
}

/** A key as it stands. */
export interface KeyState extends Touched {
  readonly gate: Gate
  readonly isEmpty: boolean
  readonly token: Spot | null
  readonly running: number
  /** The job that has the turn in a queue of ordered keys. */
  readonly owner: string | null
  /** Who of the line is next: the first whose type nobody holds back; in a queue of ordered keys nobody overtakes. */
  readonly next: Spot | null
  readonly isOpen: boolean
  /** A handler held the key back until then, its rate lets it go on then; `null` where that does not stop it. */
  readonly heldUntil: number | null
  readonly rateOpensAt: number | null
  /** Until when types that are held back keep others of the line from being next. */
  readonly typesHeldUntil: number | null
}

/** In the order of `keys`. */
export const keyStates = async (turn: Turn, keys: readonly Touched[]): Promise<readonly KeyState[]> => {
  if (keys.length === 0) return []
  const gates = new Map<number, Gate>()
  for (const { queue } of keys) if (!gates.has(queue)) gates.set(queue, await turn.gates.of(queue))
  const rows = await turn.all<StateRow>(
    states,
    keys.map(({ queue }) => queue),
    keys.map(({ key }) => key),
    keys.map(({ queue }) => {
      const { rate } = gates.get(queue)!.limits.perKey
      return rate === null ? turn.now : windowStart(rate, turn.now)
    }),
    turn.now,
  )
  const typed = await typesOf(turn, keys, gates)
  return keys.map((key, i) => stateOf(key, gates.get(key.queue)!, rows[i]!, typed.get(i) ?? []))
}

/** The first of each type, of those keys for which that matters. */
const typesOf = async (
  turn: Turn,
  keys: readonly Touched[],
  gates: ReadonlyMap<number, Gate>,
): Promise<ReadonlyMap<number, readonly TypedSpot[]>> => {
  const asked = keys.flatMap((key, i) => {
    const { holds, limits } = gates.get(key.queue)!
    return holds.types.size > 0 && !limits.perKey.ordered ? [{ ...key, i }] : []
  })
  const spots = new Map<number, TypedSpot[]>()
  if (asked.length === 0) return spots
  const rows = await turn.all<TypedSpot & { n: number }>(
    firstsByType,
    asked.map(({ queue }) => queue),
    asked.map(({ key }) => key),
  )
  for (const { n, ...spot } of rows) {
    const { i } = asked[n - 1]!
    spots.set(i, [...(spots.get(i) ?? []), spot])
  }
  return spots
}

const spotOf = (lane: number | null, seq: number, job: string | null): Spot | null =>
  lane === null || job === null ? null : { lane, seq, job }

const stateOf = (key: Touched, gate: Gate, row: StateRow, byType: readonly TypedSpot[]): KeyState => {
  const { perKey } = gate.limits
  const fill = perKey.rate === null ? null : fillOf(perKey.rate, { count: row.starts ?? 0, firstAt: row.first_at })
  const rateOpensAt = fill?.opensAt ?? null
  const slots = slotsOfKey(perKey)
  const owner = perKey.ordered ? row.owner : null
  const first = spotOf(row.first_lane, row.first_seq, row.first_job)
  const only = owner === null ? first : spotOf(row.owner_lane, row.owner_seq, row.owner)
  const candidates =
    byType.length > 0
      ? byType
      : only === null
        ? []
        : [{ ...only, type: owner === null ? row.first_type : row.owner_type }]
  const ends = candidates.flatMap(({ type }) => gate.holds.types.get(type) ?? [])
  const free = candidates.filter(({ type }) => !gate.holds.types.has(type))
  free.sort((a, b) => a.lane - b.lane || a.seq - b.seq)
  return {
    ...key,
    gate,
    isEmpty: first === null,
    token: spotOf(row.token_lane, row.token_seq, row.token_job),
    running: row.running,
    owner,
    next: free[0] ?? null,
    isOpen: row.held_until === null && rateOpensAt === null && (slots === null || row.running < slots),
    heldUntil: row.held_until,
    rateOpensAt,
    typesHeldUntil: ends.length === 0 ? null : Math.min(...ends),
  }
}

/** A job that became ready waits for its key. */
export const enterLine = (
  turn: Turn,
  job: Touched & { readonly id: string; readonly type: number },
  lane: number,
  at: number,
  { claim, attempt, crashes, settler }: Counters,
): void => {
  const { queue, key, id, type } = job
  turn.push(addToLine, queue, key, lane, turn.nextSeq(), id, type, at, claim, attempt, crashes, settler)
  turn.touch(queue, key)
}

export const leaveLine = (turn: Turn, { queue, key }: Touched, job: string): void => {
  turn.push(takeFromLine, job)
  turn.touch(queue, key)
}

/**
 * Gives the token of each key to the job that is next now, or to none. It keeps its place when it goes from one job to another
 * of the same level; else a job that entered the line after `since` takes the place of its own sequence number, any other the
 * end. `null`, in a claim: always the end. Tokens are all among the fresh: whose jobs came back must not hold up other keys.
 */
export const putRight = async (turn: Turn, keys: readonly Touched[], since: number | null): Promise<void> => {
  if (keys.length === 0) return
  await turn.reserve(keys.length)
  const given: Spot[] = []
  for (const state of await keyStates(turn, keys)) {
    const { queue, key, gate, isEmpty, token, next, isOpen } = state
    const opensAt = Math.max(state.heldUntil ?? 0, state.rateOpensAt ?? 0) || state.typesHeldUntil
    if (!isEmpty && opensAt !== null) setAlarm(turn, queue, heldKey(key), opensAt)
    const to = next === null || !isOpen ? null : { ...next, lane: laneOf(levelOf(next.lane), freshLane) }
    if (token?.job === to?.job && token?.lane === to?.lane) continue
    if (token !== null) turn.push(takeLive, queue, token.lane, token.seq)
    if (to === null) continue
    given.push({ ...to, seq: since === null ? turn.nextSeq() : placeOf(turn, to, token, since) })
    turn.hint(`ready:${gate.name}`)
  }
  // Rows of a kind are written together: all places that are left are free before anybody takes one.
  for (const { job, lane, seq } of given) turn.push(addToken, job, lane, seq)
}

const placeOf = (turn: Turn, to: Spot, token: Spot | null, since: number): number => {
  if (token?.lane === to.lane) return token.seq
  return to.seq > since ? to.seq : turn.nextSeq()
}

/** Puts the tokens of all keys right that this call has touched; the last step of a call, and of what it settles. */
export const putKeysRight = async (turn: Turn): Promise<void> => {
  await putRight(turn, turn.takeTouched(), turn.callSeq)
  for (const queue of turn.takeFreed()) {
    const { limits, name } = await turn.gates.of(queue)
    if (limits.concurrency !== null) turn.hint(`ready:${name}`)
  }
}

/** Jobs of keys were handed out, one of each. */
export const tookTokens = async (
  turn: Turn,
  gate: Gate,
  jobs: readonly { readonly key: string; readonly job: string }[],
): Promise<void> => {
  const { queue, limits } = gate
  for (const { key, job } of jobs) {
    turn.push(takeFromLine, job)
    if (limits.perKey.ordered) turn.push(giveTurn, queue, key, job)
    if (limits.perKey.rate !== null) noteStarts(turn, queue, `k${key}`, 1, limits.perKey.rate)
  }
  await putRight(
    turn,
    jobs.map(({ key }) => ({ queue, key })),
    null,
  )
}

/** A job leaves its line to be parked. In a queue of ordered keys the others wait for it. */
export const parkFromLine = (turn: Turn, { queue, limits }: Gate, key: string, job: string): void => {
  turn.push(park, job)
  if (limits.perKey.ordered) turn.push(giveTurn, queue, key, job)
}

/** A job of the key stopped running. It has the turn already, unless its queue was not ordered when it started. */
export const goesOn = async (turn: Turn, { queue, key }: Touched, job: string): Promise<void> => {
  if ((await turn.gates.of(queue)).limits.perKey.ordered) turn.push(giveTurn, queue, key, job)
  turn.touch(queue, key)
}

/** A job with a key has ended, whatever became of it: it has no turn any more. */
export const endOfKeyed = async (turn: Turn, { queue, key }: Touched, job: string): Promise<void> => {
  if (!(await turn.gates.of(queue)).limits.perKey.ordered) return
  if ((await turn.run(endTurn, queue, key, job)) > 0) turn.touch(queue, key)
}

export const lineOf = async (turn: Turn, queue: number, key: string, job: string): Promise<KeyLine> => {
  const { next, running, heldUntil, rateOpensAt, owner } = (await keyStates(turn, [{ queue, key }]))[0]!
  const turnOf = owner === null || owner === job ? null : owner
  return { isNext: next?.job === job, running, heldUntil, rateOpensAt, turnOf }
}
