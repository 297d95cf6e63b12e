// Waits for a job to end and says how it did, for `jobs wait` and `enqueue --wait`.
import { setTimeout as wait } from 'node:timers/promises'
import { ForgeError, unknownJob } from '../core/errors.ts'
import { isPending } from '../core/states.ts'
import type { ForgeQ } from '../forge.ts'
import { jobJson } from '../server/view.ts'
import { willPass } from '../trouble.ts'
import { jobOf } from './job-of.ts'
import { say } from './output.ts'

/** A job that has not started by then gets its waiting explained, to who may wait for something that will not come. */
const explainAfterMs = 1_000

/** Prints the result, with `asJson` the whole job; JOB_DEAD, CANCELLED, TIMEOUT. `timeoutMs`: Infinity = for ever. */
export async function awaitJob(forge: ForgeQ, id: string, timeoutMs: number, asJson: boolean): Promise<void> {
  await jobOf(forge, id)
  const end = forge.admin.wait(id, timeoutMs === Infinity ? {} : { timeout: timeoutMs })
  const isLate = await Promise.race([end.then(() => false), wait(explainAfterMs, true, { ref: false })])
  if (isLate) await explain(forge, id)
  const ended = await end
  if (ended === undefined) throw unknownJob(id)
  const { state, reason, error, resultJson } = ended
  if (asJson) console.log(jobJson(await jobOf(forge, id)))
  if (state === 'dead') {
    throw new ForgeError('JOB_DEAD', `job ${id} is dead (${reason}): ${error?.message}\n  forgeq jobs show ${id}`, {
      id,
    })
  }
  if (state === 'cancelled') {
    const how = reason === 'expired' ? 'expired before it was started' : 'was cancelled'
    throw new ForgeError('CANCELLED', `job ${id} ${how}; \`forgeq jobs retry ${id}\` runs it again`, { id })
  }
  if (!asJson) console.log(resultJson ?? 'null')
}

async function explain(forge: ForgeQ, id: string): Promise<void> {
  try {
    const why = await forge.admin.why(id)
    if (why !== undefined && isPending(why.state) && why.reason !== 'next') say(why.text)
  } catch (error) {
    // Whoever waits goes on waiting while the store is away.
    if (!willPass(error)) throw error
  }
}
