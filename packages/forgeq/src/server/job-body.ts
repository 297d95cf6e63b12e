// A new job as producers write it in JSON: its members, their bounds, and the options they stand for.
import * as z from 'zod'
import { longestMs } from '../core/duration.ts'
import { rawMember } from '../core/json.ts'
import { checkKey, checkName, checkTags } from '../core/name.ts'
import { checkRetries, readPriority, type EnqueueOptions, type Priority } from '../core/policy.ts'
import { readUnique, type UniqueRule } from '../core/unique.ts'
import { check, judged, parse } from './body.ts'

export interface WrittenJob {
  readonly type: string
  /** As it was written, so that no digit is lost. */
  readonly payload: string | undefined
  readonly options: EnqueueOptions
}

interface WrittenUnique {
  readonly key: string
  readonly until?: 'done' | 'start'
  readonly forMs?: number
  readonly onConflict?: 'keep' | 'replace' | 'error'
}

const wholeMs = `must be a whole number of milliseconds from 0 to ${longestMs}, which is 3650 days`
const durationMs = z
  .number(wholeMs)
  .refine((ms) => Number.isInteger(ms) && ms >= 0 && ms <= longestMs, wholeMs)
  .exactOptional()

const newJob = z.strictObject(
  {
    type: judged<string>((value) => checkName(value, 'type')),
    payload: z.unknown().exactOptional(),
    id: z.string('must be a text').exactOptional(),
    queue: judged<string>((value) => checkName(value, 'queue')).exactOptional(),
    priority: judged<Priority>(readPriority).exactOptional(),
    delayMs: durationMs,
    runAt: z.iso.datetime({ offset: true, error: 'must be an instant such as 2027-01-31T08:00:00Z' }).exactOptional(),
    retries: judged<number>(checkRetries).exactOptional(),
    timeoutMs: durationMs,
    expireMs: durationMs,
    keepResultMs: durationMs,
    unique: judged<string | WrittenUnique>((value) => readUnique(value, 'forMs')).exactOptional(),
    key: judged<string>(checkKey).exactOptional(),
    tags: judged<readonly string[]>(checkTags).exactOptional(),
  },
  'must be an object',
)

/** INVALID_JSON, or INVALID_OPTION naming each member that is wrong; `what` is where the text came from. */
export function readJob(written: string, what: string): WrittenJob {
  const { type, payload: _payload, ...members } = check(newJob, parse(written, what), what)
  const { delayMs, runAt, timeoutMs, expireMs, keepResultMs, unique, ...options } = members
  return {
    type,
    payload: rawMember(written, 'payload'),
    options: {
      ...options,
      ...(unique !== undefined && { unique: typeof unique === 'string' ? unique : ruleOf(unique) }),
      ...(delayMs !== undefined && { delay: delayMs }),
      ...(runAt !== undefined && { at: new Date(runAt) }),
      ...(timeoutMs !== undefined && { timeout: timeoutMs }),
      ...(expireMs !== undefined && { expire: expireMs }),
      ...(keepResultMs !== undefined && { keepResult: keepResultMs }),
    },
  }
}

const ruleOf = ({ forMs, until, ...rule }: WrittenUnique): UniqueRule =>
  forMs === undefined ? { ...rule, ...(until && { until }) } : { ...rule, for: forMs }
