// Keys: the ready jobs of a key wait in its line; the first of them also has a place in the lanes of its queue, the key's
// token, while the key has room. So lanes hold only what may start, a claim steps over nothing, and keys take turns: when
// a token is taken, the next one goes to the end of its lane. Room is counted from what runs, so nothing leaks. Whoever
// works on the keys of a queue is alone there.
import { fillOf, slotsOfKey, windowStart } from '../core/limit.ts'
import type { Counters } from '../store/counters.ts'
import type { KeyLine } from '../store/queue-record.ts'
import type { Gate } from './gate.ts'
import { heldKey, setAlarm } from './holds.ts'
import { takeLive } from './live.ts'
import { noteStarts, windowOf } from './starts.ts'
import type { Batch, Touched, Turn } from './turn.ts'

const addToLine: Batch = {
  sql: /* sql */ `
  INSERT INTO forgeq.line (queue, key, lane, seq, job, type, at, claim, attempt, crashes, settler, moved)
  SELECT l.*, true FROM unnest($1::int[], $2::text[], $3::int[], $4::bigint[], $5::uuid[], $6::int[], $7::bigint[], $8::int[],
    $9::int[], $10::int[], $11::int[]) AS l`,
}
const takeFromLine: Batch = { sql: /* sql */ `DELETE FROM forgeq.line WHERE job = ANY ($1::uuid[])`, isExact: true }
// One step: what leaves the line is parked.
const park: Batch = {
  sql: /* sql */ `
  WITH gone AS (DELETE FROM forgeq.line WHERE job = ANY ($1::uuid[]) RETURNING *)
  INSERT INTO forgeq.parked (queue, type, lane, seq, job, at, claim, attempt, crashes, settler, key)
  SELECT queue, type, lane, seq, job, at, claim, attempt, crashes, settler, key FROM gone`,
  isExact: true,
}
const addToken: Batch = {
  sql: /* sql */ `
  INSERT INTO forgeq.live (queue, lane, seq, job, type, at, claim, attempt, crashes, settler, moved, key)
  SELECT l.queue, l.lane, t.seq, l.job, l.type, l.at, l.claim, l.attempt, l.crashes, l.settler, l.moved OR t.seq <> l.seq, l.key
  FROM unnest($1::uuid[], $2::bigint[]) AS t (job, seq) JOIN forgeq.line l ON l.job = t.job`,
  isExact: true,
}
const giveTurn: Batch = {
  sql: /* sql */ `
  INSERT INTO forgeq.key_turn (queue, key, job) SELECT * FROM unnest($1::int[], $2::text[], $3::uuid[]) ON CONFLICT DO NOTHING`,
}
const endTurn = /* sql */ `DELETE FROM forgeq.key_turn WHERE queue = $1 AND key = $2 AND job = $3`

// All there is to know of keys, one seek for each column: the first in line, the token, what runs, the hold, whose turn it
// is (in line or not), and the window of the rate.
const states = /* sql */ `
  SELECT f.lane AS first_lane, f.seq AS first_seq, f.job AS first_job, t.lane AS token_lane, t.seq AS token_seq, t.job AS token_job,
    (SELECT count(*) FROM forgeq.live l WHERE l.queue = k.queue AND l.key = k.key AND l.worker IS NOT NULL) AS held,
    (SELECT until FROM forgeq.hold h WHERE h.queue = k.queue AND h.what = 'k' || k.key AND h.until > $4) AS held_until,
    o.job AS owner, i.lane AS owner_lane, i.seq AS owner_seq, w.first_at, w.starts
  FROM unnest($1::int[], $2::text[], $3::bigint[]) WITH ORDINALITY AS k (queue, key, since, n)
    LEFT JOIN LATERAL (SELECT lane, seq, job FROM forgeq.line WHERE queue = k.queue AND key = k.key ORDER BY lane, seq LIMIT 1) f ON true
    LEFT JOIN LATERAL (
      SELECT lane, seq, job FROM forgeq.live WHERE queue = k.queue AND key = k.key AND worker IS NULL LIMIT 1) t ON true
    LEFT JOIN forgeq.key_turn o ON o.queue = k.queue AND o.key = k.key
    LEFT JOIN forgeq.line i ON i.job = o.job
    LEFT JOIN ${windowOf("'k' || k.key", 'k.since')} w ON true
  ORDER BY k.n`

interface StateRow {
  readonly first_lane: number
  readonly first_seq: number
  readonly first_job: string | null
  readonly token_lane: number
  readonly token_seq: number
  readonly token_job: string | null
  readonly held: number
  readonly held_until: number | null
  readonly owner: string | null
  readonly owner_lane: number | null
  readonly owner_seq: number
  readonly first_at: number | null
  readonly starts: number | null
}

interface Spot {
  readonly lane: number
  readonly seq: number
  readonly job: string
}

/** A key as it stands. */
export interface KeyState extends Touched {
  readonly gate: Gate
  readonly first: Spot | null
  readonly token: Spot | null
  readonly held: number
  /** The job that has the turn in a queue of ordered keys, and where it waits, if it does. */
  readonly owner: string | null
  readonly ownerSpot: Spot | null
  readonly isOpen: boolean
  /** When its rate or a hold lets it go on; `null` when neither stops it. */
  readonly opensAt: number | null
}

/** In the order of `keys`. */
export const keyStates = async (turn: Turn, keys: readonly Touched[]): Promise<readonly KeyState[]> => {
  if (keys.length === 0) return []
  const gates = new Map<number, Gate>()
  for (const { queue } of keys) if (!gates.has(queue)) gates.set(queue, await turn.gate(queue))
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
  return keys.map((key, i) => stateOf(key, gates.get(key.queue)!, rows[i]!))
}

const spotOf = (lane: number | null, seq: number, job: string | null): Spot | null =>
  lane === null || job === null ? null : { lane, seq, job }

const stateOf = (key: Touched, gate: Gate, row: StateRow): KeyState => {
  const { perKey } = gate.limits
  const fill = perKey.rate === null ? null : fillOf(perKey.rate, { count: row.starts ?? 0, firstAt: row.first_at })
  const opensAt = Math.max(row.held_until ?? 0, fill?.opensAt ?? 0) || null
  const slots = slotsOfKey(perKey)
  return {
    ...key,
    gate,
    first: spotOf(row.first_lane, row.first_seq, row.first_job),
    token: spotOf(row.token_lane, row.token_seq, row.token_job),
    held: row.held,
    owner: perKey.ordered ? row.owner : null,
    ownerSpot: perKey.ordered ? spotOf(row.owner_lane, row.owner_seq, row.owner) : null,
    isOpen: opensAt === null && (slots === null || row.held < slots),
    opensAt,
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
 * Gives the token of each key to the job that is first now, or to none. A token of a job that stays first keeps its place; a
 * job that entered the line after `since` takes the place of its own sequence number, others go to the end.
 */
export const putRight = async (turn: Turn, keys: readonly Touched[], since: number): Promise<void> => {
  if (keys.length === 0) return
  await turn.reserve(keys.length)
  for (const state of await keyStates(turn, keys)) {
    const { queue, key, gate, first, token, owner, ownerSpot, isOpen, opensAt } = state
    if (first !== null && opensAt !== null) setAlarm(turn, queue, heldKey(key), opensAt)
    const next = owner === null || first === null ? first : ownerSpot
    const mayStart = next !== null && isOpen
    if (mayStart && token?.job === next.job && token.lane === next.lane) continue
    if (token !== null) turn.push(takeLive, queue, token.lane, token.seq)
    if (!mayStart) continue
    turn.push(addToken, next.job, next.seq > since ? next.seq : turn.nextSeq())
    turn.hint(`ready:${gate.name}`)
  }
}

/** Puts the tokens of all keys right that this call has touched; the last step of a call, and of what it settles. */
export const putKeysRight = async (turn: Turn): Promise<void> => {
  await putRight(turn, turn.takeTouched(), turn.callSeq)
  for (const queue of turn.takeFreed()) {
    const { limits, name } = await turn.gate(queue)
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
    Infinity,
  )
}

/** A job leaves its line to be parked. In a queue of ordered keys the others wait for it. */
export const parkFromLine = (turn: Turn, { queue, limits }: Gate, key: string, job: string): void => {
  turn.push(park, job)
  if (limits.perKey.ordered) turn.push(giveTurn, queue, key, job)
}

/** A job with a key has ended, whatever became of it: it has no turn any more. */
export const endOfKeyed = async (turn: Turn, { queue, key }: Touched, job: string): Promise<void> => {
  if (!(await turn.gate(queue)).limits.perKey.ordered) return
  if ((await turn.run(endTurn, queue, key, job)) > 0) turn.touch(queue, key)
}

export const lineOf = async (turn: Turn, queue: number, key: string, job: string): Promise<KeyLine> => {
  const { first, held, opensAt, owner } = (await keyStates(turn, [{ queue, key }]))[0]!
  const isOthers = owner !== null && owner !== job
  return { isNext: owner === job || (!isOthers && first?.job === job), held, opensAt, turnOf: isOthers ? owner : null }
}
