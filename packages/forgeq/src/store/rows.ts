// Rows that stores read, in the columns they have in common -> records of the seam.
import type { Outcome } from '../core/states.ts'
import { claimedPolicy, unpackPolicy } from './policy-text.ts'
import type { AttemptRecord, Claimed, Failure, LostJob, StoredPolicy, TypeRecord } from './records.ts'
import type { WorkerEnd } from './worker-record.ts'

interface ClaimRow {
  /** Its id. */
  readonly job: string
  readonly claim: number
  readonly attempt: number
  readonly crashes: number
  /** Names. */
  readonly queue: string
  readonly type: string
  readonly policy: string | null
  readonly attempt_base: number
  readonly priority: number
}

const policyOf = (row: ClaimRow): StoredPolicy => claimedPolicy(row.policy, row.queue, row.priority, row.attempt_base)

/** What a worker holds. */
export interface HeldRow extends ClaimRow {
  readonly payload: string
  readonly created_at: number
}

export const claimedOf = (row: HeldRow): Claimed => ({
  job: row.job,
  claim: row.claim,
  type: row.type,
  payload: row.payload,
  attempt: row.attempt,
  attemptBase: row.attempt_base,
  crashes: row.crashes,
  createdAt: row.created_at,
  policy: policyOf(row),
})

/** What a closed worker left behind. */
export interface LostRow extends ClaimRow {
  readonly worker: string
  readonly host: string
  readonly pid: number
  readonly rss_bytes: number | null
  /** As JSON text. */
  readonly ended: string | null
  readonly started_at: number
}

export const lostOf = (row: LostRow): LostJob => ({
  job: row.job,
  type: row.type,
  claim: row.claim,
  worker: row.worker,
  crashes: row.crashes,
  attempt: row.attempt,
  attemptBase: row.attempt_base,
  policy: policyOf(row),
  startedAt: row.started_at,
  host: row.host,
  pid: row.pid,
  rssBytes: row.rss_bytes,
  end: row.ended === null ? null : (JSON.parse(row.ended) as WorkerEnd),
})

/** A claim that ended without completing its job. */
export interface AttemptRow {
  readonly claim: number
  readonly attempt: number
  readonly outcome: Outcome
  readonly started_at: number
  readonly ended_at: number
  /** As JSON text. */
  readonly error: string | null
  /** Of the worker, as long as its record is kept. */
  readonly uid: string | null
}

export const attemptOf = (row: AttemptRow): AttemptRecord => ({
  claim: row.claim,
  attempt: row.attempt,
  outcome: row.outcome,
  worker: row.uid ?? '',
  startedAt: row.started_at,
  endedAt: row.ended_at,
  error: row.error === null ? null : (JSON.parse(row.error) as Failure),
})

/** A type as a worker announced it. */
export interface TypeRow {
  readonly name: string
  readonly queue: string
  readonly priority: number
  readonly policy: string | null
  readonly schema: string | null
}

export const typeOf = ({ name, queue, priority, policy, schema }: TypeRow): TypeRecord => ({
  type: name,
  policy: { ...unpackPolicy(policy), queue, priority },
  inputSchema: schema,
})
