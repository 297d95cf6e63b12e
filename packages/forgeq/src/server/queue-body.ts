// Settings of a queue as operators write them in JSON: the members of its JSON that can be changed, and their bounds.
import * as z from 'zod'
import type { QueueSettings } from '../core/limit.ts'
import { limitNames, readLimits } from '../core/limit-text.ts'
import { check, judged, parse } from './body.ts'

const limits = Object.fromEntries(
  limitNames.map((name) => {
    const judge = (value: unknown): unknown => readLimits({ [name]: value }, 'perMs')
    return [name, judged(judge).exactOptional()]
  }),
)

const settings = z.strictObject(
  { paused: z.boolean('must be true or false').exactOptional(), ...limits },
  'must be an object',
)

/** INVALID_JSON, or INVALID_OPTION naming each member that is wrong. */
export function readSettings(written: string): QueueSettings {
  const { paused, ...changed } = check(settings, parse(written, 'body'), 'body')
  return { ...readLimits(changed, 'perMs'), ...(paused !== undefined && { paused }) }
}
