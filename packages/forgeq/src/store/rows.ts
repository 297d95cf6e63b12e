// Rows that stores read, in the columns they have in common -> records of the seam.
import { claimedPolicy } from './policy-text.ts'
import type { Claimed, LostJob, StoredPolicy } from './records.ts'
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
