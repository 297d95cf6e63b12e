// A rehearsal with limits and unique keys: every queue is limited in another way, and an operator changes how.
import type { KeyLimits, QueueSettings, Rate } from '#src/core/limit.js'
import type { NewJob, NewUnique } from '#src/store/records.js'
import type { Random } from './random.ts'
import type { Scenery } from './rehearsal.ts'

const rateOf = ({ between }: Random): Rate => ({ max: between(2, 4), perMs: between(4, 12) * 500 })

const keyLimitsOf = (random: Random): KeyLimits => ({
  concurrency: random.chance(0.7) ? random.between(1, 2) : null,
  rate: random.chance(0.6) ? rateOf(random) : null,
  ordered: false,
})

const settings: Readonly<Record<string, (random: Random) => QueueSettings>> = {
  metered: (random) => {
    const { chance, between } = random
    if (chance(0.3)) return { concurrency: chance(0.8) ? between(1, 3) : null }
    if (chance(0.4)) return { rate: chance(0.8) ? rateOf(random) : null }
    return { rates: { [random.pick([2, 8])]: chance(0.8) ? { max: 1, perMs: between(4, 12) * 500 } : null } }
  },
  keyed: (random) => ({ perKey: keyLimitsOf(random) }),
  ordered: ({ chance }) => ({ perKey: { concurrency: null, rate: null, ordered: chance(0.8) } }),
  bounded: ({ chance, between }) =>
    chance(0.4) ? { accepting: chance(0.7) } : { maxDepth: chance(0.8) ? between(1, 4) : null },
}

const uniqueOf = ({ pick, chance, between }: Random): NewUnique => {
  const mode = pick(['done', 'start', 'window', 'replace', 'replace'] as const)
  if (mode === 'window') return { key: mode, forMs: between(4, 30) * 500, onConflict: 'keep' }
  if (mode !== 'replace') return { key: mode, until: mode, onConflict: 'keep' }
  const until = chance(0.5) ? 'start' : 'done'
  return { key: `${mode}-${until}`, until, onConflict: 'replace' }
}

/** What their jobs have in common stays as it is when one replaces the other. */
function dress({ unique: _none, expireMs: _never, ...job }: NewJob, random: Random): NewJob {
  const { chance, between } = random
  const queue = chance(0.3) ? 'unique' : job.policy.queue
  if (queue === 'keyed' || queue === 'ordered') return { ...job, key: `key-${between(1, 2)}` }
  if (queue === 'partner') return { ...job, ...(chance(0.6) && { key: `key-${between(1, 2)}` }) }
  if (queue !== 'unique') return job
  const policy = { ...job.policy, queue, priority: 5, maxAttempts: 3, delivery: 'at-least-once' } as const
  return { ...job, type: 'work', policy, payload: `{"id":"${job.id}"}`, unique: uniqueOf(random) }
}

export const limitedScenery: Scenery = {
  queues: [...Object.keys(settings), 'partner', 'unique'],
  settings: (queue, random) => settings[queue]?.(random),
  dress,
  settle: ({ chance, between, pick }) => {
    if (!chance(0.08)) return undefined
    const delayMs = between(1, 8) * 500
    return { delayMs, holdBack: { scope: pick(['queue', 'type', 'key'] as const), forMs: delayMs } }
  },
}
