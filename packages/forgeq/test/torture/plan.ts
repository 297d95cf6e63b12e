// What a run does and when: follows from the seed alone, so that a run can be had again. How the machine interleaves it does
// not.
import type { EnqueueOp, Op } from './operation.ts'
import { limitOps } from './plan-limits.ts'
import { randomOf, type Random } from './random.ts'
import type { Kind } from './workload.ts'

export interface FaultOp {
  readonly at: number
  readonly kind: 'kill worker' | 'kill child' | 'kill crew' | 'kill producer' | 'stop worker' | 'disturb store'
  /** Which of those that are there, modulo their number. */
  readonly which: number
  /** How long it lasts, where it does. */
  readonly ms: number
}

export interface Plan {
  readonly producers: readonly (readonly Op[])[]
  /** Per crew and per producer: the failpoints that its processes start with, one after the other, `''` for none. */
  readonly crews: readonly (readonly string[])[]
  readonly producerFailpoints: readonly (readonly string[])[]
  readonly processes: number
  readonly faults: readonly FaultOp[]
}

export interface PlanOptions {
  readonly seed: number
  readonly ms: number
  readonly producers: number
  readonly crews: number
  /** Worker processes of each crew. */
  readonly processes: number
  /** Of one producer. */
  readonly opsPerSecond: number
  /** Of one more producer, whose jobs have limits and unique keys; 0: none. */
  readonly limitOpsPerSecond: number
  /** Between two faults, on average. */
  readonly faultEveryMs: number
}

export const queues = ['default', 'side'] as const

/** What the plan of limits adds to the seed: the one without them must not tell what they are. */
const limitSeed = 1_000_000_007

export function planOf(options: PlanOptions): Plan {
  const { seed, ms, opsPerSecond } = options
  const random = randomOf(seed)
  const producers = Array.from({ length: options.producers }, (_, p) => {
    const times = Array.from({ length: Math.round((ms / 1000) * opsPerSecond) }, () => random.between(0, ms))
    const ops: Op[] = []
    let pauseAt = 4_000
    for (const at of times.sort((a, b) => a - b)) {
      const isPause = p === 0 && at > pauseAt
      ops.push(isPause ? pauseOf(random, at) : opOf(random, at, `${p}.${ops.length}`, ops.length))
      if (isPause) pauseAt = at + random.between(5_000, 15_000)
    }
    return ops
  })
  const crews = Array.from({ length: options.crews }, () =>
    Array.from({ length: 200 }, () => (random.chance(0.5) ? '' : failpointsOf(random))),
  )
  const producerFailpoints = producers.map(() => Array.from({ length: 100 }, () => producerFailpointOf(random)))
  const faults: FaultOp[] = []
  for (let at = 3_000; at < ms; at += random.between(options.faultEveryMs / 2, (options.faultEveryMs * 3) / 2)) {
    faults.push(faultOf(random, at))
  }
  const plan = { producers, crews, producerFailpoints, processes: options.processes, faults }
  if (options.limitOpsPerSecond === 0) return plan
  const more = randomOf(seed + limitSeed)
  const ops = limitOps(more, ms, options.limitOpsPerSecond, `${producers.length}`)
  const failpoints = Array.from({ length: 100 }, () => producerFailpointOf(more))
  return { ...plan, producers: [...producers, ops], producerFailpoints: [...producerFailpoints, failpoints] }
}

const pauseOf = (random: Random, at: number): Op => ({ at, do: 'pause', queue: 'side', ms: random.between(500, 2_500) })

function opOf(random: Random, at: number, n: string, before: number): Op {
  // Of one of the last, before or while it runs.
  if (random.chance(0.05) && before > 0)
    return { at, do: 'cancel', op: random.between(Math.max(0, before - 12), before - 1) }
  return { at, ...jobOf(random, n) }
}

const levels = ['high', 'normal', 'low'] as const
const texts = ['', 'plain', 'ü€😀\ud83d', '\u0000\u2028', '{"a":[1,2]}', '9007199254740993', 'x'.repeat(300)]

function jobOf(random: Random, n: string): EnqueueOp {
  const load = { n, ms: 0, failures: 0, children: 0, text: random.pick(texts) }
  const job = { do: 'enqueue', queue: random.pick(queues), priority: random.pick(levels) } as const
  const short = random.between(0, 80)
  const dice = random.between(0, 999)
  const pick = (...kinds: Kind[]): Kind => random.pick(kinds)
  if (dice < 4) return { ...job, kind: pick('poison', 'poison-thread', 'poison-process'), load }
  if (dice < 8) {
    return { ...job, kind: pick('blocking', 'blocking-thread'), load: { ...load, ms: random.between(5_500, 11_000) } }
  }
  if (dice < 11) return { ...job, kind: pick('endless', 'endless-thread', 'endless-process'), load }
  if (dice < 90) {
    const kind = pick('plain', 'plain', 'plain-thread', 'plain-process')
    return { ...job, kind, load: { ...load, ms: random.between(400, 4_000) } }
  }
  if (dice < 200) {
    const kind = pick('failing', 'failing', 'failing-thread', 'failing-process')
    return { ...job, kind, load: { ...load, ms: short, failures: random.between(1, 5) } }
  }
  if (dice < 290) {
    const kind = pick('parent', 'parent', 'parent-thread', 'parent-process')
    return { ...job, kind, load: { ...load, ms: short, children: random.between(1, 3) } }
  }
  if (dice < 350) return { ...job, kind: pick('once', 'once-process'), load: { ...load, ms: short * 4 } }
  if (dice < 420) return { ...job, kind: pick('plain-thread', 'plain-process'), load: { ...load, ms: short } }
  if (dice < 530) return { ...job, kind: 'plain', load: { ...load, ms: short }, delayMs: random.between(100, 4_000) }
  if (dice < 640) {
    const unique = { key: `key-${random.between(1, 5)}`, until: random.pick(['done', 'start'] as const) }
    return { ...job, kind: 'plain', load: { ...load, ms: short }, unique }
  }
  if (dice < 700) return { ...job, kind: 'plain', load: { ...load, ms: short }, expireMs: random.between(50, 800) }
  return { ...job, kind: 'plain', load: { ...load, ms: short } }
}

function faultOf(random: Random, at: number): FaultOp {
  const kinds = [
    'kill worker',
    'kill worker',
    'kill child',
    'kill child',
    'kill crew',
    'kill producer',
    'stop worker',
    'stop worker',
    'disturb store',
  ] as const
  const kind = random.pick(kinds)
  const ms = { 'stop worker': random.between(6_000, 12_000), 'disturb store': random.between(1_000, 3_000) }
  return { at, kind, which: random.between(0, 999), ms: kind in ms ? ms[kind as keyof typeof ms] : 0 }
}

const calls = ['register', 'exchange', 'beat', 'leave', 'lost', 'settle', 'promote', 'enqueue'] as const
const steps = ['worker.after-claim', 'worker.before-handler', 'worker.after-handler', 'worker.before-settle'] as const

function failpointsOf(random: Random): string {
  const call = random.pick(calls)
  const moment = random.pick(['before-send', 'after-commit', 'after-reply'])
  switch (random.between(1, 5)) {
    case 1:
      return `exchange.${moment}=kill@${random.between(3, 200)}`
    case 2:
      return `${random.pick(steps)}=kill@${random.between(3, 200)}`
    case 3:
      return `${call}.${moment}=kill@${random.between(2, 20)};rescue.after-lost=kill@${random.between(1, 3)}`
    case 4:
      return `${call}.${moment}=throw@0.2;exchange.${moment}=throw@0.05;exchange.after-commit=exit(1)@${random.between(20, 200)}`
    default:
      return `exchange.after-commit=stall(${random.between(500, 8_000)})@${random.between(3, 100)};supervisor.after-death=kill@${random.between(1, 3)}`
  }
}

function producerFailpointOf(random: Random): string {
  const moment = random.pick(['before-send', 'after-commit', 'after-reply'])
  return random.chance(0.5)
    ? `enqueue.${moment}=throw@0.1`
    : `enqueue.${moment}=kill@${random.between(10, 200)};enqueue.after-commit=exit(1)@${random.between(5, 50)}`
}
