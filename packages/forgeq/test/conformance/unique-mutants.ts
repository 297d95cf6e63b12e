// Stores that are wrong in one point of unique keys.
import type { ModelJob } from '#src/conformance/model-job.js'
import { ModelJobs } from '#src/conformance/model-jobs.js'
import { ModelKeys } from '#src/conformance/model-keys.js'
import type { Claimed, Enqueued, NewJob, Settlement, Unique } from '#src/store/records.js'
import { beforeActing, heldKey, jobs, keys, meeting, replacing, type Make } from './mutations.ts'

type Owner = Parameters<ModelKeys['free']>[0]

const isWindow = (unique: Unique | null): boolean => unique !== null && 'forMs' in unique
const isUntil = (unique: Unique | null, until: string): boolean =>
  unique !== null && 'until' in unique && unique.until === until

/** Frees keys that it should not, or does not free those that it should. */
const freeing = (change: (right: () => void, owner: Owner, all: ModelKeys) => void): Make =>
  keys(
    class extends ModelKeys {
      override free(owner: Owner): void {
        change(() => super.free(owner), owner, this)
      }
    },
  )

export const uniqueMutants: Readonly<Record<string, Make>> = {
  'frees a unique key when its job starts': jobs(
    class extends ModelJobs {
      protected override start(job: ModelJob, worker: string, now: number): Claimed {
        this.keys.free(job)
        return super.start(job, worker, now)
      }
    },
  ),
  'frees a unique key between two tries': heldKey(
    (job) => isWindow(job.unique) || job.claim === 0 || job.state === 'running' || job.finishedAt !== null,
  ),
  'holds no unique key': heldKey(() => false),
  'holds a unique key across types': keys(
    class extends ModelKeys {
      override holder(_: string, unique: Unique, now: number): string | undefined {
        const types = [...this.held.keys()].map((name) => name.split(' ')[0]!)
        return types.map((type) => super.holder(type, unique, now)).find((holder) => holder !== undefined)
      }
    },
  ),
  'frees the key of another job': freeing((right, owner, all) => {
    right()
    if (owner.unique) all.held.delete(`${owner.type} ${owner.unique.key}`)
  }),

  'holds a key until the end that was for the start': jobs(
    class extends ModelJobs {
      protected override start(job: ModelJob, worker: string, now: number): Claimed {
        const holder = job.unique && this.holder(job.type, job.unique, now)
        const claimed = super.start(job, worker, now)
        if (holder === job.id) this.keys.take(job, now)
        return claimed
      }
    },
  ),
  'takes the key of a job again when it comes back': jobs(
    class extends ModelJobs {
      protected override carryOut(job: ModelJob, settlement: Settlement, now: number): void {
        super.carryOut(job, settlement, now)
        const isFree = job.unique !== null && this.holder(job.type, job.unique, now) === undefined
        if (isFree && job.state === 'ready') this.keys.take(job, now)
      }
    },
  ),
  'frees the key of a job that started long ago from another': jobs(
    class extends ModelJobs {
      protected override start(job: ModelJob, worker: string, now: number): Claimed {
        if (isUntil(job.unique, 'start')) this.keys.held.delete(`${job.type} ${job.unique!.key}`)
        return super.start(job, worker, now)
      }
    },
  ),
  'keeps the key of a job that did not start': freeing((right, owner) => {
    if (!isUntil(owner.unique, 'start') || (owner as ModelJob).claim > 0) right()
  }),

  'forgets a window when its job completes': afterWindow('completed'),
  'forgets a window when its job dies': afterWindow('dead'),
  'keeps the window of a job that was cancelled': freeing((right, owner) => {
    if (!isWindow(owner.unique) || (owner as ModelJob).reason !== 'cancelled') right()
  }),
  'keeps the window of a job that expired': freeing((right, owner) => {
    if (!isWindow(owner.unique) || (owner as ModelJob).reason !== 'expired') right()
  }),
  'forgets a window with its job': jobs(
    class extends ModelJobs {
      protected override holder(type: string, unique: Unique, now: number): string | undefined {
        const holder = super.holder(type, unique, now)
        return holder !== undefined && this.byId.has(holder) ? holder : undefined
      }
    },
  ),
  'ends a window a millisecond late': keys(
    class extends ModelKeys {
      override holder(type: string, unique: Unique, now: number): string | undefined {
        return super.holder(type, unique, now - 1)
      }
    },
  ),
  'begins a window anew whenever it is met': jobs(
    class extends ModelJobs {
      protected override meetHolder(holder: string, job: NewJob, now: number): Enqueued {
        const held = this.byId.get(holder)
        if (held && isWindow(held.unique)) this.keys.take(held, now)
        return super.meetHolder(holder, job, now)
      }
    },
  ),
  'goes on with the old window after a retry by hand': jobs(
    class extends ModelJobs {
      override act(...args: Parameters<ModelJobs['act']>): ReturnType<ModelJobs['act']> {
        const held = new Map(this.keys.held)
        const verdict = super.act(...args)
        if (args[1].action === 'retry') for (const [name, holding] of held) this.keys.held.set(name, holding)
        return verdict
      }
    },
  ),
  'does not take a key again at a retry by hand': jobs(
    class extends ModelJobs {
      override act(...args: Parameters<ModelJobs['act']>): ReturnType<ModelJobs['act']> {
        const verdict = super.act(...args)
        const job = this.byId.get(args[0])
        if (args[1].action === 'retry' && verdict.done && job) this.keys.free(job)
        return verdict
      }
    },
  ),

  'stores what it should refuse for its key': jobs(
    class extends ModelJobs {
      protected override meetHolder(holder: string, job: NewJob, now: number): Enqueued {
        const answer = super.meetHolder(holder, job, now)
        if ('refused' in answer) {
          const { unique: _, ...plain } = job
          super.add(plain, now)
        }
        return answer
      }
    },
  ),
  'keeps the holder instead of an error': meeting((right, _, holder, job) =>
    job.unique?.onConflict === 'error' ? { id: holder, duplicate: true } : right(),
  ),
  'does not name the holder': meeting((right) => {
    const answer = right()
    if (!('refused' in answer)) return answer
    const { holder: _, ...refused } = answer.refused
    return { ...answer, refused }
  }),

  'replaces nothing': meeting((right, _, holder, job) =>
    job.unique?.onConflict === 'replace' ? { id: holder, duplicate: true } : right(),
  ),
  'replaces a running job': meeting((right, all, holder, job) => {
    const held = all.byId.get(holder)
    if (held?.state !== 'running' || job.unique?.onConflict !== 'replace') return right()
    held.payload = job.payload
    return { id: holder, duplicate: true, replaced: true }
  }),
  'replaces what a job did': meeting((right, all, holder, job) => {
    const held = all.byId.get(holder)
    if (held?.finishedAt && job.unique?.onConflict === 'replace') held.payload = job.payload
    return right()
  }),
  'replaces again when it is asked again': keys(
    class extends ModelKeys {
      override remember(): void {
        // Remembers nothing.
      }
    },
  ),
  'remembers the last replacement only': keys(
    class extends ModelKeys {
      override remember(...args: Parameters<ModelKeys['remember']>): void {
        this.replacements.clear()
        super.remember(...args)
      }
    },
  ),
  'remembers replacements for ever': keys(
    class extends ModelKeys {
      override prune(): void {
        // Forgets nothing.
      }
    },
  ),
  'forgets replacements too early': keys(
    class extends ModelKeys {
      override prune(now: number): void {
        super.prune(now + 1)
      }
    },
  ),
  'takes the producer of an edited job for another': jobs(
    class extends ModelJobs {
      protected override known(job: NewJob): Enqueued | undefined {
        const known = this.byId.get(job.id)
        if (known) known.edited = false
        return super.known(job)
      }
    },
  ),
  'takes every retried job for an edited one': beforeActing((job, { action }) => {
    if (action === 'retry') job.edited = true
  }),
  'replaces the payload alone': replacing((holder, before) => {
    const { policy, runAt, state, tags, expireAt } = before
    Object.assign(holder, { policy, runAt, state, tags, expireAt })
  }),
  'leaves tags and expiry as they were': replacing((holder, { tags, expireAt }) => {
    Object.assign(holder, { tags, expireAt })
  }),
  'keeps the delay of what was replaced': replacing((holder, { state, runAt }) => {
    if (state === 'scheduled') Object.assign(holder, { state, runAt })
  }),
  'begins the counters of a replaced job anew': replacing((holder) => {
    Object.assign(holder, { attempt: 1, claim: 0, crashes: 0 })
  }),
  'makes a replaced job a new one in history': replacing((holder, _, job) => {
    holder.createdAt = holder.runAt - (job.delayMs ?? 0)
  }),
  'gives up the place in line of a replaced job': jobs(
    class extends ModelJobs {
      protected override replace(holder: ModelJob, job: NewJob, now: number): void {
        super.replace(holder, job, now)
        if (holder.state === 'ready') this.enterLane(holder, 'replace', now)
      }
    },
  ),
  'keeps what a refused call replaced': jobs(
    class extends ModelJobs {
      override undo(): () => void {
        const right = super.undo()
        return () => {
          const now = new Map([...this.byId].map(([id, job]) => [id, structuredClone(job)]))
          right()
          for (const id of this.byId.keys()) this.byId.set(id, now.get(id)!)
        }
      }
    },
  ),
}

/** Frees the key of a job that ended so. */
function afterWindow(state: 'completed' | 'dead'): Make {
  return jobs(
    class extends ModelJobs {
      protected override end(...args: Parameters<ModelJobs['end']>): void {
        super.end(...args)
        if (args[2] === state) this.keys.free(args[0])
      }
    },
  )
}
