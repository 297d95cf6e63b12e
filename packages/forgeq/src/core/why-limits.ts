// What of the limits of its queue keeps a ready job from being handed out. What else it may wait for: why.ts.
import type { KeyLine, QueueRecord } from '../store/queue-record.ts'
import type { JobRecord } from '../store/records.ts'
import { formatMs } from './duration.ts'
import { slotsOfKey, type RateFill } from './limit.ts'
import { formatRate } from './limit-text.ts'
import { nameLevel } from './policy.ts'

export type LimitReason =
  | 'queue-held'
  | 'queue-rate'
  | 'level-rate'
  | 'queue-concurrency'
  | 'type-held'
  | 'key-held'
  | 'key-rate'
  | 'key-slots'
  | 'key-turn'

/** A reason and the sentence that says it. */
export type Limited = readonly [reason: LimitReason, text: string]

/** The first thing that is closed, from the queue down to the key; `undefined`: nothing is. */
export const explainLimits = (job: JobRecord, queue: QueueRecord, now: number): Limited | undefined =>
  ofQueue(job, queue, now) ?? (job.line && ofKey(job.line, queue, now))

function ofQueue({ type, policy }: JobRecord, record: QueueRecord, now: number): Limited | undefined {
  const { queue, limits, fill, heldUntil, heldTypes, counts } = record
  const { rate, rates, concurrency } = limits
  if (isAhead(heldUntil, now)) return ['queue-held', heldBack(`Queue ${queue} is`, heldUntil, now)]
  if (rate !== null && isClosed(fill.rate, now)) {
    const used = `Queue ${queue} has used up its rate of ${formatRate(rate)}${opening(fill.rate.opensAt, now)}`
    return ['queue-rate', `${used}: wait, or raise it with \`forgeq queues limit ${queue} --rate\`.`]
  }
  const level = policy.priority
  const [ofLevel, left] = [rates[level], fill.rates[level]]
  if (ofLevel !== undefined && isClosed(left, now)) {
    const used = `Priority ${nameLevel(level)} of queue ${queue} has used up its rate of ${formatRate(ofLevel)}`
    return ['level-rate', `${used}${opening(left.opensAt, now)}: wait, or ${raiseLevel(queue, level)}.`]
  }
  if (concurrency !== null && counts.running >= concurrency) {
    const full = `Queue ${queue} may run ${concurrency} at a time, and as many are running`
    return ['queue-concurrency', `${full}: wait, or raise it with \`forgeq queues limit ${queue} --concurrency\`.`]
  }
  const typeHeld = Object.hasOwn(heldTypes, type) ? heldTypes[type]! : null
  return isAhead(typeHeld, now)
    ? ['type-held', heldBack(`Jobs of type ${type} in queue ${queue} are`, typeHeld, now)]
    : undefined
}

function ofKey(
  { running, heldUntil, rateOpensAt, turnOf }: KeyLine,
  { queue, limits }: QueueRecord,
  now: number,
): Limited | undefined {
  const { perKey } = limits
  // Whichever lasts longer.
  if (isAhead(heldUntil, now) && heldUntil >= (rateOpensAt ?? 0)) {
    return ['key-held', heldBack('Its key is', heldUntil, now)]
  }
  if (perKey.rate !== null && isAhead(rateOpensAt, now)) {
    const used = `Its key has used up its rate of ${formatRate(perKey.rate)}${opening(rateOpensAt, now)}`
    return ['key-rate', `${used}: wait, or raise it with ${raiseKey(queue, 'rate')}.`]
  }
  if (turnOf !== null) {
    const order = `Job ${turnOf} of its key has to end first, because queue ${queue} keeps the order of its keys`
    return ['key-turn', `${order}: \`forgeq jobs why ${turnOf}\` says what that waits for.`]
  }
  const slots = slotsOfKey(perKey)
  if (slots === null || running < slots) return undefined
  const others = slots === 1 ? 'Another job of its key is running' : `${slots} other jobs of its key are running`
  const raise = perKey.ordered ? 'wait' : `wait, or raise it with ${raiseKey(queue, 'concurrency')}`
  return ['key-slots', `${others}, as many as may: ${raise}.`]
}

const isAhead = (at: number | null, now: number): at is number => at !== null && at > now

const isClosed = (fill: RateFill | null | undefined, now: number): fill is RateFill & { opensAt: number } =>
  fill !== null && fill !== undefined && fill.left === 0 && isAhead(fill.opensAt, now)

const opening = (at: number, now: number): string => ` and opens in ${formatMs(at - now)}`

const heldBack = (what: string, until: number, now: number): string =>
  `${what} held back for another ${formatMs(until - now)}, because a handler threw RateLimited: wait until then.`

const flags: Readonly<Record<string, string>> = { high: '--rate-high', normal: '--rate-normal', low: '--rate-low' }

/** The command line names three of ten priorities. */
function raiseLevel(queue: string, level: number): string {
  const flag = flags[nameLevel(level)]
  return flag === undefined
    ? `raise ratePerPriority ${level} with \`forge.admin.limit\``
    : `raise it with \`forgeq queues limit ${queue} ${flag}\``
}

const raiseKey = (queue: string, what: 'rate' | 'concurrency'): string =>
  `\`forgeq queues limit ${queue} --key-${what}\``
