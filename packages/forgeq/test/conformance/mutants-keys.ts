// Stores that are wrong in one point of keys: their lines, tokens, room and turns.
import { ModelAlarms } from '#src/conformance/model-alarms.js'
import type { ModelJob } from '#src/conformance/model-job.js'
import { ModelJobs } from '#src/conformance/model-jobs.js'
import { ModelLimits } from '#src/conformance/model-limits.js'
import { ModelLines } from '#src/conformance/model-lines.js'
import { beforeActing, jobs, limits, lines, type Make } from './mutations.ts'

type Right = Parameters<ModelLines['putRight']>

/** Does something else with the token of a key; `right` does what is right. */
const puttingRight = (change: (line: ModelJob[], right: () => void, nextSeq: () => number) => void): Make =>
  lines(
    class extends ModelLines {
      override putRight(...[queue, key, now]: Right): void {
        change(
          this.line(queue, key),
          () => super.putRight(queue, key, now),
          () => this.pool.nextSeq(),
        )
      }
    },
  )

/** Sees other jobs of a key running than those that do. */
const running = (counts: (job: ModelJob) => boolean, sameQueue = true): Make =>
  lines(
    class extends ModelLines {
      protected override running(queue: string, key: string): number {
        const isOf = (job: ModelJob): boolean => job.key === key && (!sameQueue || job.policy.queue === queue)
        return this.pool.all((job) => isOf(job) && counts(job)).length
      }
    },
  )

/** Gives turns away when `when` says so. */
const givingAway = (when: 'retry' | 'snooze' | 'release' | 'crash'): Make =>
  jobs(
    class extends ModelJobs {
      protected override carryOut(...args: Parameters<ModelJobs['carryOut']>): void {
        super.carryOut(...args)
        if (args[1].outcome === when) this.lines.giveTurn(args[0])
      }
    },
  )

const isRunning = ({ state }: ModelJob): boolean => state === 'running'

export const keyMutants: Readonly<Record<string, Make>> = {
  'leaves a key with a worse job than came': puttingRight((line, right) => {
    if (!line.some(({ token }) => token !== null)) right()
  }),
  'has two jobs of a key in the lanes': puttingRight((line, right, nextSeq) => {
    right()
    if (line[0]?.token && line[1]) line[1].token ??= nextSeq()
  }),
  'lets all jobs of a key stand in the lanes': puttingRight((line, right) => {
    right()
    for (const job of line) job.token ??= job.seq
  }),
  'serves a key as long as its jobs are the oldest': puttingRight((line, right) => {
    const had = line[0]?.token ?? null
    right()
    if (had === null && line[0]?.token) line[0].token = line[0].seq
  }),
  'sends a key to the end whenever it looks at it': puttingRight((line, right, nextSeq) => {
    right()
    if (line[0]?.token) line[0].token = nextSeq()
  }),
  'brings no next job of a key when the first has left': lines(
    class extends ModelLines {
      override leave(job: ModelJob): void {
        job.token = null
      }
    },
  ),
  'forgets a key whose job was cancelled or deleted': beforeActing((job, { action }) => {
    if (action === 'cancel' || action === 'delete') job.parked = job.state === 'ready'
  }),
  'knows no levels inside a key': lines(
    class extends ModelLines {
      override line(queue: string, key: string): ModelJob[] {
        return super.line(queue, key).sort((a, b) => a.seq - b.seq)
      }
    },
  ),
  'lets jobs that stand aside stand for their key': lines(
    class extends ModelLines {
      override line(queue: string, key: string): ModelJob[] {
        const aside = this.pool.all(({ parked, ...job }) => parked && job.key === key && job.policy.queue === queue)
        return [...aside, ...super.line(queue, key)]
      }
    },
  ),

  'knows no concurrency of keys': running(() => false),
  'never frees the slot that a crash left in its key': running((job) => isRunning(job) || job.crashes > 0),
  'never frees the slot that a cancelled job left in its key': running(
    (job) => isRunning(job) || (job.state === 'cancelled' && job.claim > 0),
  ),
  'frees the slot of a key when its job is marked cancelled': running((job) => isRunning(job) && !job.cancelRequested),
  'holds the slot of a key between two tries': running(
    (job) => isRunning(job) || (job.state === 'scheduled' && job.claim > 0),
  ),
  'takes a key of two queues for one': running(isRunning, false),
  'does not look again whether a key has room when it meets one': lines(
    class extends ModelLines {
      override hasRoom(job: ModelJob, now: number): boolean {
        return job.token !== null || super.hasRoom(job, now)
      }
    },
  ),
  'never looks again at keys whose limits changed': limits(
    class extends ModelLimits {
      override readonly alarms: ModelAlarms = new (class extends ModelAlarms {
        override review(): void {
          // Looks at none.
        }
      })()
    },
  ),
  'looks again at all keys at once': limits(
    class extends ModelLimits {
      override readonly alarms: ModelAlarms = new (class extends ModelAlarms {
        override reviewed(...[, keysOf]: Parameters<ModelAlarms['reviewed']>): ReturnType<ModelAlarms['reviewed']> {
          return super.reviewed(Infinity, keysOf)
        }
      })()
    },
  ),
  'opens a key when the first of its rate and hold is over': limits(
    class extends ModelLimits {
      override keyOpensAt(...args: Parameters<ModelLimits['keyOpensAt']>): number | null {
        const [queue, key, now] = args
        const ends = [this.heldUntil({ queue, of: 'key', name: key }, now), this.keyFill(queue, key, now)]
        return ends.some((at) => at === null) ? null : super.keyOpensAt(...args)
      }
      protected keyFill(queue: string, key: string, now: number): number | null {
        return this.fill({ queue, of: 'key', name: key }, now)?.opensAt ?? null
      }
    },
  ),
  'shows the line of a job without its hold': lines(
    class extends ModelLines {
      override look(...args: Parameters<ModelLines['look']>): ReturnType<ModelLines['look']> {
        const line = super.look(...args)
        return line && { ...line, heldUntil: null }
      }
    },
  ),
  'takes every job of a line for the next': lines(
    class extends ModelLines {
      override look(...args: Parameters<ModelLines['look']>): ReturnType<ModelLines['look']> {
        const line = super.look(...args)
        return line && { ...line, isNext: line.turnOf === null }
      }
    },
  ),

  'knows no turns': lines(
    class extends ModelLines {
      override takeTurn(): void {
        // Takes none.
      }
    },
  ),
  'forgets the turn at a retry': givingAway('retry'),
  'forgets the turn at a snooze': givingAway('snooze'),
  'forgets the turn at a release': givingAway('release'),
  'forgets the turn at a crash': givingAway('crash'),
  'keeps the turn of a job that was deleted': jobs(
    class extends ModelJobs {
      protected override remove(job: ModelJob): void {
        if (job.state === 'ready' && !job.parked) this.lines.leave(job)
        this.byId.delete(job.id)
      }
    },
  ),
  'keeps the turn of a job that ended while it waited': jobs(
    class extends ModelJobs {
      protected override leave(job: ModelJob): void {
        if (job.state === 'running') super.leave(job)
        else if (job.state === 'ready' && !job.parked) this.lines.leave(job)
      }
    },
  ),
  'takes no turn for a job that stands aside': jobs(
    class extends ModelJobs {
      protected override park(job: ModelJob): void {
        super.park(job)
        this.lines.giveTurn(job)
      }
    },
  ),
  'lets a better job pass who has the turn': lines(
    class extends ModelLines {
      protected override next(queue: string, key: string): ModelJob | undefined {
        return this.line(queue, key)[0]
      }
    },
  ),
  'keeps turns when order is no longer asked for': lines(
    class extends ModelLines {
      override forgetTurns(): void {
        // Forgets none.
      }
    },
  ),
  'takes turns where nobody asked for order': lines(
    class extends ModelLines {
      protected override isOrdered(): boolean {
        return true
      }
    },
  ),
}
