// Turns whatever a handler threw into a bounded record. Never throws itself: null, proxies and lying getters are thrown too.
import type { Failure } from '../store/records.ts'
import { ForgeError, type Problem } from './errors.ts'

/** In bytes of JSON; with ten problems and the member names together below `caps.errorBytes`. */
const budget = { name: 200, message: 4000, path: 100, problem: 200, stack: 8000, causeMessage: 500 } as const
const mostProblems = 10
const mostCauses = 8

const kept = new WeakMap<object, Failure>()

/** From now on `toFailure` says this of `error`: it came from another process, which saw more of it. */
export function keepFailure(error: Error, failure: Failure): void {
  kept.set(error, failure)
}

/** At most 16 KiB as JSON. `stack` ends with the causes; `code` is by default that of a ForgeError, else HANDLER_ERROR. */
export function toFailure(error: unknown, code?: string): Failure {
  const known = kept.get(error as object)
  if (known !== undefined) return code === undefined ? known : { ...known, code }
  const stack = traceOf(error)
  const problems = problemsOf(error)
  return {
    code: code ?? attempt(() => (error instanceof ForgeError ? error.code : undefined)) ?? 'HANDLER_ERROR',
    name: cut(nameOf(error), budget.name),
    message: cut(messageOf(error), budget.message),
    ...(stack !== undefined && { stack }),
    ...(problems.length > 0 && { problems }),
  }
}

const nameOf = (error: unknown): string => textOf(error, 'name') ?? typeof error

/** An AggregateError of a failed connection has an empty message and says what happened in `code`. */
const messageOf = (error: unknown): string =>
  textOf(error, 'message') ??
  textOf(error, 'code') ??
  attempt(() => (typeof error === 'string' ? error : (JSON.stringify(error) ?? typeof error))) ??
  'an unreadable value was thrown'

function problemsOf(error: unknown): Problem[] {
  return listOf(error, 'problems', mostProblems).map((problem) => ({
    path: cut(textOf(problem, 'path') ?? '', budget.path),
    message: cut(textOf(problem, 'message') ?? '', budget.problem),
  }))
}

function traceOf(error: unknown): string | undefined {
  const frames = framesOf(error)
  const causes = causesOf(error)
  if (frames === '' && causes.length === 0) return undefined
  const own = `${headOf(error)}${frames}`
  return cut([own, ...causes.map((cause) => `Caused by: ${headOf(cause)}${framesOf(cause)}`)].join('\n'), budget.stack)
}

/** Composed anew, since a stack repeats the message in full and a long one would leave no room for the frames. */
const headOf = (error: unknown): string =>
  `${cut(nameOf(error), budget.name)}: ${cut(messageOf(error), budget.causeMessage)}`

function framesOf(error: unknown): string {
  const stack = textOf(error, 'stack') ?? ''
  const start = stack.indexOf('\n    at ')
  return start < 0 ? '' : stack.slice(start)
}

/** `cause` and aggregated `errors`, theirs after them, each once. */
function causesOf(error: unknown): unknown[] {
  const found = new Set([error])
  for (const each of found) {
    for (const cause of [read(each, 'cause'), ...listOf(each, 'errors', mostCauses)]) {
      if (cause !== undefined && found.size <= mostCauses) found.add(cause)
    }
  }
  return [...found].slice(1)
}

const textOf = (value: unknown, key: string): string | undefined => {
  const text = read(value, key)
  return typeof text === 'string' && text !== '' ? text : undefined
}

function listOf(value: unknown, key: string, most: number): unknown[] {
  const list = read(value, key)
  const length = attempt(() => (Array.isArray(list) ? Math.min(list.length, most) : 0))
  return Array.from({ length: length ?? 0 }, (_, i) => read(list, i))
}

const read = (value: unknown, key: string | number): unknown => attempt(() => (value as Record<string, unknown>)[key])

/** What cannot be read is left out of the record: there is nothing else to say about it. */
function attempt<T>(fn: () => T): T | undefined {
  try {
    return fn()
  } catch {
    return undefined
  }
}

/** Cuts between characters, so that the text takes at most so many bytes in JSON, escapes included. */
function cut(text: string, maxBytes: number): string {
  if (text.length * 6 <= maxBytes) return text
  let bytes = 3
  let end = 0
  for (const char of text.slice(0, maxBytes + 1)) {
    bytes += bytesInJson(char)
    if (bytes > maxBytes) return `${text.slice(0, end)}…`
    end += char.length
  }
  return text
}

function bytesInJson(char: string): number {
  const code = char.codePointAt(0)!
  if (code < 0x80) return code >= 0x20 ? (char === '"' || char === '\\' ? 2 : 1) : '\b\t\n\f\r'.includes(char) ? 2 : 6
  if (code < 0x800) return 2
  // Half of a surrogate pair is written as an escape.
  if (code < 0x10000) return code >= 0xd800 && code <= 0xdfff ? 6 : 3
  return 4
}
