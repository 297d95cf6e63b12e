// How jobs, queues and workers look as JSON, for HTTP and for the command line's --json. Times become RFC 3339 texts;
// payload and result stay the texts they were stored as, so that no digit is lost.
import type { RateFill } from '../core/limit.ts'
import type { Explanation } from '../core/why.ts'
import type { Accepted } from '../enqueue.ts'
import { byPriority } from '../queue-view.ts'
import type { QueueRecord } from '../store/queue-record.ts'
import type { ActVerdict, JobRecord } from '../store/records.ts'
import type { Crew, WorkerRecord } from '../store/worker-record.ts'

/** A job as JSON text; `why` and, where the record has them, attempts and logs come last. */
export function jobJson(job: JobRecord, why?: Explanation): string {
  const head = JSON.stringify({
    id: job.id,
    type: job.type,
    queue: job.policy.queue,
    priority: job.policy.priority,
    state: job.state,
    attempt: job.attempt,
    maxAttempts: job.policy.maxAttempts,
  })
  const tail = JSON.stringify({
    error: job.error,
    reason: job.reason,
    progress: job.progress,
    crashes: job.crashes,
    cancelRequested: job.cancelRequested,
    createdAt: instant(job.createdAt),
    runAt: instant(job.runAt),
    startedAt: instant(job.startedAt),
    finishedAt: instant(job.finishedAt),
    expireAt: instant(job.expireAt),
    resultUntil: instant(job.resultUntil),
    worker: job.worker,
    tags: job.tags,
    unique: job.unique,
    key: job.key,
    attempts: job.attempts?.map(({ startedAt, endedAt, ...attempt }) => ({
      ...attempt,
      startedAt: instant(startedAt),
      endedAt: instant(endedAt),
    })),
    logs: job.logs?.map(({ at, ...line }) => ({ at: instant(at), ...line })),
    why: why && { reason: why.reason, text: why.text },
  })
  return `${head.slice(0, -1)},"payload":${job.payload},"result":${job.result ?? 'null'},${tail.slice(1)}`
}

/** A page of jobs as JSON text. */
export function pageJson(jobs: readonly JobRecord[], next: string | null): string {
  const data = jobs.map((job) => jobJson(job)).join(',')
  return `{"data":[${data}],"page":${JSON.stringify({ next, hasMore: next !== null })}}`
}

/** A queue as JSON text; its limits are members that may be sent back as they are. */
export function queueJson({ queue, paused, accepting, limits, fill, counts, ...record }: QueueRecord): string {
  const { concurrency, rate, rates, perKey, maxDepth } = limits
  return JSON.stringify({
    queue,
    paused,
    accepting,
    concurrency,
    rate,
    ratePerPriority: byPriority(rates, (one) => one),
    perKey,
    maxDepth,
    fill: { rate: fill.rate && fillView(fill.rate), ratePerPriority: byPriority(fill.rates, fillView) },
    heldUntil: instant(record.heldUntil),
    heldTypes: Object.fromEntries(Object.entries(record.heldTypes).map(([type, until]) => [type, instant(until)])),
    counts,
    oldestReadyAt: instant(record.oldestReadyAt),
  })
}

const fillView = ({ left, opensAt }: RateFill): object => ({ left, opensAt: instant(opensAt) })

export function workerJson(worker: WorkerRecord): string {
  const { startedAt, beatAt, expiresAt, facts, ...rest } = worker
  return JSON.stringify({
    ...rest,
    startedAt: instant(startedAt),
    beatAt: instant(beatAt),
    expiresAt: instant(expiresAt),
    facts: facts?.crew === undefined ? facts : { ...facts, crew: crewView(facts.crew) },
  })
}

const crewView = ({ loops, ...crew }: Crew): object => ({
  ...crew,
  loops: loops.map(({ nextStartAt, ...loop }) => ({ ...loop, nextStartAt: instant(nextStartAt) })),
})

/** A list without pages as JSON text. */
export const listJson = (items: readonly string[]): string => `{"data":[${items.join(',')}]}`

/** What an enqueue is answered with. */
export const acceptedJson = ({ id, duplicate, replaced }: Accepted): string =>
  JSON.stringify({ id, duplicate, ...(replaced === true && { replaced }) })

/** What became of a job that was acted on. */
export const actedJson = ({ id, state }: Extract<ActVerdict, { done: true }>): string => JSON.stringify({ id, state })

const instant = (at: number | null): string | null => (at === null ? null : new Date(at).toISOString())
