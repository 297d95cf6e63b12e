// A ready job as a claim reads it.

export interface Row {
  /** Where the server keeps it; `null` for one that this transaction stores. */
  readonly spot: string | null
  readonly lane: number
  readonly seq: number
  readonly id: string
  readonly type: number
  readonly name: string
  readonly claim: number
  readonly attempt: number
  readonly crashes: number
  readonly key: string | null
  /** `null`: it did not fit any more. */
  readonly payload: string | null
  readonly created_at: number
  readonly expire_at: number | null
  readonly policy: string | null
  readonly attempt_base: number
  readonly uniq: string | null
  readonly uniq_for: number | null
  readonly now: number
}

/** A job that the transaction itself has stored, ready and in no line. */
export interface Fresh extends Row {
  readonly spot: null
  readonly queue: number
}
