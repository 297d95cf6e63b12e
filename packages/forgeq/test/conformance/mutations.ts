// Ways in which the reference store can be made wrong: a part of it, with one step changed.
import { Model } from '#src/conformance/model.js'
import { ModelCrew, type ModelWorker } from '#src/conformance/model-crew.js'
import type { ModelJob } from '#src/conformance/model-job.js'
import { ModelJobs } from '#src/conformance/model-jobs.js'
import type { ModelKeys } from '#src/conformance/model-keys.js'
import type { ModelLimits } from '#src/conformance/model-limits.js'
import type { ModelLines } from '#src/conformance/model-lines.js'
import type {
  ActRequest,
  Enqueued,
  ExchangeRequest,
  Hold,
  NewJob,
  Settlement,
  Unique,
  Verdict,
} from '#src/store/records.js'
import type { Store } from '#src/store/store.js'

export type Make = (clock: () => number) => Store

export const jobs =
  (Jobs: typeof ModelJobs): Make =>
  (clock) =>
    new Model(clock, { Jobs })

export const crew =
  (Crew: typeof ModelCrew): Make =>
  (clock) =>
    new Model(clock, { Crew })

export const limits =
  (Limits: typeof ModelLimits): Make =>
  (clock) =>
    new Model(clock, { Limits })

export const lines =
  (Lines: typeof ModelLines): Make =>
  (clock) =>
    new Model(clock, { Lines })

/** Takes these jobs for the one that a settlement or note is about. */
export const fence = (isHeld: (job: ModelJob, worker: string, hold: Hold) => boolean): Make =>
  jobs(
    class extends ModelJobs {
      protected override fenced(worker: string, hold: Hold): ModelJob | undefined {
        const job = this.byId.get(hold.job)
        return job?.state === 'running' && isHeld(job, worker, hold) ? job : undefined
      }
    },
  )

export const beforeAdding = (change: (byId: Map<string, ModelJob>, job: NewJob) => NewJob): Make =>
  jobs(
    class extends ModelJobs {
      protected override add(job: NewJob, now: number, isFollowUp: boolean): Enqueued {
        return super.add(change(this.byId, job), now, isFollowUp)
      }
    },
  )

export const beforeSettling = (change: (job: ModelJob, settlement: Settlement, isRescue: boolean) => void): Make =>
  jobs(
    class extends ModelJobs {
      override settle(worker: string, settlement: Settlement, isRescue: boolean, now: number): Verdict {
        const job = this.byId.get(settlement.job)
        if (job) change(job, settlement, isRescue)
        return super.settle(worker, settlement, isRescue, now)
      }
    },
  )

export const afterSettling = (change: (job: ModelJob, settlement: Settlement, before: ModelJob) => void): Make =>
  jobs(
    class extends ModelJobs {
      protected override carryOut(job: ModelJob, settlement: Settlement, now: number): void {
        const before = { ...job }
        super.carryOut(job, settlement, now)
        change(job, settlement, before)
      }
    },
  )

export const beforeActing = (change: (job: ModelJob, request: ActRequest) => void): Make =>
  jobs(
    class extends ModelJobs {
      override act(...args: Parameters<ModelJobs['act']>): ReturnType<ModelJobs['act']> {
        const job = this.byId.get(args[0])
        if (job) change(job, args[1])
        return super.act(...args)
      }
    },
  )

/** Takes a key that a job holds for held in these cases only. */
export const heldKey = (isHeld: (job: ModelJob) => boolean): Make =>
  jobs(
    class extends ModelJobs {
      protected override holder(type: string, unique: Unique, now: number): string | undefined {
        const holder = super.holder(type, unique, now)
        const job = holder === undefined ? undefined : this.byId.get(holder)
        return job && !isHeld(job) ? undefined : holder
      }
    },
  )

/** Does something else when a key is held. */
export const meeting = (
  change: (right: () => Enqueued, all: ModelJobs, holder: string, job: NewJob) => Enqueued,
): Make =>
  jobs(
    class extends ModelJobs {
      protected override meetHolder(holder: string, job: NewJob, now: number): Enqueued {
        return change(() => super.meetHolder(holder, job, now), this, holder, job)
      }
    },
  )

/** Looks at a holder before and after its work is replaced. */
export const replacing = (change: (holder: ModelJob, before: ModelJob, job: NewJob) => void): Make =>
  jobs(
    class extends ModelJobs {
      protected override replace(holder: ModelJob, job: NewJob, now: number): void {
        const before = { ...holder }
        super.replace(holder, job, now)
        change(holder, before, job)
      }
    },
  )

/** Keeps the keys in another way. */
export const keys = (Keys: typeof ModelKeys): Make =>
  jobs(
    class extends ModelJobs {
      override readonly keys: ModelKeys = new Keys()
    },
  )

/** Sees the jobs that stand in the lanes of a queue, in the order in which they are claimed. */
export const lanes = (change: (ready: ModelJob[]) => ModelJob[]): Make =>
  jobs(
    class extends ModelJobs {
      override lanes(queue: string): ModelJob[] {
        return change(super.lanes(queue))
      }
    },
  )

type ClaimArgs = Parameters<ModelJobs['claim']>

export const claiming = (change: (jobs: ModelJobs, args: ClaimArgs) => ClaimArgs): Make =>
  jobs(
    class extends ModelJobs {
      override claim(...args: ClaimArgs): ReturnType<ModelJobs['claim']> {
        return super.claim(...change(this, args))
      }
    },
  )

export const asking = (change: (jobs: ModelJobs, request: ExchangeRequest, worker: string) => ExchangeRequest): Make =>
  jobs(
    class extends ModelJobs {
      override handOut(...[request, worker, now]: Parameters<ModelJobs['handOut']>): ReturnType<ModelJobs['handOut']> {
        return super.handOut(change(this, request, worker.id), worker, now)
      }
    },
  )

/** Sees something else of what the worker holds when it claims. */
export const holding = (seen: (held: ModelJob[]) => ModelJob[]): Make =>
  jobs(
    class extends ModelJobs {
      #isClaiming = false
      override handOut(...args: Parameters<ModelJobs['handOut']>): ReturnType<ModelJobs['handOut']> {
        this.#isClaiming = true
        try {
          return super.handOut(...args)
        } finally {
          this.#isClaiming = false
        }
      }
      override heldBy(worker: string): ModelJob[] {
        return this.#isClaiming ? seen(super.heldBy(worker)) : super.heldBy(worker)
      }
    },
  )

export const leaving = (change: (right: boolean, request: ExchangeRequest) => boolean): Make =>
  jobs(
    class extends ModelJobs {
      override leavesSuspects(...args: Parameters<ModelJobs['leavesSuspects']>): boolean {
        return change(super.leavesSuspects(...args), args[0])
      }
    },
  )

export const promoting = (change: (limit: number, now: number) => [number, number]): Make =>
  jobs(
    class extends ModelJobs {
      override promote(limit: number, now: number): number {
        return super.promote(...change(limit, now))
      }
    },
  )

export const keeping = (keepMs: (job: ModelJob, rightMs: number) => number): Make =>
  jobs(
    class extends ModelJobs {
      protected override keepMs(job: ModelJob): number {
        return keepMs(job, super.keepMs(job))
      }
    },
  )

export const expiring = (expiresAt: (rightAt: number) => number): Make =>
  crew(
    class extends ModelCrew {
      protected override expiresAt(worker: ModelWorker): number {
        return expiresAt(super.expiresAt(worker))
      }
    },
  )

type Exchange = Model['exchange']

export const exchanging = (change: (right: Exchange, ...args: Parameters<Exchange>) => ReturnType<Exchange>): Make => {
  class Mutant extends Model {
    override exchange(...args: Parameters<Exchange>): ReturnType<Exchange> {
      return change((request) => super.exchange(request), ...args)
    }
  }
  return (clock) => new Mutant(clock)
}
