// Stores that are wrong in one point of what handlers hold back.
import type { ModelJob } from '#src/conformance/model-job.js'
import { ModelJobs } from '#src/conformance/model-jobs.js'
import { ModelLimits } from '#src/conformance/model-limits.js'
import type { Settlement } from '#src/store/records.js'
import { jobs, limits, type Make } from './mutations.ts'

/** Holds back for snoozes that it should not hold back for. */
const holdingBack = (isFor: (job: ModelJob, worker: string) => boolean): Make =>
  jobs(
    class extends ModelJobs {
      override settle(...args: Parameters<ModelJobs['settle']>): ReturnType<ModelJobs['settle']> {
        const [worker, settlement, , now] = args
        const job = this.byId.get(settlement.job)
        const verdict = super.settle(...args)
        if (job && settlement.outcome === 'snooze' && settlement.holdBack && isFor(job, worker)) {
          this.limits.hold(job, settlement.holdBack.scope, now + settlement.holdBack.forMs)
          this.lines.touch(job)
        }
        return verdict
      }
    },
  )

export const holdMutants: Readonly<Record<string, Make>> = {
  'shortens a hold': limits(
    class extends ModelLimits {
      protected override longer(given: number): number {
        return given
      }
    },
  ),
  'never lengthens a hold': limits(
    class extends ModelLimits {
      protected override longer(given: number, known: number): number {
        return Math.min(given, known)
      }
    },
  ),
  'holds the queue back for a type': limits(
    class extends ModelLimits {
      override hold(...[job, scope, until]: Parameters<ModelLimits['hold']>): void {
        super.hold(job, scope === 'type' ? 'queue' : scope, until)
      }
    },
  ),
  'holds the key back for a type': limits(
    class extends ModelLimits {
      override hold(...[job, scope, until]: Parameters<ModelLimits['hold']>): void {
        super.hold(job, scope, until)
        if (scope === 'type') super.hold(job, 'key', until)
      }
    },
  ),
  'holds back who has no key as if that were one': jobs(
    class extends ModelJobs {
      protected override carryOut(...[job, given, now]: Parameters<ModelJobs['carryOut']>): void {
        const hold = given.outcome === 'snooze' && job.key === null ? given.holdBack : undefined
        const isWide = hold?.scope === 'key'
        super.carryOut(job, isWide ? ({ ...given, holdBack: { ...hold, scope: 'queue' } } as Settlement) : given, now)
      }
    },
  ),
  'holds back for a stale snooze': holdingBack((job, worker) => job.worker !== null && job.worker !== worker),
  'holds back for a snooze that ended cancelled': holdingBack((job) => job.state === 'cancelled'),
  'holds back again for a snooze that is sent again': holdingBack((job) => job.state === 'scheduled'),
  'hands out jobs that stood aside although their type is held back': jobs(
    class extends ModelJobs {
      protected override fits(...args: Parameters<ModelJobs['fits']>): boolean {
        const [job, worker] = args
        if (!job.parked && !job.unparked) return super.fits(...args)
        return worker.types.some(({ type }) => type === job.type)
      }
    },
  ),
  'knows no types that are held back': limits(
    class extends ModelLimits {
      override typeHeldUntil(): number | null {
        return null
      }
    },
  ),
  'holds a type back in every queue': limits(
    class extends ModelLimits {
      override typeHeldUntil(...[queue, type, now]: Parameters<ModelLimits['typeHeldUntil']>): number | null {
        const ends = [queue, 'a', 'default'].map((name) => super.typeHeldUntil(name, type, now) ?? 0)
        return Math.max(...ends) || null
      }
    },
  ),
}
