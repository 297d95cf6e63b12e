// Stores that are wrong in one point of rates, concurrency or depth. Those with a wrong line of a key: mutants-keys.ts; that hold
// back wrongly: mutants-holds.ts.
import { ModelAlarms } from '#src/conformance/model-alarms.js'
import { Model } from '#src/conformance/model.js'
import type { ModelJob } from '#src/conformance/model-job.js'
import { ModelJobs } from '#src/conformance/model-jobs.js'
import { ModelLimits } from '#src/conformance/model-limits.js'
import type { Rate } from '#src/core/limit.js'
import type { Enqueued, NewJob } from '#src/store/records.js'
import { jobs, limits, type Make } from './mutations.ts'

type Counted = ModelLimits['counted']

/** Counts starts in another way; `starts`: all that there were. */
const counting = (
  change: (starts: readonly number[], rate: Rate, now: number, right: () => ReturnType<Counted>) => ReturnType<Counted>,
): Make =>
  limits(
    class extends ModelLimits {
      protected override counted(...args: Parameters<Counted>): ReturnType<Counted> {
        const [gate, rate, now] = args
        return change(this.startsOf(gate), rate, now, () => super.counted(...args))
      }
    },
  )

const since = (starts: readonly number[], from: number): ReturnType<Counted> => {
  const counted = starts.filter((at) => at > from)
  return { count: counted.length, firstAt: counted[0] ?? null }
}

type Change = Parameters<ModelLimits['change']>[1]

/** Takes other settings for those that are given. */
const setting = (change: (given: Change, current: ReturnType<ModelLimits['of']>['limits']) => Change): Make =>
  limits(
    class extends ModelLimits {
      override change(...[queue, given, now]: Parameters<ModelLimits['change']>): void {
        super.change(queue, change(given, this.of(queue).limits), now)
      }
    },
  )

const ringing = (Alarms: typeof ModelAlarms): Make =>
  limits(
    class extends ModelLimits {
      override readonly alarms: ModelAlarms = new Alarms()
    },
  )

/** Counts other jobs than those that wait for the depth of a queue. */
const deep = (counts: (job: ModelJob) => boolean): Make =>
  jobs(
    class extends ModelJobs {
      protected override depth(queue: string): number {
        return this.all((job) => job.policy.queue === queue && counts(job)).length
      }
    },
  )

/** Sees other jobs running in a queue than those that do. */
const running = (change: (right: number, all: readonly ModelJob[]) => number): Make =>
  jobs(
    class extends ModelJobs {
      protected override running(queue: string): number {
        return change(
          super.running(queue),
          this.all((job) => job.policy.queue === queue),
        )
      }
    },
  )

class Forgiving extends ModelLimits {
  readonly #forgiven: number[] = []

  forgive(at: number): void {
    this.#forgiven.push(at)
  }

  protected override startsOf(...args: Parameters<ModelLimits['startsOf']>): readonly number[] {
    const starts = [...super.startsOf(...args)]
    for (const at of this.#forgiven) if (starts.includes(at)) starts.splice(starts.indexOf(at), 1)
    return starts
  }
}

/** Gives a start back when its claim ends so. */
const forgiving =
  (when: 'release' | 'crash'): Make =>
  (clock) =>
    new Model(clock, {
      Limits: Forgiving,
      Jobs: class extends ModelJobs {
        protected override carryOut(...args: Parameters<ModelJobs['carryOut']>): void {
          const [job, { outcome }] = args
          if (outcome === when && this.limits instanceof Forgiving) this.limits.forgive(job.startedAt!)
          super.carryOut(...args)
        }
      },
    })

/** Knows whether it is being asked for suspects. */
class Asked extends ModelJobs {
  protected isAsked = false

  override leavesSuspects(...args: Parameters<ModelJobs['leavesSuspects']>): boolean {
    this.isAsked = true
    const answer = super.leavesSuspects(...args)
    this.isAsked = false
    return answer
  }
}

export const limitMutants: Readonly<Record<string, Make>> = {
  'counts windows from fixed instants': counting((starts, { perMs }, now) =>
    since(starts, Math.floor(now / perMs) * perMs - 1),
  ),
  'counts windows from the first start in them': counting((starts, { perMs }, now) => {
    let from = -Infinity
    for (const at of starts) if (at >= from + perMs) from = at
    return now >= from + perMs ? { count: 0, firstAt: null } : since(starts, from - 1)
  }),
  'lets a bucket fill up instead of counting': counting((starts, { max, perMs }, now) => {
    const each = perMs / max
    let fullAt = 0
    for (const at of starts) fullAt = Math.max(fullAt, at) + each
    const left = Math.min(max, Math.floor((perMs - Math.max(0, fullAt - now)) / each))
    return { count: max - left, firstAt: left > 0 ? null : fullAt + each - 2 * perMs }
  }),
  'forgets a start a millisecond early': counting((starts, { perMs }, now) => since(starts, now - perMs + 1)),
  'forgets a start a millisecond late': counting((starts, { perMs }, now) => since(starts, now - perMs - 1)),
  'knows only as many starts as a lowered rate allows': counting((starts, rate, now) =>
    since(starts.slice(-rate.max), now - rate.perMs),
  ),
  'notes no start': limits(
    class extends ModelLimits {
      override noteStart(): void {
        // Notes nothing.
      }
    },
  ),
  'notes starts for queues that have no rate': limits(
    class extends ModelLimits {
      readonly #all = new Map<string, number[]>()
      override noteStart(...[job, now]: Parameters<ModelLimits['noteStart']>): void {
        this.#all.set(job.policy.queue, [...(this.#all.get(job.policy.queue) ?? []), now])
        super.noteStart(job, now)
      }
      protected override startsOf(...[gate]: Parameters<ModelLimits['startsOf']>): readonly number[] {
        return gate.of === 'rate' ? (this.#all.get(gate.queue) ?? []) : super.startsOf(gate)
      }
    },
  ),
  'gives a start back at a release': forgiving('release'),
  'gives a start back at a crash': forgiving('crash'),
  'counts the starts of a turn again when that is sent again': jobs(
    class extends ModelJobs {
      readonly #turns = new Set<string>()
      override leavesSuspects(
        ...[request, worker, now]: Parameters<ModelJobs['leavesSuspects']>
      ): ReturnType<ModelJobs['leavesSuspects']> {
        const turn = `${request.worker} ${request.turn}`
        if (this.#turns.has(turn)) for (const job of this.heldBy(worker.id)) this.limits.noteStart(job, now)
        this.#turns.add(turn)
        return super.leavesSuspects(request, worker, now)
      }
    },
  ),
  'ignores a lowered rate': setting(({ rate, ...given }, current) =>
    rate && current.rate && rate.max < current.rate.max ? given : { ...given, ...(rate !== undefined && { rate }) },
  ),
  'ignores a raised rate': setting(({ rate, ...given }, current) =>
    rate && current.rate && rate.max > current.rate.max ? given : { ...given, ...(rate !== undefined && { rate }) },
  ),
  'forgets the rates of levels that are not named': setting((given, current) =>
    given.rates
      ? {
          ...given,
          rates: { ...Object.fromEntries(Object.keys(current.rates).map((level) => [level, null])), ...given.rates },
        }
      : given,
  ),
  'forgets starts that count when it prunes': limits(
    class extends ModelLimits {
      override forgetStarts(now: number): ReturnType<ModelLimits['forgetStarts']> {
        return super.forgetStarts(now + 500)
      }
    },
  ),
  'stops at a closed level': jobs(
    class extends ModelJobs {
      #now = 0
      override claim(...args: Parameters<ModelJobs['claim']>): ReturnType<ModelJobs['claim']> {
        this.#now = args[3]
        return super.claim(...args)
      }
      override lanes(queue: string): ModelJob[] {
        const all = super.lanes(queue)
        const closed = all.findIndex((job) => !this.isLevelOpen(job, this.#now))
        return closed < 0 ? all : all.slice(0, closed)
      }
    },
  ),
  'has one rate for all levels': limits(
    class extends ModelLimits {
      protected override startsOf(...[gate]: Parameters<ModelLimits['startsOf']>): readonly number[] {
        if (gate.of !== 'level') return super.startsOf(gate)
        return ['2', '5', '7', '8'].flatMap((name) => super.startsOf({ ...gate, name })).sort((a, b) => a - b)
      }
    },
  ),
  'says once when a rate opens, though it is still closed then': limits(
    class extends ModelLimits {
      override ring(...[limit, now]: Parameters<ModelLimits['ring']>): ReturnType<ModelLimits['ring']> {
        return this.alarms.take(limit, now)
      }
    },
  ),
  'never says when something opens': ringing(
    class extends ModelAlarms {
      override note(): void {
        // Notes nothing.
      }
    },
  ),
  'says a millisecond late when something opens': ringing(
    class extends ModelAlarms {
      override note(...[gate, at]: Parameters<ModelAlarms['note']>): void {
        super.note(gate, at + 1)
      }
    },
  ),
  'lists no queue without jobs': limits(
    class extends ModelLimits {
      override names(): [] {
        return []
      }
    },
  ),

  'knows no concurrency': running(() => 0),
  'never frees the slot of a job that crashed': running(
    (right, all) => right + all.filter((job) => job.crashes > 0 && job.state !== 'running').length,
  ),
  'never frees the slot of a job that was cancelled': running(
    (right, all) => right + all.filter((job) => job.state === 'cancelled' && job.claim > 0).length,
  ),
  'frees the slot of a job that is marked cancelled': running(
    (right, all) => right - all.filter((job) => job.cancelRequested).length,
  ),
  'holds a slot between two tries': running(
    (right, all) => right + all.filter((job) => job.state === 'ready' && job.claim > 0).length,
  ),

  'waits for suspects of a closed level': jobs(
    class extends Asked {
      protected override isLevelOpen(...args: Parameters<ModelJobs['isLevelOpen']>): boolean {
        return this.isAsked || super.isLevelOpen(...args)
      }
    },
  ),
  'waits for suspects of a queue without room': jobs(
    class extends Asked {
      protected override roomOf(...args: Parameters<ModelJobs['roomOf']>): number {
        return this.isAsked ? 1 : super.roomOf(...args)
      }
    },
  ),

  'counts running jobs as waiting': deep(({ state }) => ['ready', 'scheduled', 'running'].includes(state)),
  'counts only ready jobs as waiting': deep(({ state }) => state === 'ready'),
  'counts jobs that waited as waiting': deep(() => true),
  'refuses follow-ups of a full queue': jobs(
    class extends ModelJobs {
      protected override add(...args: Parameters<ModelJobs['add']>): Enqueued {
        return (args[2] === true ? this.refusal(args[0]) : null) ?? super.add(...args)
      }
    },
  ),
  'refuses what it knows when a queue is full': jobs(
    class extends ModelJobs {
      protected override add(...args: Parameters<ModelJobs['add']>): Enqueued {
        return (args[2] === true ? null : this.refusal(args[0])) ?? super.add(...args)
      }
    },
  ),
  'lets a whole call in when one job fits': jobs(
    class extends ModelJobs {
      #depth: number | null = null
      override enqueue(...args: Parameters<ModelJobs['enqueue']>): readonly Enqueued[] {
        this.#depth = null
        const answers = super.enqueue(...args)
        this.#depth = null
        return answers
      }
      protected override depth(queue: string): number {
        return (this.#depth ??= super.depth(queue))
      }
    },
  ),
  'says full when it is closed': jobs(
    class extends ModelJobs {
      protected override refusal(job: NewJob): Enqueued | null {
        const refused = super.refusal(job)
        return refused && 'refused' in refused
          ? { ...refused, refused: { ...refused.refused, code: 'QUEUE_FULL' } }
          : refused
      }
    },
  ),
}
