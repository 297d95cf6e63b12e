// What a job is to do, how and when, as stores keep it with the job.
import type { NewJob } from './records.ts'
import { stateCodes } from './state-codes.ts'

export interface Work {
  readonly payload: string
  /** Number of the queue. */
  readonly queue: number
  readonly priority: number
  /** As text: policy-text.ts. */
  readonly policy: string | null
  readonly runAt: number
  readonly expireAt: number | null
  /** As JSON text. */
  readonly tags: string | null
  readonly key: string | null
}

export const workOf = (job: NewJob, queue: number, policy: string | null, now: number): Work => ({
  payload: job.payload,
  queue,
  priority: job.policy.priority,
  policy,
  runAt: Math.max(now + (job.delayMs ?? 0), job.runAt ?? 0),
  expireAt: job.expireMs === undefined ? null : now + job.expireMs,
  tags: job.tags === undefined || job.tags.length === 0 ? null : JSON.stringify(job.tags),
  key: job.key ?? null,
})

type Standing = Pick<Work, 'queue' | 'priority' | 'key'>

export const hasSameKey = (job: Standing, work: Work): boolean => job.queue === work.queue && job.key === work.key

/**
 * Whether a job that gets other work stays where it waits: a ready one that need not move keeps its place in line, so that
 * updates cannot hold it up for ever. `state`: its code.
 */
export const staysInPlace = (job: Standing, state: number, work: Work, now: number): boolean =>
  hasSameKey(job, work) && job.priority === work.priority && state === stateCodes.ready && work.runAt <= now
