// What operators do to single jobs. Whether a state allows it is asked of core/states.ts. Whoever acts is alone in the
// queues of the jobs: no claim, settlement or promotion comes in between.
import { allows } from '../core/states.ts'
import type { ActRequest, ActVerdict } from '../store/records.ts'
import { stateCodes, stateName } from '../store/state-codes.ts'
import { finish } from './finish.ts'
import { endOfKeyed, putKeysRight } from './keys.ts'
import { removeBodies } from './maintain.ts'
import { makeReady, placesAlone, placesOf, takeOut, type Placed } from './place.ts'
import type { Turn } from './turn.ts'
import { holdersOf, nameOf, releaseUnique, takeUnique } from './unique.ts'

// Any later settle or rescue of this claim ends the job cancelled. Its worker finds it without looking at all it holds.
const markCancelled = /* sql */ `
  WITH marked AS (
    UPDATE forgeq.live SET cancelled = true WHERE queue = $1 AND lane = $2 AND seq = $3 RETURNING worker, job, claim)
  INSERT INTO forgeq.cancel (worker, job, claim) SELECT worker, job, claim FROM marked ON CONFLICT DO NOTHING`
const uidOf = /* sql */ `SELECT uid FROM forgeq.worker WHERE id = $1`
const revive = /* sql */ `
  UPDATE forgeq.job SET attempt_base = $2, expire_at = NULL, edited = edited OR payload <> coalesce($3::text, payload),
    payload = coalesce($3::text, payload) WHERE id = $1`
// A completed claim has its times only in done, which the retry takes away.
const keepCompleted = /* sql */ `
  INSERT INTO forgeq.attempt (job, claim, attempt, outcome, worker, started_at, ended_at)
  SELECT job, claim, attempt, 'complete', settler, started_at, finished_at FROM forgeq.done
  WHERE job = $1 AND state = ${stateCodes.completed}`

export const act = async (turn: Turn, request: ActRequest): Promise<readonly ActVerdict[]> => {
  const { ids } = request
  let jobs = await placesAlone(turn, [...new Set(ids)])
  await turn.reserve(ids.length)
  const verdicts: ActVerdict[] = []
  const seen = new Set<string>()
  for (const id of ids) {
    // Named twice, it is where the first time left it.
    if (seen.has(id)) jobs = await placesOf(turn, [...new Set(ids)])
    seen.add(id)
    verdicts.push(await actOn(turn, request, id, jobs.get(id)))
  }
  await putKeysRight(turn)
  return verdicts
}

const actOn = async (turn: Turn, request: ActRequest, id: string, job: Placed | undefined): Promise<ActVerdict> => {
  if (job === undefined) return { id, done: false, code: 'NOT_FOUND' }
  const state = stateName(job.state)
  // Asked again, a cancel gives the same answer.
  if (request.action === 'cancel' && state === 'cancelled') return { id, done: true, state }
  if (!allows(state, request.action)) return { id, done: false, code: 'STATE_CONFLICT', state }
  switch (request.action) {
    case 'cancel':
      return cancel(turn, job)
    case 'retry':
      return retry(turn, job, request.payload)
    case 'promote':
      takeOut(turn, job)
      makeReady(turn, job, job)
      return { id, done: true, state: 'ready' }
    case 'delete':
      takeOut(turn, job)
      releaseUnique(turn, job)
      if (job.key !== null) await endOfKeyed(turn, { queue: job.queue, key: job.key }, id)
      await removeBodies(turn, [id])
      turn.hintEnded(id)
      return { id, done: true, state: 'gone' }
  }
}

const cancel = async (turn: Turn, job: Placed): Promise<ActVerdict> => {
  if (job.tree === 'running') {
    await turn.run(markCancelled, job.queue, job.a, job.b)
    turn.hint(`orders:${(await turn.one<{ uid: string }>(uidOf, job.worker))!.uid}`)
    return { id: job.id, done: true, state: 'running' }
  }
  takeOut(turn, job)
  await finish(turn, {
    ...job,
    state: 'cancelled',
    reason: 'cancelled',
    result: null,
    startedAt: null,
    keepResultMs: 0,
  })
  return { id: job.id, done: true, state: 'cancelled' }
}

const retry = async (turn: Turn, job: Placed, payload: string | undefined): Promise<ActVerdict> => {
  const { id, type, uniq } = job
  if (uniq !== null) {
    const holder = (await holdersOf(turn, [{ type, key: uniq }])).get(nameOf({ type, key: uniq }))
    if (holder !== undefined && holder !== id) return { id, done: false, code: 'UNIQUE_CONFLICT', holder }
    takeUnique(turn, job)
  }
  await turn.run(keepCompleted, id)
  takeOut(turn, job)
  // A job that ended without having been tried again keeps the number of the try it waited for.
  const attempt = job.started_at === null ? job.attempt : job.attempt + 1
  await turn.run(revive, id, attempt - 1, payload ?? null)
  makeReady(turn, job, { ...job, attempt, crashes: 0 })
  return { id, done: true, state: 'ready' }
}
