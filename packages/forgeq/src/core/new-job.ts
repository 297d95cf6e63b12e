// One enqueue as a record: checks the options and turns their durations into numbers. The policy comes resolved.
import type { NewJob, StoredPolicy } from '../store/records.ts'
import { toMs } from './duration.ts'
import { invalidOption } from './errors.ts'
import { checkId } from './id.ts'
import { checkKey, checkTags } from './name.ts'
import { policyParts, type EnqueueOptions } from './policy.ts'
import { readUnique } from './unique.ts'

export const enqueueOptions: readonly (keyof EnqueueOptions)[] = [
  'id',
  'delay',
  'at',
  'expire',
  'unique',
  'key',
  'tags',
  ...policyParts,
]
const known: ReadonlySet<string> = new Set(enqueueOptions)

/** An option that is misspelt, or of another version, would silently do nothing. */
function checkKnown(options: EnqueueOptions): void {
  for (const name in options) {
    if (!known.has(name)) throw invalidOption(name, `is no option of enqueue; there are ${enqueueOptions.join(', ')}`)
  }
}

/** INVALID_ID or INVALID_OPTION when an option is out of range; `payload` is JSON text. */
export function newJob(
  type: string,
  payload: string,
  policy: StoredPolicy,
  options: EnqueueOptions,
  newId: () => string,
): NewJob {
  checkKnown(options)
  const { id = newId(), delay, at, expire, unique, key, tags } = options
  if (options.id !== undefined) checkId(id)
  const job: { -readonly [K in keyof NewJob]: NewJob[K] } = { id, type, payload, policy }
  if (delay !== undefined) job.delayMs = toMs(delay, 'delay')
  if (at !== undefined) job.runAt = instantOf(at)
  if (expire !== undefined) job.expireMs = toMs(expire, 'expire')
  if (unique !== undefined) job.unique = readUnique(unique)
  if (key !== undefined) {
    checkKey(key)
    job.key = key
  }
  if (tags !== undefined) {
    checkTags(tags)
    job.tags = [...new Set(tags)]
  }
  return job
}

function instantOf(at: Date): number {
  const ms = at instanceof Date ? at.getTime() : Number.NaN
  if (Number.isNaN(ms)) throw invalidOption('at', 'must be a valid Date')
  return ms
}
