// Queues in words: what limits each and what is closed, in a few of them for lists and one a line for `queues show`.
import { formatMs } from '../core/duration.ts'
import type { Rate, RateFill } from '../core/limit.ts'
import { formatRate } from '../core/limit-text.ts'
import { nameLevel } from '../core/policy.ts'
import { states } from '../core/states.ts'
import type { QueueRecord } from '../store/queue-record.ts'
import { paint, printFacts } from './output.ts'
import { paintState } from './paint.ts'
import { when } from './when.ts'

/** Those that count for `maxDepth`. */
const waitingIn = ({ counts }: QueueRecord): number => counts.scheduled + counts.blocked + counts.ready

export const isFull = (queue: QueueRecord): boolean =>
  queue.limits.maxDepth !== null && waitingIn(queue) >= queue.limits.maxDepth

/** What keeps jobs from going in or out now. */
export function closings(queue: QueueRecord, now: number): string[] {
  const { paused, accepting, limits, fill, heldUntil, heldTypes } = queue
  const opens = (at: number): string => `for ${formatMs(at - now)}`
  const rates: (readonly [string, RateFill | null | undefined])[] = [
    ['rate used up', fill.rate],
    ...levelsOf(queue).map(([level]) => [`rate of ${nameLevel(level)} used up`, fill.rates[level]] as const),
  ]
  return [
    ...(paused ? ['paused'] : []),
    ...(accepting ? [] : ['takes no jobs']),
    ...(isFull(queue) ? ['full'] : []),
    ...(heldUntil !== null && heldUntil > now ? [`held back ${opens(heldUntil)}`] : []),
    ...rates.flatMap(([what, one]) => (one?.opensAt && one.opensAt > now ? [`${what} ${opens(one.opensAt)}`] : [])),
    ...(limits.concurrency !== null && queue.counts.running >= limits.concurrency ? ['all slots taken'] : []),
    ...Object.entries(heldTypes).flatMap(([type, until]) => (until > now ? [`${type} held back ${opens(until)}`] : [])),
  ]
}

/** What limits it, whether it is used up or not. */
export function limitations(queue: QueueRecord): string[] {
  const { concurrency, rate, maxDepth } = queue.limits
  return [
    ...(rate === null ? [] : [formatRate(rate)]),
    ...levelsOf(queue).map(([level, one]) => `${nameLevel(level)} ${formatRate(one)}`),
    ...(concurrency === null ? [] : [`${count(concurrency)} at a time`]),
    ...keyLimits(queue).map((limit) => `keys ${limit}`),
    ...(maxDepth === null ? [] : [`at most ${count(maxDepth)} waiting`]),
  ]
}

const levelsOf = ({ limits }: QueueRecord): (readonly [level: number, rate: Rate])[] =>
  Object.entries(limits.rates).map(([level, rate]) => [Number(level), rate] as const)

function keyLimits({ limits: { perKey } }: QueueRecord): string[] {
  return [
    ...(perKey.ordered ? ['ordered'] : []),
    ...(perKey.concurrency === null ? [] : [`${count(perKey.concurrency)} at a time`]),
    ...(perKey.rate === null ? [] : [formatRate(perKey.rate)]),
  ]
}

/** Everything about one queue. */
export function printQueue(queue: QueueRecord, now: number): void {
  const { limits, fill, counts, oldestReadyAt } = queue
  const { concurrency, rate, maxDepth } = limits
  const jobs = states
    .filter((state) => counts[state] > 0)
    .map((state) => `${count(counts[state])} ${paintState(paint, state)}`)
  console.log(`${paint('bold', queue.queue)}\n`)
  printFacts([
    ['now', paint('yellow', closings(queue, now).join(', '))],
    ['jobs', jobs.join(', ') || 'none'],
    ['oldest ready', when(oldestReadyAt, now)],
    ['rate', rate === null ? 'none' : `${formatRate(rate)}${leaves(fill.rate)}`],
    ...levelsOf(queue).map(([level, one]) => {
      return [`rate of ${nameLevel(level)}`, `${formatRate(one)}${leaves(fill.rates[level])}`] as const
    }),
    ['concurrency', concurrency === null ? 'none' : `${count(concurrency)}, ${count(counts.running)} running`],
    ['each key', keyLimits(queue).join(', ') || 'none'],
    ['max depth', maxDepth === null ? 'none' : `${count(maxDepth)}, ${count(waitingIn(queue))} waiting`],
  ])
}

const leaves = (fill: RateFill | null | undefined): string => (fill ? `, ${count(fill.left)} left` : '')

const count = (n: number): string => n.toLocaleString('en')
