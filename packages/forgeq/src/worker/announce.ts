// Turns what happened to a claim into the engine's events, once the store has confirmed it.
import type { JobEvent } from '../core/events.ts'
import type { Emitter } from '../emitter.ts'
import type { Rescued } from '../maintain/rescue.ts'
import type { LogLine, Settlement, Verdict } from '../store/records.ts'
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

export const announceStuck = (events: Emitter, run: Run, stuck: number): void => {
  const { durationMs, isolation } = run
  events.emit('job:stuck', { ...jobOf(run), durationMs, isolation, stuck })
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
  if (settlement !== undefined) announce(events, jobOf(run), durationMs, settlement, verdict)
}

export const announceRescue = (events: Emitter, { job: lost, heldMs, settlement, verdict }: Rescued): void => {
  const { job: id, type, attempt, worker, policy } = lost
  announce(events, { id, type, queue: policy.queue, attempt, worker }, heldMs, settlement, verdict)
}

const announce = (
  events: Emitter,
  job: JobEvent,
  durationMs: number,
  settlement: Settlement,
  verdict: Verdict,
): void => {
  if (verdict === 'lost') return
  const outcome = verdict === 'cancelled' ? 'cancel' : settlement.outcome
  if (!events.hears(eventOf[outcome])) return
  const tried = { ...job, durationMs }
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
      return events.emit('job:released', job)
    case 'crash':
      return events.emit('job:crashed', { ...job, dead: settlement.bury ?? null, error: settlement.error })
    case 'cancel':
  }
}
