// Gives a job that waits the work of another enqueue, and remembers which enqueues did so: sent again, they must not do it
// again.
import { rememberMs } from '../core/retention.ts'
import { allows } from '../core/states.ts'
import type { Enqueued } from '../store/records.ts'
import { endOfKeyed } from './keys.ts'
import { makeLater, makeReady, placeOf, takeOut, type Body, type Place } from './place.ts'
import { stateName } from '../store/state-codes.ts'
import { hasSameKey, staysInPlace, type Work } from '../store/work.ts'
import type { Turn } from './turn.ts'

const bodyOf = /* sql */ `SELECT seq, id, type, queue, priority, run_at, expire_at, key FROM forgeq_job WHERE seq = ?`
const rework = /* sql */ `
  UPDATE forgeq_job SET edited = edited OR payload <> ?, payload = ?, queue = ?, priority = ?, policy = ?, run_at = ?,
    expire_at = ?, tags = ?, key = ? WHERE seq = ?`
const dropDeadline = /* sql */ `DELETE FROM forgeq_deadline WHERE at = ? AND job = ?`
// One from before a retry by hand may still be there, at the same instant.
const addDeadline = /* sql */ `INSERT INTO forgeq_deadline (at, job) VALUES (?, ?) ON CONFLICT DO NOTHING`

/** A job that waits. */
export interface Waiting {
  readonly body: Body & { readonly expire_at: number | null }
  readonly place: Place
}

/** `undefined` when the job has started, has ended or is gone: then it is left as it is. */
export const waitingJob = (turn: Turn, seq: number): Waiting | undefined => {
  const body = turn.sql(bodyOf).get(seq) as Waiting['body'] | undefined
  const place = body === undefined ? undefined : placeOf(turn, body)
  if (body === undefined || place === undefined || !allows(stateName(place.state), 'replace')) return undefined
  return { body, place }
}

export const replaceWork = (turn: Turn, { body, place }: Waiting, work: Work): void => {
  const { seq } = body
  const { payload, queue, priority, policy, runAt, expireAt, tags, key } = work
  turn.sql(rework).run(payload, payload, queue, priority, policy, runAt, expireAt, tags, key, seq)
  if (body.expire_at !== null) turn.sql(dropDeadline).run(body.expire_at, seq)
  if (expireAt !== null) {
    turn.sql(addDeadline).run(expireAt, seq)
    turn.dueAt(expireAt)
  }
  if (staysInPlace(body, place.state, work, turn.now)) return
  takeOut(turn, body, place)
  if (!hasSameKey(body, work) && body.key !== null) endOfKeyed(turn, { ...body, key: body.key })
  if (runAt > turn.now) makeLater(turn, { seq, queue }, runAt, place)
  else makeReady(turn, { seq, type: body.type, queue, priority, key }, place)
}

const addReplacement = /* sql */ `INSERT INTO forgeq_replacement (id, type, holder, expires_at) VALUES (?, ?, ?, ?)`
const replacement = /* sql */ `SELECT type, holder FROM forgeq_replacement WHERE id = ?`

/** As long as the id of an ended job is known. */
export const rememberReplacement = (turn: Turn, id: string, type: number, holder: string): void => {
  turn.sql(addReplacement).run(id, type, holder, turn.now + rememberMs)
}

/** The answer that an enqueue of this id had when it replaced; `taken` when that was one of another type. */
export const replacementOf = (turn: Turn, id: string, type: number): Enqueued | 'taken' | undefined => {
  const known = turn.sql(replacement).get(id) as { type: number; holder: string } | undefined
  if (known === undefined) return undefined
  return known.type === type ? { id: known.holder, duplicate: true, replaced: true } : 'taken'
}
