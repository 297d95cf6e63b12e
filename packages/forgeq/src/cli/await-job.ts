// Waits for a job to end and says how it did, for `jobs wait` and `enqueue --wait`.
import type { Duration } from '../core/duration.ts'
import { ForgeError, unknownJob } from '../core/errors.ts'
import type { ForgeQ } from '../forge.ts'
import { jobJson } from '../server/view.ts'
import { jobOf } from './job-of.ts'

/** Prints the result, with `asJson` the whole job; JOB_DEAD, CANCELLED, TIMEOUT. `timeout` `''` = for ever. */
export async function awaitJob(forge: ForgeQ, id: string, timeout: string, asJson: boolean): Promise<void> {
  await jobOf(forge, id)
  const ended = await forge.admin.wait(id, timeout === '' ? {} : { timeout: timeout as Duration })
  if (ended === undefined) throw unknownJob(id)
  const { state, reason, error, resultJson } = ended
  if (asJson) console.log(jobJson(await jobOf(forge, id)))
  if (state === 'dead') {
    throw new ForgeError('JOB_DEAD', `Job ${id} is dead (${reason}): ${error?.message}\n  forgeq jobs show ${id}`, {
      id,
    })
  }
  if (state === 'cancelled') {
    const how = reason === 'expired' ? 'expired before it was started' : 'was cancelled'
    throw new ForgeError('CANCELLED', `Job ${id} ${how}. \`forgeq jobs retry ${id}\` runs it again.`, { id })
  }
  if (!asJson) console.log(resultJson ?? 'null')
}
