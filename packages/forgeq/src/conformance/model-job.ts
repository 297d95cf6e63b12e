// One job inside the reference store: its record, what only a store sees of it, and the pure steps of its life.
// Which job a step is done to, and in what order, is the model's.
import { caps } from '../core/caps.ts'
import { isPending, type State, transitions } from '../core/states.ts'
import type { KeyLine } from '../store/queue-record.ts'
import { storable } from '../store/storable.ts'
import type {
  AttemptRecord,
  Include,
  JobRecord,
  LogRecord,
  NewJob,
  NewUnique,
  Note,
  Settlement,
  Unique,
  Verdict,
} from '../store/records.ts'

export type Verb = keyof typeof transitions

type Mutable<T> = { -readonly [K in keyof T]: T[K] }

export interface ModelJob extends Mutable<Omit<JobRecord, 'attempts' | 'logs' | 'line'>> {
  attemptBase: number
  /** The payload may be another than the one it was enqueued with. */
  edited: boolean
  /** A claim met it whose worker does not know the type, or the type was held back: it stands aside. */
  parked: boolean
  /** It stood aside and came back: first of its level. */
  unparked: boolean
  /** Its first `seq`. */
  arrival: number
  /** Orders jobs of one lane, and due jobs of one instant. */
  seq: number
  /** Of a job with a key that stands in the lanes for it: its place there, as `seq` is that of others. */
  token: number | null
  readyAt: number
  /** The last claim that was settled, and how: what its worker hears when it settles again. */
  settled: { readonly claim: number; readonly worker: string | null; readonly verdict: Verdict } | null
  attempts: readonly AttemptRecord[]
  readonly logs: LogRecord[]
}

const startOf = (job: NewJob, now: number): number => Math.max(now + (job.delayMs ?? 0), job.runAt ?? 0)

const expiryOf = (job: NewJob, now: number): number | null => (job.expireMs === undefined ? null : now + job.expireMs)

const withoutConflict = ({ onConflict: _how, ...unique }: NewUnique): Unique => unique

export const newModelJob = (job: NewJob, now: number): ModelJob => ({
  id: job.id,
  type: job.type,
  state: 'scheduled',
  policy: job.policy,
  payload: job.payload,
  result: null,
  resultUntil: null,
  reason: null,
  error: null,
  progress: null,
  claim: 0,
  attempt: 1,
  attemptBase: 0,
  edited: false,
  crashes: 0,
  createdAt: now,
  runAt: startOf(job, now),
  startedAt: null,
  finishedAt: null,
  expireAt: expiryOf(job, now),
  worker: null,
  cancelRequested: false,
  tags: job.tags ?? [],
  unique: job.unique ? withoutConflict(job.unique) : null,
  key: job.key ?? null,
  parked: false,
  unparked: false,
  arrival: 0,
  seq: 0,
  token: null,
  readyAt: 0,
  settled: null,
  attempts: [],
  logs: [],
})

/** Unparked before front before fresh. */
export const kindOf = ({ unparked, claim }: ModelJob): number => (unparked ? 0 : claim > 0 ? 1 : 2)

/** By level, then unparked before front before fresh. */
const byLane = (a: ModelJob, b: ModelJob): number => a.policy.priority - b.policy.priority || kindOf(a) - kindOf(b)

export const byOrder = (a: ModelJob, b: ModelJob): number => byLane(a, b) || a.seq - b.seq

const byteLength = (text: string): number => new TextEncoder().encode(text).length

/** Changes the state along an edge of the state table; without a verb it is the job's first. */
export function move(job: ModelJob, verb: Verb | null, to: State): void {
  if (verb !== null && !(transitions[verb].from.includes(job.state) && transitions[verb].to.includes(to))) {
    throw new Error(`the state table has no ${verb} from ${job.state} to ${to}`)
  }
  job.state = to
}

/** It has not started in time: an expiry means nothing once a job was claimed. */
export const isExpired = (job: ModelJob, now: number): boolean =>
  isPending(job.state) && job.claim === 0 && job.expireAt !== null && job.expireAt <= now

/** When promote has something to do for this job. */
export function dueAt(job: ModelJob): number {
  const expireAt = (isPending(job.state) && job.claim === 0 && job.expireAt) || Infinity
  return Math.min(expireAt, job.state === 'scheduled' ? job.runAt : Infinity)
}

/** What a settlement becomes when the job was marked cancelled meanwhile; a crash stays one, and ends cancelled. */
export const obey = (job: ModelJob, settlement: Settlement): Settlement =>
  job.cancelRequested && settlement.outcome !== 'crash'
    ? {
        job: job.id,
        claim: job.claim,
        outcome: 'cancel',
        error: 'error' in settlement ? settlement.error : null,
      }
    : settlement

export function recordAttempt(job: ModelJob, settlement: Settlement, now: number): void {
  const error = 'error' in settlement ? settlement.error : null
  if (error !== null) job.error = error
  job.attempts = [
    ...job.attempts,
    {
      claim: job.claim,
      attempt: job.attempt,
      outcome: settlement.outcome,
      worker: job.worker!,
      startedAt: job.startedAt!,
      endedAt: now,
      error,
    },
  ].slice(-caps.attemptsKept)
}

const edit = (job: ModelJob, payload: string): void => {
  job.edited ||= payload !== job.payload
  job.payload = payload
}

export const holdsUntil = ({ unique }: ModelJob, until: 'done' | 'start'): boolean =>
  unique !== null && 'until' in unique && unique.until === until

/** It does the work of another enqueue from now on; whether it must be moved for that. */
export function replaceWork(job: ModelJob, by: NewJob, now: number): boolean {
  const {
    key,
    policy: { queue, priority },
  } = job
  edit(job, by.payload)
  job.policy = { ...by.policy, maxAttempts: job.attemptBase + by.policy.maxAttempts }
  job.runAt = startOf(by, now)
  job.expireAt = expiryOf(by, now)
  job.tags = by.tags ?? []
  job.key = by.key ?? null
  const isInPlace = queue === by.policy.queue && priority === by.policy.priority && key === job.key
  return job.state !== 'ready' || job.runAt > now || !isInPlace
}

/** A fresh set of tries; the numbers go on, so that no try ever has the number of another. */
export function renew(job: ModelJob, payload: string | undefined): void {
  // Cancelled while it waited, it never made the try that it waited for.
  const used = job.startedAt === null ? job.attempt - 1 : job.attempt
  const tries = job.policy.maxAttempts - job.attemptBase
  job.attempt = used + 1
  job.attemptBase = used
  job.policy = { ...job.policy, maxAttempts: used + tries }
  edit(job, payload ?? job.payload)
  job.crashes = 0
  job.result = job.resultUntil = job.reason = job.finishedAt = job.expireAt = null
}

/** Adds progress and lines; beyond the caps the first lines stay. */
export function write(job: ModelJob, note: Note, now: number): void {
  if (note.progress) job.progress = note.progress
  let bytes = job.logs.reduce((sum, line) => sum + byteLength(line.message), 0)
  for (const { level, message, ageMs } of note.logs ?? []) {
    bytes += byteLength(message)
    if (job.logs.length === caps.logLines || bytes > caps.logBytes) break
    job.logs.push({ at: now - ageMs, claim: job.claim, level, message: storable(message) })
  }
}

export function toRecord(job: ModelJob, now: number, include: readonly Include[], line?: KeyLine): JobRecord {
  const {
    attemptBase: _base,
    edited: _edited,
    parked: _parked,
    unparked: _unparked,
    arrival: _arrival,
    seq: _seq,
    token: _token,
    readyAt: _at,
    settled: _settled,
    attempts,
    logs,
    ...record
  } = job
  return {
    ...record,
    result: job.resultUntil !== null && job.resultUntil < now ? null : job.result,
    ...(include.includes('attempts') && { attempts }),
    ...(include.includes('logs') && { logs: [...logs] }),
    ...(line && { line }),
  }
}
