// A new job as producers write it in JSON: its members, their bounds, and the options they stand for.
import * as z from 'zod'
import { longestMs } from '../core/duration.ts'
import { ForgeError } from '../core/errors.ts'
import { rawMember } from '../core/json.ts'
import { checkName, checkTags } from '../core/name.ts'
import { checkRetries, readPriority, type EnqueueOptions, type Priority } from '../core/policy.ts'
import { readUnique, type UniqueRule } from '../core/unique.ts'
import { check, parse } from './body.ts'

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

/** A member that the library judges itself, so that both say the same of it: `judge` throws INVALID_OPTION. */
const judged = <T>(judge: (value: unknown) => void): z.ZodType<T> =>
  z.custom<T>().superRefine((value, context) => {
    try {
      judge(value)
    } catch (error) {
      if (!ForgeError.is(error, 'INVALID_OPTION')) throw error
      for (const { path, message } of error.problems ?? []) {
        context.addIssue({ code: 'custom', path: path.split('.').slice(1), message })
      }
    }
  })

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
