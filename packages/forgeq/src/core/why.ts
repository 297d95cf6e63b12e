// Why a job is where it is, in one sentence that says what to do. Reads records, changes nothing.
import type { QueueRecord } from '../store/queue-record.ts'
import type { JobRecord } from '../store/records.ts'
import type { WorkerRecord } from '../store/worker-record.ts'
import { canWork } from './crew.ts'
import { formatMs } from './duration.ts'
import type { State } from './states.ts'
import { explainLimits, type LimitReason } from './why-limits.ts'
import { describePaused } from './closed-queue.ts'

export interface Explanation {
  readonly state: State
  /** For programs: stays when the words change. */
  readonly reason:
    | 'ended'
    | 'running'
    | 'cancelling'
    | 'worker-lost'
    | 'not-due'
    | 'not-promoted'
    | 'blocked'
    | 'queue-paused'
    | LimitReason
    | 'no-worker'
    | 'no-worker-for-queue'
    | 'no-handler'
    | 'key-line'
    | 'no-free-slot'
    | 'suspect'
    | 'next'
  readonly text: string
}

type Answer = Omit<Explanation, 'state'>
const say = (reason: Explanation['reason'], text: string): Answer => ({ reason, text })

/** `job`: read with its line; `queue`: the record of its queue, if there is one; `workers`: all of them; `now`: of the store. */
export function explainWait(
  job: JobRecord,
  queue: QueueRecord | undefined,
  workers: readonly WorkerRecord[],
  now: number,
): Explanation {
  const live = workers.filter((worker) => canWork(worker, now))
  return { state: job.state, ...explain(job, queue, live, now) }
}

function explain(job: JobRecord, queue: QueueRecord | undefined, live: readonly WorkerRecord[], now: number): Answer {
  switch (job.state) {
    case 'scheduled':
      return explainScheduled(job, now)
    case 'blocked':
      return say('blocked', 'It waits for other jobs to end.')
    case 'ready':
      return explainReady(job, queue, live, now)
    case 'running':
      return explainRunning(job, live, now)
    case 'completed':
    case 'dead':
    case 'cancelled':
      return explainEnded(job, now)
  }
}

function explainScheduled(job: JobRecord, now: number): Answer {
  if (job.runAt <= now) {
    const since = formatMs(now - job.runAt)
    return say('not-promoted', `It has been due for ${since}, but no worker or server is there to move it: start one.`)
  }
  const dueIn = `It is due in ${formatMs(job.runAt - now)}${afterError(job)}`
  return say('not-due', `${dueIn}. \`forgeq jobs promote ${job.id}\` makes it ready now.`)
}

function explainReady(
  job: JobRecord,
  record: QueueRecord | undefined,
  live: readonly WorkerRecord[],
  now: number,
): Answer {
  const { type, policy, crashes, line } = job
  const { queue } = policy
  if (record?.paused) return say('queue-paused', describePaused(queue, record.accepting))
  const limited = record && explainLimits(job, record, now)
  if (limited !== undefined) return say(...limited)
  if (live.length === 0)
    return say('no-worker', 'No worker is running: start one with `forgeq worker` or `forge.worker`.')

  const serving = live.filter(({ queues }) => queues.includes(queue))
  if (serving.length === 0) {
    const served = [...new Set(live.flatMap(({ queues }) => queues))].join(', ')
    return say('no-worker-for-queue', `No worker serves queue ${queue}, only ${served}: start one that does.`)
  }
  const able = serving.filter(({ types }) => types.includes(type))
  if (able.length === 0)
    return say('no-handler', `No worker of queue ${queue} handles ${type}: give its handler to one.`)

  // Nobody would come to it either while there is no worker: that is said first.
  if (line?.isNext === false) {
    return say('key-line', 'Other jobs of its key come before it: wait, they start one after the other.')
  }
  if (crashes > 0 && able.every((worker) => worker.held > 0)) {
    const was = crashes === 1 ? 'a crash' : `${crashes} crashes`
    return say(
      'suspect',
      `It was running in ${was}, so it runs apart from other jobs: within 5 s a worker stops claiming those, and starts it when what it runs has ended.`,
    )
  }
  const slots = able.reduce((sum, worker) => sum + worker.slots, 0)
  const held = able.reduce((sum, worker) => sum + worker.held, 0)
  return held < slots
    ? say('next', `It starts soon: ${slots - held} of ${slots} slots that can run it are free.`)
    : say('no-free-slot', `All ${slots} slots that can run it are taken: wait, or start more workers.`)
}

function explainRunning(job: JobRecord, live: readonly WorkerRecord[], now: number): Answer {
  const worker = live.find(({ id }) => id === job.worker)
  if (worker === undefined) {
    return say('worker-lost', 'Its worker is gone. Any live worker or server puts it back: start one if there is none.')
  }
  const where = `on ${worker.host} (process ${worker.pid})`
  return job.cancelRequested
    ? say(
        'cancelling',
        `It is being cancelled: its handler ${where} hears of it as soon as its event loop is free, and has 5 s to end then.`,
      )
    : say('running', `Attempt ${job.attempt} has been running for ${formatMs(now - (job.startedAt ?? now))} ${where}.`)
}

function explainEnded(job: JobRecord, now: number): Answer {
  const ended = `${formatMs(now - (job.finishedAt ?? now))} ago`
  const again = `\`forgeq jobs retry ${job.id}\` runs it again.`
  if (job.state === 'completed') return say('ended', `It completed ${ended}.`)
  if (job.state === 'dead') return say('ended', `It died ${ended} (${job.reason})${afterError(job)}. ${again}`)
  return job.reason === 'expired'
    ? say('ended', `It expired ${ended}, before any worker started it. ${again}`)
    : say('ended', `It was cancelled ${ended}. ${again}`)
}

const afterError = ({ attempt, error }: JobRecord): string =>
  error === null ? '' : `, attempt ${attempt}, after ${error.name}: ${error.message.slice(0, 200)}`
