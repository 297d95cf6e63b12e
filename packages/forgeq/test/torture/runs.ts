// The claims of a history as their handlers lived them, in the worker's process or in a thread or process of their own.
import type { Event, Taken } from './events.ts'

export interface Run {
  readonly job: string
  readonly claim: number
  /** Who holds the claim; empty when that was never told. */
  readonly worker: string
  readonly payload: string
  readonly pid: number
  /** The worker process. */
  readonly home: number
  /** It has a thread or process of its own. */
  readonly isIsolated: boolean
  readonly startedAt: number
  /** The last sign of life of its thread when the handler never ended. */
  readonly endedAt: number
  readonly hasEnded: boolean
  readonly abortedAt: number | undefined
}

/** A job that was handed to a worker in process `pid`. */
export interface Handout extends Taken {
  readonly worker: string
  readonly pid: number
}

export const claimKey = ({ job, claim }: { readonly job: string; readonly claim: number }): string => `${job} ${claim}`

const threadKey = ({ pid, thread = 0 }: Pick<Event, 'pid' | 'thread'>): string => `${pid}/${thread}`

export function runsIn(events: readonly Event[], taken: readonly Handout[]): Run[] {
  const workers = new Map(taken.map((one) => [`${one.pid} ${claimKey(one)}`, one.worker]))
  const lastSigns = new Map<string, number>()
  const ends = new Map<string, number>()
  const aborts = new Map<string, number>()
  for (const event of events) {
    lastSigns.set(threadKey(event), event.t)
    if (event.e === 'end') ends.set(`${threadKey(event)} ${claimKey(event)}`, event.t)
    if (event.e === 'abort') aborts.set(`${threadKey(event)} ${claimKey(event)}`, event.t)
  }
  return events.flatMap((event): Run[] => {
    if (event.e !== 'start') return []
    const { job, claim, home, payload, pid, thread, t } = event
    const key = `${threadKey(event)} ${claimKey(event)}`
    return [
      {
        job,
        claim,
        worker: workers.get(`${home} ${claimKey(event)}`) ?? '',
        payload,
        pid,
        home,
        isIsolated: pid !== home || thread !== undefined,
        startedAt: t,
        endedAt: ends.get(key) ?? lastSigns.get(threadKey(event))!,
        hasEnded: ends.has(key),
        abortedAt: aborts.get(key),
      },
    ]
  })
}
