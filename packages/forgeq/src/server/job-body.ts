// A new job as producers write it in JSON: its members, their bounds, and the options they stand for.
import * as z from 'zod'
import { caps } from '../core/caps.ts'
import { rawMember } from '../core/json.ts'
import type { EnqueueOptions } from '../core/policy.ts'
import { check, parse } from './body.ts'

export interface WrittenJob {
  readonly type: string
  /** As it was written, so that no digit is lost. */
  readonly payload: string | undefined
  readonly options: EnqueueOptions
}

const durationMs = z
  .int()
  .min(0)
  .max(3650 * 86_400_000)
  .exactOptional()
const text = z.string().exactOptional()
const levels = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9] as const

const newJob = z.strictObject({
  type: z.string(),
  payload: z.unknown().exactOptional(),
  id: text,
  queue: text,
  priority: z.literal([...levels, 'high', 'normal', 'low']).exactOptional(),
  delayMs: durationMs,
  runAt: z.iso.datetime({ offset: true }).exactOptional(),
  retries: z.int().min(0).max(caps.retries).exactOptional(),
  timeoutMs: durationMs,
  expireMs: durationMs,
  keepResultMs: durationMs,
  unique: text,
  tags: z.array(z.string()).exactOptional(),
})

/** INVALID_JSON, or INVALID_OPTION naming each member that is wrong; `what` is where the text came from. */
export function readJob(written: string, what: string): WrittenJob {
  const { type, payload: _payload, ...members } = check(newJob, parse(written, what), what)
  const { delayMs, runAt, timeoutMs, expireMs, keepResultMs, ...options } = members
  return {
    type,
    payload: rawMember(written, 'payload'),
    options: {
      ...options,
      ...(delayMs !== undefined && { delay: delayMs }),
      ...(runAt !== undefined && { at: new Date(runAt) }),
      ...(timeoutMs !== undefined && { timeout: timeoutMs }),
      ...(expireMs !== undefined && { expire: expireMs }),
      ...(keepResultMs !== undefined && { keepResult: keepResultMs }),
    },
  }
}
