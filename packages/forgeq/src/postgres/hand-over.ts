// Exchanges in which nothing is out of the ordinary, as one message with their commit (schema-hand-over.ts).
import { caps } from '../core/caps.ts'
import { lastLevel, levelOf, levels } from '../store/lanes.ts'
import { claimedPolicy } from '../store/policy-text.ts'
import type { Claimed, ExchangeReply, ExchangeRequest, Settlement } from '../store/records.ts'
import type { Topic } from '../store/store.ts'
import { heldOf, type Claims, type Held } from './claims.ts'
import type { Value } from './client.ts'
import type { Direct, Refusals } from './direct.ts'
import type { Heads } from './heads.ts'
import type { Names } from './names.ts'
import { ordersOf, type Cancels } from './news.ts'

const handOver = /* sql */ `
  SELECT * FROM forgeq.hand_over($1, $2::bigint, $3::int[],
    $4::uuid[], $5::int[], $6::int[], $7::bigint[], $8::int[], $9::bigint[], $10::bigint[], $11::text[],
    $12::bigint[], $13::text[], $14::int[], $15::int[], $16::int, $17::int[], $18::int[], $19::bigint[], $20::int[], $21::bigint)`

/** Claims and settlements of one call, whose numbers of order are drawn at once; a worker with more slots has to ask again. */
const mostRows = 2_000

interface Head {
  readonly now: number
  readonly due: number | null
  readonly cancelled: Cancels
  readonly is_cut: boolean
}

interface Row {
  readonly of_queue: number
  readonly lane: number
  readonly seq: number
  readonly id: string
  readonly type: string
  readonly claim: number
  readonly attempt: number
  readonly payload: string
  readonly created_at: number
  readonly policy: string | null
  readonly attempt_base: number
  readonly is_unique: boolean
}

export interface Knowing {
  readonly names: Names
  readonly heads: Heads
  readonly claims: Claims
  readonly refusals: Refusals
  readonly isAwaited: (id: string) => boolean
}

/** `undefined` for what takes a transaction. */
export const handOverDirectly = (knowing: Knowing, request: ExchangeRequest): Direct<ExchangeReply> | undefined => {
  const { names, heads, claims, refusals } = knowing
  const { worker, turn, settlements, notes, slots } = request
  // Whatever settles them, they are not held any longer.
  const held = settlements.map(({ job }) => claims.take(worker, job))
  const wants = slots === 0 ? [] : request.wants.filter((want) => want.slots > 0)
  const kind = `exchange ${wants.map(({ queue }) => queue).join(' ')}`
  if (notes.length > 0 || settlements.length > mostRows || refusals.has(kind)) return undefined
  if (settlements.some((settlement, i) => !isPlain(settlement) || held[i]?.claim !== settlement.claim)) return undefined
  const theirs = held as readonly Held[]
  const known = wants.flatMap((want) => {
    const queue = names.queue.find(want.queue)
    return queue === undefined ? [] : [{ ...want, number: queue }]
  })
  if (known.length + theirs.length === 0) return undefined
  // What has no number yet may have one by now, which the long way asks for. Who is busy need not ask each time.
  if (known.length < wants.length) {
    const unknown = `unknown ${kind}`
    if (theirs.length === 0 || !refusals.has(unknown)) {
      refusals.add(unknown)
      return undefined
    }
  }
  const parts = known.map(({ number }) => ({ number, ...heads.segments(number, levels(0, lastLevel)) }))
  const entered = new Set([...known.map(({ number }) => number), ...theirs.map(({ queue }) => queue)])
  const most = Math.min(slots, mostRows)
  const values = [
    worker,
    turn,
    [...entered].sort((a, b) => a - b),
    theirs.map(({ job }) => job),
    theirs.map(({ queue }) => queue),
    theirs.map(({ lane }) => lane),
    theirs.map(({ seq }) => seq),
    theirs.map(({ claim }) => claim),
    theirs.map((one) => one.turn),
    theirs.map(({ keepMs }) => keepMs),
    settlements.map((one) => (one.outcome === 'complete' ? one.result : null)),
    ...retriesOf(settlements),
    known.map(({ number }) => number),
    known.map((want) => Math.min(want.slots, most)),
    known.length === 0 ? 0 : most,
    parts.flatMap(({ number, first }) => first.map(() => number)),
    parts.flatMap(({ first }) => first),
    parts.flatMap(({ after }) => after),
    parts.flatMap(({ last }) => last),
    heads.later,
  ]
  const answer = ([head, ...rows]: readonly unknown[]) => {
    if (head === undefined) return undefined
    const { now, due, cancelled, is_cut: isCut } = head as Head
    const taken = rows as readonly Row[]
    claims.add(
      worker,
      taken.filter((row) => !row.is_unique).map((row) => heldOf(row, { queue: row.of_queue, claim: row.claim, turn })),
    )
    for (const { of_queue, lane } of taken) heads.met(of_queue, lane)
    const value: ExchangeReply = {
      closed: false,
      verdicts: settlements.map(() => 'applied'),
      claimed: taken.map((row) => claimedOf(names, row)),
      orders: ordersOf(cancelled),
      suspects: false,
      more: isCut || (most < slots && taken.length === most),
      nextDueAt: due,
      now,
    }
    const ended = settlements.filter(({ outcome, job }) => outcome === 'complete' && knowing.isAwaited(job))
    const delays = settlements.flatMap((one) => (one.outcome === 'retry' ? [one.delayMs] : []))
    return { value, hints: ended.map(({ job }): Topic => `ended:${job}`), dueAt: now + Math.min(...delays) }
  }
  return { kinds: [kind], statements: [{ sql: handOver, values }], answer: ([rows]) => answer(rows!) }
}

/** A try that failed has its row in the history, of which only so many are kept. */
const isPlain = (settlement: Settlement): boolean =>
  settlement.outcome === 'complete'
    ? (settlement.followUps ?? []).length === 0
    : settlement.outcome === 'retry' && settlement.delayMs > 0 && settlement.claim <= caps.attemptsKept

/** After which time each is tried again, and why; `null` when none is. */
const retriesOf = (settlements: readonly Settlement[]): readonly [Value, Value] => {
  const retries = settlements.map((one) => (one.outcome === 'retry' ? one : undefined))
  if (retries.every((one) => one === undefined)) return [null, null]
  return [
    retries.map((one) => one?.delayMs ?? null),
    retries.map((one) => (one === undefined ? null : JSON.stringify(one.error))),
  ]
}

const claimedOf = (names: Names, row: Row): Claimed => ({
  job: row.id,
  claim: row.claim,
  type: row.type,
  payload: row.payload,
  attempt: row.attempt,
  attemptBase: row.attempt_base,
  crashes: 0,
  createdAt: row.created_at,
  policy: claimedPolicy(row.policy, names.queue.name(row.of_queue), levelOf(row.lane), row.attempt_base),
})
