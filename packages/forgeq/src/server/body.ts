// Reads what a client sent: a bounded JSON body, a query without surprises. What is wrong is named member by member.
import type { Context } from 'hono'
import * as z from 'zod'
import { caps } from '../core/caps.ts'
import { ForgeError, invalidOption, type Problem } from '../core/errors.ts'

/** A payload at its cap, and room for everything around it. */
const bodyBytes = caps.payloadBytes + 65_536

const mostProblems = 20
const longestPath = 60

/** Of a body that carries nothing. */
export const noMembers: z.ZodType<object> = z.strictObject({}, 'must be an object')

export interface Body<T> {
  /** As it was sent. */
  readonly text: string
  readonly value: T
}

/** The body as text; TOO_LARGE, UNSUPPORTED_MEDIA_TYPE or INVALID_JSON. */
export async function readBody(c: Context): Promise<string> {
  const text = await readText(c)
  if (text === '') throw new ForgeError('INVALID_JSON', 'the body is empty: send a JSON object')
  return text
}

/** A body that `schema` takes, or INVALID_OPTION; one that is left out counts as `{}`. */
export async function readOptionalBody<T>(c: Context, schema: z.ZodType<T>): Promise<Body<T>> {
  const text = (await readText(c)) || '{}'
  return { text, value: check(schema, parse(text, 'body'), 'body') }
}

/** The parameters of the query, each given once; INVALID_OPTION names those that `schema` does not take. */
export function readQuery<T>(c: Context, schema: z.ZodType<T>): T {
  const given = new Map<string, string>()
  for (const [name, value] of new URL(c.req.url).searchParams) {
    if (given.has(name)) throw invalidOption(name.slice(0, longestPath), 'is given twice')
    given.set(name, value)
  }
  return check(schema, Object.fromEntries(given), 'query')
}

async function readText(c: Context): Promise<string> {
  const bytes = await readBytes(c.req.raw)
  if (bytes.length === 0) return ''
  if (!/^application\/json\s*(;|$)/i.test(c.req.header('content-type') ?? '')) {
    throw new ForgeError('UNSUPPORTED_MEDIA_TYPE', 'send the body as JSON, with Content-Type: application/json')
  }
  if ((c.req.header('content-encoding') ?? 'identity') !== 'identity') {
    throw new ForgeError('UNSUPPORTED_MEDIA_TYPE', 'send the body without Content-Encoding')
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (cause) {
    throw new ForgeError('INVALID_JSON', 'the body is not valid UTF-8', { cause })
  }
}

async function readBytes(request: Request): Promise<Uint8Array> {
  const length = request.headers.get('content-length')
  if (Number(length) > bodyBytes) throw tooLarge()
  try {
    // A body of known length is read without a web stream, which takes longer than all the rest of a small request.
    return length === null ? await readStream(request.body) : new Uint8Array(await request.arrayBuffer())
  } catch (cause) {
    if (ForgeError.is(cause)) throw cause
    throw new ForgeError('INVALID_JSON', 'the body ended before it was complete', { cause })
  }
}

async function readStream(body: Request['body']): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of body ?? []) {
    size += chunk.length
    if (size > bodyBytes) throw tooLarge()
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

const tooLarge = (): ForgeError =>
  new ForgeError(
    'TOO_LARGE',
    `the body has more than ${bodyBytes} bytes: store the data elsewhere and pass where it is`,
  )

/** INVALID_JSON; `what` names it in the error. */
export function parse(text: string, what: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new ForgeError('INVALID_JSON', `the ${what} is not valid JSON (${(cause as Error).message})`, { cause })
  }
}

/** A member that the library judges itself, so that both say the same of it: `judge` throws INVALID_OPTION. */
export const judged = <T>(judge: (value: unknown) => void): z.ZodType<T> =>
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

/** What `schema` makes of a value; INVALID_OPTION names each member at fault. */
export function check<T>(schema: z.ZodType<T>, value: unknown, what: string): T {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  throw invalid(what, problemsOf(result.error))
}

const problemsOf = ({ issues }: z.ZodError): Problem[] =>
  issues.flatMap((issue) =>
    issue.code === 'unrecognized_keys'
      ? issue.keys.map((path) => ({ path, message: 'is not known here' }))
      : [{ path: issue.path.map(String).join('.'), message: issue.message }],
  )

function invalid(what: string, all: readonly Problem[]): ForgeError {
  const problems = all
    .slice(0, mostProblems)
    .map(({ path, message }) => ({ path: path.slice(0, longestPath), message }))
  const shown = problems.map(({ path, message }) => (path === '' ? message : `${path} ${message}`))
  return new ForgeError('INVALID_OPTION', `${what}: ${shown.join('; ')}`, { problems })
}
