// Turns what happened to a claim into the engine's events, once the store has confirmed it.
import type { JobEvent } from '../core/events.ts'
import type { Emitter } from '../emitter.ts'
import type { Rescued } from '../maintain/rescue.ts'
import type { LogLine, Verdict } from '../store/records.ts'
import type { StoreTime } from '../store-time.ts'
import type { Run } from './run.ts'

const jobOf = ({ claimed, worker }: Run): JobEvent => ({
  id: claimed.job,
  type: claimed.type,
  queue: claimed.policy.queue,
  attempt: claimed.attempt,
  worker,
})

export const announceStart = (events: Emitter, run: Run, time: StoreTime): void => {
  if (!events.hears('job:started')) return
  events.emit('job:started', { ...jobOf(run), waitedMs: Math.max(0, time.now() - run.claimed.createdAt) })
}

export const announceLine = (events: Emitter, run: Run, level: LogLine['level'], message: string): void => {
  if (events.hears('job:log')) events.emit('job:log', { ...jobOf(run), level, message })
}

const eventOf = {
  complete: 'job:completed',
  retry: 'job:retried',
  snooze: 'job:retried',
  bury: 'job:dead',
  cancel: 'job:cancelled',
  release: 'job:released',
  crash: 'job:crashed',
} as const

/** A claim that was lost is silent: whoever holds the job now tells how it ends. */
export const announceEnd = (events: Emitter, run: Run, verdict: Verdict): void => {
  const { settlement, durationMs } = run
  if (settlement === undefined || verdict === 'lost') return
  const outcome = verdict === 'cancelled' ? 'cancel' : settlement.outcome
  if (!events.hears(eventOf[outcome])) return
  const tried = { ...jobOf(run), durationMs }
  if (outcome === 'cancel') return events.emit('job:cancelled', tried)
  switch (settlement.outcome) {
    case 'complete':
      return events.emit('job:completed', tried)
    case 'retry':
    case 'snooze':
      return events.emit('job:retried', {
        ...tried,
        delayMs: settlement.delayMs,
        error: settlement.error,
        counted: settlement.outcome === 'retry',
      })
    case 'bury':
      return events.emit('job:dead', { ...tried, reason: settlement.reason, error: settlement.error })
    case 'release':
      return events.emit('job:released', jobOf(run))
    case 'cancel':
    case 'crash':
  }
}

export const announceRescue = (events: Emitter, { job, settlement }: Rescued): void => {
  if (settlement.outcome !== 'crash' || !events.hears('job:crashed')) return
  const { job: id, attempt, worker, policy } = job
  const dead = settlement.bury ?? null
  events.emit('job:crashed', { id, queue: policy.queue, attempt, worker, dead, error: settlement.error })
}
