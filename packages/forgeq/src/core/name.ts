// Which names and free texts are allowed: names of types and queues, unique keys, keys, tags.
import { caps } from './caps.ts'
import { invalidOption } from './errors.ts'

const name = /^[\w.:/-]+$/
// Stores cut texts at NUL and turn half of a surrogate pair into U+FFFD: two keys could become one.
const unstorable = /[\0\p{Surrogate}]/u

/** Asserts a name of a job type or queue; `what` is the option that an INVALID_OPTION error names. */
export function checkName(value: unknown, what: string): asserts value is string {
  if (typeof value === 'string' && value.length <= caps.nameLength && name.test(value)) return
  throw invalidOption(what, `must be 1 to ${caps.nameLength} of A-Z a-z 0-9 _ . : / -, not ${show(value)}`)
}

/** `what` is the option that an INVALID_OPTION error names. */
export function checkUnique(value: unknown, what: string): asserts value is string {
  checkText(value, what, caps.uniqueLength)
}

export function checkKey(value: unknown): asserts value is string {
  checkText(value, 'key', caps.keyLength)
}

export function checkTags(value: unknown): asserts value is readonly string[] {
  if (!Array.isArray(value) || value.length > caps.tags) {
    throw invalidOption('tags', `must be a list of at most ${caps.tags} texts`)
  }
  value.forEach((tag, i) => checkText(tag, `tags.${i}`, caps.tagLength))
}

function checkText(value: unknown, what: string, maxLength: number): void {
  if (typeof value === 'string' && value.length > 0 && value.length <= maxLength && !unstorable.test(value)) return
  throw invalidOption(what, `must be a text of 1 to ${maxLength} characters without NUL, not ${show(value)}`)
}

const show = (value: unknown): string =>
  typeof value === 'string' ? JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value) : typeof value
