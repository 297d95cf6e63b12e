// What operators do to single jobs. Whether a state allows it is asked of core/states.ts.
import { allows } from '../core/states.ts'
import type { ActRequest, ActVerdict } from '../store/records.ts'
import { finish } from './finish.ts'
import { removeBodies } from './maintain.ts'
import { endOfKeyed, putKeysRight } from './keys.ts'
import { makeReady, placeOf, takeOut, type Body, type Place } from './place.ts'
import { stateCodes, stateName } from '../store/state-codes.ts'
import type { Turn } from './turn.ts'
import { holderOf, releaseUnique, takeUnique } from './unique.ts'
import { uidOf } from './worker-uid.ts'

interface Target extends Body {
  readonly uniq: string | null
  readonly uniq_for: number | null
}

const targetOf = /* sql */ `
  SELECT seq, id, type, queue, priority, run_at, uniq, uniq_for, key FROM forgeq_job WHERE id = ?`
// Any later settle or rescue of this claim ends the job cancelled.
const markCancelled = /* sql */ `UPDATE forgeq_running SET cancelled = 1 WHERE job = ?`
const revive = /* sql */ `
  UPDATE forgeq_job SET attempt_base = ?, expire_at = NULL, edited = edited OR payload <> coalesce(?, payload),
  payload = coalesce(?, payload) WHERE seq = ?`
// A completed claim has its times only in done, which the retry takes away.
const keepCompleted = /* sql */ `
  INSERT INTO forgeq_attempt (job, claim, attempt, outcome, worker, started_at, ended_at)
  SELECT job, claim, attempt, 'complete', settler, started_at, finished_at FROM forgeq_done
  WHERE job = ? AND state = ${stateCodes.completed}`

export const act = (turn: Turn, request: ActRequest): readonly ActVerdict[] => {
  const verdicts = request.ids.map((id): ActVerdict => {
    const job = turn.sql(targetOf).get(id) as Target | undefined
    const place = job === undefined ? undefined : placeOf(turn, job)
    if (job === undefined || place === undefined) return { id, done: false, code: 'NOT_FOUND' }
    const state = stateName(place.state)
    // Asked again, a cancel gives the same answer.
    if (request.action === 'cancel' && state === 'cancelled') return { id, done: true, state }
    if (!allows(state, request.action)) return { id, done: false, code: 'STATE_CONFLICT', state }
    switch (request.action) {
      case 'cancel':
        return cancel(turn, job, place)
      case 'retry':
        return retry(turn, job, place, request.payload)
      case 'promote':
        takeOut(turn, job, place)
        makeReady(turn, job, place)
        return { id, done: true, state: 'ready' }
      case 'delete':
        takeOut(turn, job, place)
        if (job.uniq !== null) releaseUnique(turn, job.seq)
        if (job.key !== null) endOfKeyed(turn, { ...job, key: job.key })
        removeBodies(turn, [job.seq])
        turn.hintEnded(id)
        return { id, done: true, state: 'gone' }
    }
  })
  putKeysRight(turn)
  return verdicts
}

const cancel = (turn: Turn, job: Target, place: Place): ActVerdict => {
  if (place.tree === 'running') {
    turn.sql(markCancelled).run(job.seq)
    turn.hint(`orders:${uidOf(turn, place.worker!)!}`)
    return { id: job.id, done: true, state: 'running' }
  }
  takeOut(turn, job, place)
  finish(turn, {
    ...place,
    seq: job.seq,
    id: job.id,
    queue: job.queue,
    key: job.key,
    state: 'cancelled',
    reason: 'cancelled',
    result: null,
    startedAt: null,
    keepResultMs: 0,
    holdsUnique: job.uniq !== null,
  })
  return { id: job.id, done: true, state: 'cancelled' }
}

const retry = (turn: Turn, job: Target, place: Place, payload: string | undefined): ActVerdict => {
  if (job.uniq !== null && !takeUnique(turn, job, job.uniq, job.uniq_for)) {
    return { id: job.id, done: false, code: 'UNIQUE_CONFLICT', holder: holderOf(turn, job.type, job.uniq)!.id }
  }
  turn.sql(keepCompleted).run(job.seq)
  takeOut(turn, job, place)
  // A job that ended without having been tried again keeps the number of the try it waited for.
  const attempt = place.started_at === null ? place.attempt : place.attempt + 1
  turn.sql(revive).run(attempt - 1, payload ?? null, payload ?? null, job.seq)
  makeReady(turn, job, { ...place, attempt, crashes: 0 })
  return { id: job.id, done: true, state: 'ready' }
}
