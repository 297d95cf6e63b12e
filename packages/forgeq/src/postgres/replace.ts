// Gives a job that waits the work of another enqueue, and remembers which enqueues did so: sent again, they must not do it
// again.
import { rememberMs } from '../core/retention.ts'
import { allows } from '../core/states.ts'
import { stateName } from '../store/state-codes.ts'
import { hasSameKey, staysInPlace, type Work } from '../store/work.ts'
import type { Batch } from './batch.ts'
import { endOfKeyed } from './keys.ts'
import { makeLater, makeReady, placesAlone, takeOut, type Placed } from './place.ts'
import type { Turn } from './turn.ts'

const rework = /* sql */ `
  UPDATE forgeq.job SET edited = edited OR payload <> $2, payload = $2, queue = $3, priority = $4, policy = $5, run_at = $6,
    expire_at = $7, tags = $8, key = $9 WHERE id = $1`
const dropDeadline = /* sql */ `DELETE FROM forgeq.deadline WHERE at = $1 AND job = $2`
// One from before a retry by hand may still be there, at the same instant.
const addDeadline = /* sql */ `INSERT INTO forgeq.deadline (at, job) VALUES ($1, $2) ON CONFLICT DO NOTHING`

/** `undefined` when the job has started, has ended or is gone: then it is left as it is. */
export const waitingJob = async (turn: Turn, id: string): Promise<Placed | undefined> => {
  const job = (await placesAlone(turn, [id])).get(id)
  return job !== undefined && allows(stateName(job.state), 'replace') ? job : undefined
}

export const replaceWork = async (turn: Turn, job: Placed, work: Work): Promise<void> => {
  const { id } = job
  const { payload, queue, priority, policy, runAt, expireAt, tags, key } = work
  await turn.run(rework, id, payload, queue, priority, policy, runAt, expireAt, tags, key)
  if (job.expire_at !== null) await turn.run(dropDeadline, job.expire_at, id)
  if (expireAt !== null) {
    await turn.run(addDeadline, expireAt, id)
    turn.dueAt(expireAt)
  }
  if (staysInPlace(job, job.state, work, turn.now)) return
  takeOut(turn, job)
  if (!hasSameKey(job, work) && job.key !== null) await endOfKeyed(turn, { queue: job.queue, key: job.key }, id)
  await turn.reserve(1)
  if (runAt > turn.now) makeLater(turn, { id, queue }, runAt, job)
  else makeReady(turn, { id, type: job.type, queue, priority, key }, job)
}

export interface Replacement {
  readonly type: number
  readonly holder: string
}

const addReplacement: Batch = {
  sql: /* sql */ `
  INSERT INTO forgeq.replacement (id, type, holder, expires_at)
  SELECT * FROM unnest($1::uuid[], $2::int[], $3::uuid[], $4::bigint[])`,
}
const replacements = /* sql */ `SELECT id, type, holder FROM forgeq.replacement WHERE id = ANY ($1::uuid[])`

/** As long as the id of an ended job is known. */
export const rememberReplacement = (turn: Turn, id: string, type: number, holder: string): void => {
  turn.push(addReplacement, id, type, holder, turn.now + rememberMs)
}

/** The enqueues among these that replaced the work of a job, by id. */
export const replacementsOf = async (turn: Turn, ids: readonly string[]): Promise<Map<string, Replacement>> => {
  if (ids.length === 0) return new Map()
  const rows = await turn.all<Replacement & { id: string }>(replacements, ids)
  return new Map(rows.map(({ id, type, holder }) => [id, { type, holder }]))
}
