// Why a job is where it is, in one sentence that ends with what to do. Reads records, changes nothing.
import type { JobRecord, QueueRecord, WorkerRecord } from '../store/records.ts'
import { formatMs } from './duration.ts'
import type { State } from './states.ts'

export interface Explanation {
  readonly state: State
  /** For programs: stays the same when the words change. */
  readonly reason:
    | 'ended'
    | 'running'
    | 'cancelling'
    | 'worker-lost'
    | 'not-due'
    | 'not-promoted'
    | 'blocked'
    | 'queue-paused'
    | 'no-worker'
    | 'no-worker-for-queue'
    | 'no-handler'
    | 'no-free-slot'
    | 'next'
  readonly text: string
}

/** `queue`: the record of the job's queue, if it has one; `workers`: all of them; `now`: of the store. */
export function explainWait(
  job: JobRecord,
  queue: QueueRecord | undefined,
  workers: readonly WorkerRecord[],
  now: number,
): Explanation {
  const live = workers.filter((worker) => !worker.closed && worker.expiresAt > now)
  const [reason, text] = explain(job, queue, live, now)
  return { state: job.state, reason, text }
}

type Answer = readonly [Explanation['reason'], string]

function explain(job: JobRecord, queue: QueueRecord | undefined, live: readonly WorkerRecord[], now: number): Answer {
  switch (job.state) {
    case 'completed':
      return ['ended', `It completed ${ago(job.finishedAt, now)}.`]
    case 'cancelled':
      return job.reason === 'expired'
        ? [
            'ended',
            `It expired: it had not started by ${iso(job.expireAt)}. \`forgeq jobs retry ${job.id}\` runs it anyway.`,
          ]
        : ['ended', `It was cancelled ${ago(job.finishedAt, now)}. \`forgeq jobs retry ${job.id}\` runs it again.`]
    case 'dead':
      return [
        'ended',
        `It is dead (${job.reason}) after attempt ${job.attempt}${because(job)}. \`forgeq jobs retry ${job.id}\` runs it again.`,
      ]
    case 'running':
      return explainRunning(job, live, now)
    case 'blocked':
      return ['blocked', 'It waits for other jobs to end.']
    case 'scheduled':
      return job.runAt > now
        ? [
            'not-due',
            `It is due in ${formatMs(job.runAt - now)}${because(job)}. \`forgeq jobs promote ${job.id}\` runs it now.`,
          ]
        : [
            'not-promoted',
            `It has been due for ${formatMs(now - job.runAt)}, but no worker or server is up to move it. Start one.`,
          ]
    case 'ready':
      return explainReady(job, queue, live)
  }
}

function explainRunning(job: JobRecord, live: readonly WorkerRecord[], now: number): Answer {
  const worker = live.find(({ id }) => id === job.worker)
  if (worker === undefined) {
    return [
      'worker-lost',
      `Its worker ${job.worker} is gone. Any live worker or server puts the job back; start one if there is none.`,
    ]
  }
  const where = `on ${worker.host} (process ${worker.pid})`
  return job.cancelRequested
    ? [
        'cancelling',
        `It is being cancelled: its handler ${where} has been told to stop and ends it by returning or throwing.`,
      ]
    : ['running', `Attempt ${job.attempt} has been running for ${formatMs(now - (job.startedAt ?? now))} ${where}.`]
}

function explainReady(job: JobRecord, queue: QueueRecord | undefined, live: readonly WorkerRecord[]): Answer {
  const name = job.policy.queue
  if (queue?.paused) return ['queue-paused', `Queue ${name} is paused. \`forgeq queues resume ${name}\` starts it.`]
  if (live.length === 0) return ['no-worker', 'No worker is running. Start one with `forgeq worker` or `forge.worker`.']
  const serving = live.filter(({ queues }) => queues.includes(name))
  if (serving.length === 0) {
    const served = [...new Set(live.flatMap(({ queues }) => queues))].join(', ')
    return [
      'no-worker-for-queue',
      `No worker serves queue ${name}: the running ones serve ${served}. Add it to a worker's queues.`,
    ]
  }
  const able = serving.filter(({ types }) => types.includes(job.type))
  if (able.length === 0) {
    return [
      'no-handler',
      `No worker of queue ${name} handles ${job.type}. Deploy its handler, or give it to a running worker.`,
    ]
  }
  const slots = able.reduce((sum, worker) => sum + worker.slots, 0)
  const held = able.reduce((sum, worker) => sum + worker.held, 0)
  if (held < slots) return ['next', 'It is next: a worker that can run it has a free slot.']
  return ['no-free-slot', `All ${slots} slots of the workers that can run it are busy. Wait, or start more workers.`]
}

const ago = (at: number | null, now: number): string =>
  at === null ? 'earlier' : `${formatMs(Math.max(0, now - at))} ago`

const iso = (at: number | null): string => (at === null ? 'then' : new Date(at).toISOString())

const because = ({ error }: JobRecord): string =>
  error === null ? '' : ` (last error: ${error.message.slice(0, 200)})`
