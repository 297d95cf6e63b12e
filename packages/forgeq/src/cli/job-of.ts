// A job by its id, or the error that says that there is none.
import { unknownJob } from '../core/errors.ts'
import { isId } from '../core/id.ts'
import type { ForgeQ } from '../forge.ts'
import type { JobRecord } from '../store/records.ts'

/** NOT_FOUND when the id is not known. */
export async function jobOf(
  forge: ForgeQ,
  id: string,
  include: readonly ('attempts' | 'logs')[] = [],
): Promise<JobRecord> {
  const [job] = isId(id) ? await forge.store.jobs([id], include) : []
  if (job === undefined) throw unknownJob(id)
  return job
}
