// What a run does about limits and unique keys, from random numbers of its own: the rest of a plan stays as it is with a seed.
import type { KeyLimits, QueueSettings, Rate, Scope } from '#src/core/limit.js'
import type { EnqueueOp, Op } from './operation.ts'
import type { Random } from './random.ts'
import type { Kind } from './workload.ts'

/** Each is limited in another way; `once` has no limits, its jobs have unique keys. */
export const limitedQueues = ['metered', 'keyed', 'ordered', 'partner', 'bounded', 'once'] as const

type LimitedQueue = (typeof limitedQueues)[number]

const levels = ['high', 'normal', 'low'] as const
const scopes: readonly Scope[] = ['type', 'key', 'queue']

const rateOf = ({ between }: Random, least: number, most: number): Rate => ({
  max: between(least, most),
  perMs: between(5, 25) * 100,
})

const keyLimitsOf = (random: Random): KeyLimits => ({
  concurrency: random.chance(0.8) ? random.between(1, 3) : null,
  // Each key has a job in some two seconds: less would never be used up.
  rate: random.chance(0.7) ? { max: random.between(1, 3), perMs: random.between(10, 40) * 100 } : null,
  ordered: false,
})

/** What an operator changes; in the beginning there is a limit everywhere. */
const settingsOf: Readonly<Record<LimitedQueue, ((random: Random, isFirst: boolean) => QueueSettings) | undefined>> = {
  metered: (random, isFirst) => {
    const { between, chance } = random
    if (isFirst) return { concurrency: 3, rate: { max: 5, perMs: 2_000 }, rates: { 8: { max: 2, perMs: 1_500 } } }
    if (chance(0.4)) return { concurrency: chance(0.8) ? between(1, 4) : null }
    if (chance(0.6)) return { rate: chance(0.8) ? rateOf(random, 3, 8) : null }
    return { rates: { [random.pick([2, 8])]: chance(0.8) ? rateOf(random, 2, 4) : null } }
  },
  keyed: (random, isFirst) => ({
    perKey: isFirst ? { concurrency: 2, rate: { max: 1, perMs: 2_000 }, ordered: false } : keyLimitsOf(random),
  }),
  // Mostly in order: turns that are longer than a time between two changes would prove nothing.
  ordered: (random, isFirst) => ({
    perKey: isFirst || random.chance(0.7) ? { concurrency: null, rate: null, ordered: true } : null,
  }),
  bounded: (random, isFirst) => {
    if (isFirst) return { accepting: true, concurrency: 1, maxDepth: 4 }
    if (random.chance(0.4)) return { accepting: random.chance(0.6) }
    return { maxDepth: random.chance(0.8) ? random.between(2, 6) : null }
  },
  partner: undefined,
  once: undefined,
}

/** In the end: what is left must not take longer than a run. */
const lastSettings: Readonly<Partial<Record<LimitedQueue, QueueSettings>>> = {
  metered: { rate: { max: 8, perMs: 2_000 }, rates: { 2: null, 8: null }, concurrency: 4 },
  keyed: { perKey: { concurrency: 2, rate: { max: 3, perMs: 1_000 }, ordered: false } },
}

const operated = ['metered', 'keyed', 'ordered', 'bounded'] as const

const jobsOf: Readonly<
  Record<LimitedQueue, (random: Random) => Partial<EnqueueOp> & { readonly kind: Kind; readonly ms: number }>
> = {
  metered: ({ between, chance }) => ({ kind: chance(0.9) ? 'plain' : 'failing', ms: between(0, 300) }),
  keyed: ({ between }) => ({ kind: 'plain', ms: between(50, 400), key: `tenant-${between(1, 3)}` }),
  ordered: ({ between, pick, chance }) => ({
    kind: chance(0.02)
      ? 'poison'
      : pick(['plain', 'plain', 'plain', 'failing', 'failing', 'snoozing', 'plain-process']),
    ms: between(0, 80),
    key: `account-${between(1, 4)}`,
  }),
  partner: ({ between, chance, pick }) => ({
    kind: chance(0.3) ? 'limiting' : pick(['plain', 'plain', 'plain-thread']),
    ms: between(0, 60),
    ...(chance(0.7) && { key: `partner-${between(1, 3)}` }),
  }),
  bounded: ({ between }) => ({ kind: 'plain', ms: between(200, 900) }),
  once: ({ between, pick, chance }) => {
    const [kind, ms] = ['plain', between(0, 300)] as const
    const mode = pick(['done', 'start', 'window', 'replace', 'replace'])
    const key = `${mode}-${between(1, 2)}`
    if (mode === 'window') return { kind, ms, unique: { key, for: between(5, 30) * 100 } }
    if (mode !== 'replace') return { kind, ms, unique: { key, until: mode as 'done' | 'start' } }
    const until = chance(0.5) ? 'start' : 'done'
    // Some come while the holder waits for another try.
    return { kind: 'failing', ms, delayMs: between(3, 15) * 100, unique: { key, until, onConflict: 'replace' } }
  },
}

/** In how many of a hundred jobs. */
const shares: Readonly<Record<LimitedQueue, number>> = {
  metered: 22,
  keyed: 18,
  ordered: 20,
  partner: 12,
  bounded: 13,
  once: 15,
}

const drawn: readonly LimitedQueue[] = limitedQueues.flatMap((queue) =>
  Array.from({ length: shares[queue] }, () => queue),
)

/** Operations of one more producer, who is the operator, too. */
export function limitOps(random: Random, ms: number, opsPerSecond: number, role: string): readonly Op[] {
  const times = Array.from({ length: Math.round((ms / 1000) * opsPerSecond) }, () => random.between(0, ms))
  const changes = operated.flatMap((queue) => changesOf(random, ms, queue)).sort((a, b) => a.at - b.at)
  const ops: Op[] = []
  for (const at of times.sort((a, b) => a - b)) {
    while (changes.length > 0 && changes[0]!.at <= at) ops.push(changes.shift()!)
    const n = ops.length
    if (n > operated.length && random.chance(0.04)) ops.push({ at, do: 'cancel', op: random.between(n - 4, n - 1) })
    else ops.push({ at, ...jobOf(random, `${role}.${n}`) })
  }
  return [...ops, ...changes]
}

function changesOf(random: Random, ms: number, queue: (typeof operated)[number]): Op[] {
  const ops: Op[] = []
  for (let at = 0; at < ms; at += random.between(3_000, 9_000)) {
    ops.push({ at, do: 'limit', queue, settings: settingsOf[queue]!(random, at === 0) })
  }
  const settings = lastSettings[queue]
  if (settings !== undefined) ops.push({ at: ms, do: 'limit', queue, settings })
  return ops
}

function jobOf(random: Random, n: string): EnqueueOp {
  const queue = random.pick(drawn)
  const { ms, ...job } = jobsOf[queue](random)
  const failures = job.kind === 'plain' ? 0 : random.between(1, 2)
  const holdBack = { scope: random.pick(scopes), ms: random.between(2, 12) * 100 }
  const load = { n, ms, failures, children: 0, text: '', ...(job.kind === 'limiting' && { holdBack }) }
  return { do: 'enqueue', queue, priority: queue === 'once' ? 'normal' : random.pick(levels), load, ...job }
}
