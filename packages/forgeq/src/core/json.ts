// JSON at the door: what a payload or result may be, its types after a round trip, and members cut out of a text untouched.
import { caps } from './caps.ts'
import { ForgeError } from './errors.ts'

/** Anything that JSON can hold. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }

declare const notJson: unique symbol
/** Stands where a value has no JSON form, so that the compiler points at it. */
interface NotJson {
  readonly [notJson]: true
}

/**
 * What a value looks like after a round trip through the store: a `Date` is a text, `undefined` is `null` except as a
 * property, which is left out.
 */
export type Stored<T> = unknown extends T
  ? T
  : T extends { toJSON(): infer J }
    ? Stored<J>
    : T extends undefined
      ? null
      : T extends Json | void
        ? T
        : T extends readonly unknown[]
          ? { [K in keyof T]: Stored<T[K]> }
          : T extends bigint | symbol | ((...args: never) => unknown)
            ? NotJson
            : T extends object
              ? { [K in keyof T]: StoredMember<T[K]> }
              : never

type StoredMember<T> = unknown extends T ? T : Stored<Exclude<T, undefined>> | Extract<T, undefined>

/**
 * The value as JSON text, `undefined` as `null`. INVALID_JSON with the path of what JSON would silently change or drop
 * (NaN, functions, a Map, a promise ...) and of nesting without end; TOO_LARGE above `maxBytes`. What has a `toJSON` is stored as
 * that says: a Date as a text, a Buffer as an object with its bytes in a list. `what` names it in the error.
 */
export function encodeJson(value: unknown, what: string, maxBytes: number): string {
  const fault = findFault(value, '', 0)
  if (fault !== undefined) throw invalid(what, fault)
  const text = JSON.stringify(value) ?? 'null'
  checkSize(text, what, maxBytes)
  return text
}

/** Checks a text from outside and gives what it parses to; INVALID_JSON or TOO_LARGE otherwise. */
export function checkJson(text: string, what: string, maxBytes: number): unknown {
  checkSize(text, what, maxBytes)
  // Before parsing: JSON.parse takes any depth, but what is that deep can overflow the stack of whoever handles it next.
  if (isTooDeep(text)) throw invalid(what, tooDeep)
  try {
    return JSON.parse(text)
  } catch (error) {
    throw invalid(what, { path: '', message: `is not valid JSON (${(error as Error).message})` })
  }
}

/**
 * A member of a JSON object as it was written, so that 2^53 + 1 and 1.0 survive; of duplicates the last, as JSON.parse
 * takes it. `text` has passed `checkJson`; `undefined` when it is no object or has no such member.
 */
export function rawMember(text: string, key: string): string | undefined {
  if (!/^\s*\{/.test(text)) return undefined
  let found: string | undefined
  for (let at = text.indexOf('"'); at >= 0;) {
    const keyEnd = stringEnd(text, at)
    const start = text.indexOf(':', keyEnd) + 1
    const end = memberEnd(text, start)
    if (JSON.parse(text.slice(at, keyEnd)) === key) found = text.slice(start, end).trim()
    at = text.indexOf('"', end)
  }
  return found
}

interface Fault {
  readonly path: string
  readonly message: string
}

const tooDeep: Fault = { path: '', message: `is nested deeper than ${caps.jsonDepth} levels, or contains itself` }

/** Walks what JSON.stringify will walk; a walk of its own costs a sixth of a replacer function. */
function findFault(given: unknown, key: string | number, depth: number): Fault | undefined {
  const value = hasToJson(given) ? given.toJSON(String(key)) : given
  switch (typeof value) {
    case 'number':
      return Number.isFinite(value) ? undefined : { path: '', message: `is ${value}, which JSON turns into null` }
    case 'object':
      if (value !== null) return depth === caps.jsonDepth ? tooDeep : findFaultInside(value, depth + 1)
      return given instanceof Date ? { path: '', message: 'is an invalid Date, which JSON turns into null' } : undefined
    case 'bigint':
    case 'function':
    case 'symbol':
      return { path: '', message: `is a ${typeof value}, which has no JSON form` }
    default:
      return undefined
  }
}

function findFaultInside(value: object, depth: number): Fault | undefined {
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) {
      const fault = findFault(value[i], i, depth)
      if (fault !== undefined) return below(i, fault)
    }
    return undefined
  }
  // Most objects are plain: one look spares them all the others.
  if (Object.getPrototypeOf(value) !== Object.prototype) {
    const message = faultOfClass(value)
    if (message !== undefined) return { path: '', message }
  }
  for (const name of Object.keys(value)) {
    const fault = findFault((value as Record<string, unknown>)[name], name, depth)
    if (fault !== undefined) return below(name, fault)
  }
  return undefined
}

const emptied = [Map, Set, WeakMap, WeakSet, RegExp, Error, ArrayBuffer, SharedArrayBuffer, DataView] as const

/** What JSON would drop of an object that is not plain. One with a `toJSON` never gets here: it says how it is stored. */
function faultOfClass(value: object): string | undefined {
  if ('then' in value && typeof value.then === 'function') return 'is a promise: await it'
  const kind = emptied.find((one) => value instanceof one)
  if (kind !== undefined) return `is a ${kind.name}, of which JSON keeps nothing but {}`
  return ArrayBuffer.isView(value)
    ? 'is a typed array, which JSON turns into an object: encode it as a text'
    : undefined
}

const hasToJson = (value: unknown): value is { toJSON(key: string): unknown } =>
  typeof value === 'object' && value !== null && 'toJSON' in value && typeof value.toJSON === 'function'

const below = (key: string | number, { path, message }: Fault): Fault => ({
  path: path === '' ? String(key) : `${key}.${path}`,
  message,
})

function invalid(what: string, { path, message }: Fault): ForgeError {
  const where = path === '' ? what : `${what}.${path}`
  return new ForgeError('INVALID_JSON', `${where} ${message}`, { problems: [{ path, message }] })
}

/** In UTF-8; a text that fits even if every character took three bytes is not counted. */
function checkSize(text: string, what: string, maxBytes: number): void {
  if (text.length * 3 <= maxBytes) return
  const bytes = text.length > maxBytes ? text.length : new TextEncoder().encode(text).length
  if (bytes <= maxBytes) return
  throw new ForgeError(
    'TOO_LARGE',
    `${what} has ${bytes} bytes or more as JSON, ${maxBytes} are allowed: store the data elsewhere and pass where it is`,
  )
}

const [quote, backslash, comma] = [0x22, 0x5c, 0x2c]
const [openArray, closeArray, openObject, closeObject] = [0x5b, 0x5d, 0x7b, 0x7d]

/** Index after the string that opens at `start`. */
function stringEnd(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    const char = text.charCodeAt(at)
    if (char === quote) return at + 1
    if (char === backslash) at++
  }
  return text.length
}

/** Index of the comma or brace that ends the value of a member. */
function memberEnd(text: string, start: number): number {
  let depth = 0
  for (let at = start; at < text.length; at++) {
    const char = text.charCodeAt(at)
    if (char === quote) at = stringEnd(text, at) - 1
    else if (char === openArray || char === openObject) depth++
    else if (depth > 0 && (char === closeArray || char === closeObject)) depth--
    else if (depth === 0 && (char === comma || char === closeObject)) return at
  }
  return text.length
}

/** Looks at brackets alone, so any text will do. */
function isTooDeep(text: string): boolean {
  let depth = 0
  for (let at = 0; at < text.length; at++) {
    const char = text.charCodeAt(at)
    if (char === quote) at = stringEnd(text, at) - 1
    else if (char === closeArray || char === closeObject) depth--
    else if ((char === openArray || char === openObject) && ++depth > caps.jsonDepth) return true
  }
  return false
}
