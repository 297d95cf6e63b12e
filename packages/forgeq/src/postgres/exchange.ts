// One exchange: notes, settlements and a claim in one transaction, under the worker's turn number. A turn that is sent again
// has the same answer.
import { ForgeError } from '../core/errors.ts'
import { claimedOf, type HeldRow } from '../store/rows.ts'
import type { Claimed, Closed, ExchangeReply, ExchangeRequest } from '../store/records.ts'
import type { Handout } from '../store/handout.ts'
import { claim } from './claim.ts'
import { inSegment } from './heads.ts'
import { putKeysRight } from './keys.ts'
import { firstDue } from './due.ts'
import { makeUpFor, openWorker } from './lease.ts'
import { cancelsOf, ordersOf, type Cancels } from './news.ts'
import { addNotes } from './notes.ts'
import { isOpenTo } from './openings.ts'
import { Pages } from './pages.ts'
import { rowOf } from './seek.ts'
import { readSettling, settle } from './settle.ts'
import { holding, rarities, rarityColumns, suspectsWait, type Rarities } from './suspects.ts'
import type { Turn } from './turn.ts'

// A row for the last turn of each worker. It is added and the one before taken away: a row that is changed again and again leaves
// versions, and while somebody's transaction stays open whoever seeks it walks over them. Nothing is added for a turn that was.
const beginTurn = /* sql */ `
  WITH w AS MATERIALIZED (SELECT id FROM forgeq.worker WHERE uid = $1 AND NOT closed),
  before AS (DELETE FROM forgeq.exchange WHERE worker = (SELECT id FROM w) AND turn = (
    SELECT e.turn FROM forgeq.exchange e WHERE e.worker = (SELECT id FROM w) AND e.turn < $2 ORDER BY e.turn DESC LIMIT 1)),
  begun AS (
    INSERT INTO forgeq.exchange (worker, turn) SELECT w.id, $2 FROM w
    WHERE NOT EXISTS (SELECT 1 FROM forgeq.exchange e WHERE e.worker = w.id AND e.turn > $2 OFFSET 0) ON CONFLICT DO NOTHING RETURNING 1)
  SELECT NOT EXISTS (SELECT 1 FROM begun) AS "isRepeat", ${rarityColumns}`

interface NewTurn extends Rarities {
  readonly isRepeat: boolean
}

const lastTurn = /* sql */ `SELECT turn FROM forgeq.exchange WHERE worker = $1 ORDER BY turn DESC LIMIT 1`
const heldOfTurn = /* sql */ `
  SELECT j.id AS job, r.claim, r.attempt, r.crashes, q.name AS queue, t.name AS type, j.payload, j.created_at, j.policy,
    j.attempt_base, j.priority
  FROM forgeq.held h CROSS JOIN LATERAL unnest(h.lanes, h.seqs) WITH ORDINALITY AS k (lane, seq, n)
    CROSS JOIN ${rowOf('live', 'r', 'queue = h.queue AND lane = k.lane AND seq = k.seq AND worker = h.worker AND turn = h.turn')}
    CROSS JOIN ${rowOf('job', 'j', 'id = r.job')} JOIN forgeq.queue q ON q.id = j.queue JOIN forgeq.type t ON t.id = j.type
  WHERE h.worker = $1 AND h.turn = $2 ORDER BY r.lane, r.seq`

/** `beside`: is done once its worker is locked, and before it claims. */
export const exchange = async (
  turn: Turn,
  request: ExchangeRequest,
  beside?: () => Promise<unknown>,
): Promise<ExchangeReply | Closed> => {
  const { settlements, notes } = request
  const pages = new Pages(turn)
  // Asked together, in the order in which all lock: the worker, then queues.
  const [worker, settling, begun] = await Promise.all([
    openWorker(turn, request.worker),
    readSettling(turn, settlements, queuesOf(turn, request)),
    // What it reads of jobs is read with the queues entered.
    turn.one<NewTurn>(beginTurn, request.worker, request.turn),
    pages.askAhead(request),
    beside?.(),
  ])
  if (worker === undefined) return { closed: true }
  const { isRepeat } = begun!
  if (isRepeat) {
    const { turn: last } = (await turn.one<{ turn: number }>(lastTurn, worker.id))!
    if (request.turn < last) {
      throw new ForgeError('LEASE_LOST', `turn ${request.turn} of worker ${worker.uid} is over: its turn is ${last}`)
    }
  } else {
    // Before the settlements: the last words of a claim are still under its fence.
    await addNotes(turn, worker.id, notes)
  }
  const settler = { worker: worker.id, rescue: false, turn: request.turn }
  const verdicts = await settle(turn, settler, settlements, settling)
  await putKeysRight(turn)
  // Only who settles a crash makes suspects.
  const rare = settlements.some(({ outcome }) => outcome === 'crash') ? await rarities(turn) : begun!
  turn.gates.noteSuspects(rare.suspects)
  const suspects = await suspectsWait(turn, worker.types, request, rare)
  const claimer = { id: worker.id, turn: request.turn, types: new Set(worker.types) }
  const { claimed, more, metKeys } = isRepeat
    ? await repeat(turn, worker.id, request)
    : await claim(claimer, request, { ...rare, suspects, holds: await holding(turn, worker.id, rare) }, pages)
  await putKeysRight(turn)
  const suspectsLeft = (suspects || metKeys) && (await suspectsWait(turn, worker.types, request, await rarities(turn)))
  await makeUpFor(turn, worker)
  const { now } = turn
  const reply = {
    closed: false as const,
    verdicts,
    claimed,
    suspects: suspectsLeft,
    more,
    orders: [],
    nextDueAt: null,
    now,
  }
  // What is only told is asked for together with the commit.
  turn.atEnd(async () => Object.assign(reply, await news(turn, worker.id)))
  return reply
}

const allNews = /* sql */ `
  SELECT ${firstDue('$1')} AS at, ${cancelsOf('$2')} AS cancelled`

interface News {
  readonly at: number | null
  readonly cancelled: Cancels
}

/** What every answer tells. */
const news = async (turn: Turn, worker: number): Promise<Pick<ExchangeReply, 'orders' | 'nextDueAt' | 'now'>> => {
  const { at, cancelled } = (await turn.one<News>(allNews, turn.heads.later, worker))!
  return { orders: ordersOf(cancelled), nextDueAt: at, now: turn.now }
}

/** The queues it wants from and leaves jobs in; what it settles is mostly from the former. */
const queuesOf = (turn: Turn, { wants, settlements }: ExchangeRequest): ReadonlyMap<number, boolean> => {
  const queues = new Map<number, boolean>()
  for (const want of wants) {
    const queue = turn.names.queue.find(want.queue)
    if (queue !== undefined) queues.set(queue, false)
  }
  for (const settlement of settlements) {
    if (settlement.outcome !== 'complete') continue
    for (const { policy, key } of settlement.followUps ?? []) {
      const queue = turn.names.queue.id(policy.queue)
      queues.set(queue, key !== undefined || queues.get(queue) === true)
    }
  }
  return queues
}

/** The lost answer may have said that there is more; asking once more than needed is harmless. */
const repeat = async (turn: Turn, worker: number, request: ExchangeRequest): Promise<Handout> => {
  const claimed = await heldSince(turn, worker, request)
  return { claimed, more: claimed.length === 0 && request.slots > 0, metKeys: true }
}

/** What the last turn claimed, in the same order. */
const heldSince = async (turn: Turn, worker: number, request: ExchangeRequest): Promise<Claimed[]> => {
  const order = new Map(request.wants.map((want, i) => [want.queue, i]))
  const rows = [...(await turn.all<HeldRow>(heldOfTurn, worker, request.turn))]
  rows.sort((a, b) => (order.get(a.queue) ?? 0) - (order.get(b.queue) ?? 0))
  return rows.map(claimedOf)
}

const lookAtWorker = /* sql */ `
  SELECT id, closed, types, coalesce((SELECT e.turn FROM forgeq.exchange e WHERE e.worker = w.id ORDER BY e.turn DESC LIMIT 1), 0) AS turn
  FROM forgeq.worker w WHERE uid = $1`
const claimable = (filter: string): string => /* sql */ `
  SELECT 1 WHERE EXISTS (
      SELECT 1 FROM unnest($5::int[], $6::bigint[], $7::int[]) AS s (first, after, last) CROSS JOIN LATERAL (
        SELECT 1 FROM forgeq.live WHERE queue = $1 AND ${inSegment} AND worker IS NULL ${filter}
        LIMIT 1) l)
    OR EXISTS (SELECT 1 FROM forgeq.parked WHERE queue = $1 AND type = ANY ($4::int[]) AND lane BETWEEN $2 AND $3 ${filter})`
const anyClaimable = claimable('')
const otherClaimable = claimable('AND crashes = 0')

/** The answer without a write, for idle workers that poll; `undefined` when there may be something to replay or to claim. */
export const idleExchange = async (
  turn: Turn,
  request: ExchangeRequest,
): Promise<ExchangeReply | Closed | undefined> => {
  const worker = await turn.one<{ id: number; closed: boolean; turn: number; types: readonly number[] }>(
    lookAtWorker,
    request.worker,
  )
  if (worker === undefined || worker.closed) return { closed: true }
  if (request.turn <= worker.turn) return undefined
  const wants = request.slots > 0 ? request.wants.filter((want) => want.slots > 0) : []
  const mine = request.suspects === 'skip' ? otherClaimable : anyClaimable
  const rare = await rarities(turn)
  const suspects = await suspectsWait(turn, worker.types, request, rare)
  const getsOthers = request.suspects !== 'apart' || !(await holding(turn, worker.id, rare)).suspect
  if (getsOthers || (suspects && request.suspectSlots !== 0)) {
    for (const { queue } of wants) if (await isOpenTo(turn, queue, worker.types, mine)) return undefined
  }
  return { closed: false, verdicts: [], claimed: [], suspects, more: false, ...(await news(turn, worker.id)) }
}
