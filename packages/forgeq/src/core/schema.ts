// Schemas of any library that follows Standard Schema: what they take and give, and how input is checked with them.
import type { StandardJSONSchemaV1, StandardSchemaV1 } from '@standard-schema/spec'
import { ForgeError, tellProblems, type Problem } from './errors.ts'
import type { Stored } from './json.ts'

/** A schema of zod, valibot, arktype or any other library that follows Standard Schema. */
export type Schema<In = unknown, Out = In> = StandardSchemaV1<In, Out>

/** A schema that types a payload and checks nothing: it takes the JSON form of everything. */
export interface Typed<T> extends Schema<T, Stored<T>> {
  readonly '~standard': StandardSchemaV1.Props<T, Stored<T>> & { readonly vendor: 'forgeq' }
}

/** Types a payload without validating it; the handler gets what JSON gives back. */
export function typed<T>(): Typed<T> {
  return { '~standard': { version: 1, vendor: 'forgeq', validate: (value) => ({ value: value as Stored<T> }) } }
}

/**
 * Payloads are stored as JSON and parsed again when the job runs, so a schema must take the JSON form of what it takes:
 * `z.coerce.date()` does, `z.date()` does not and becomes a compile error.
 */
export type TakesJson<S extends Schema> = S extends { readonly '~standard': { readonly vendor: 'forgeq' } }
  ? unknown
  : Stored<StandardSchemaV1.InferInput<S>> extends
        | StandardSchemaV1.InferInput<S>
        | (undefined extends StandardSchemaV1.InferInput<S> ? null : never)
    ? unknown
    : { readonly 'takes its own JSON form': never }

/**
 * What the schema makes of `value`: at once when the schema is synchronous, else as a promise. INVALID_INPUT with the
 * path of every problem; `what` names the value in the message.
 */
export function parse<T>(schema: Schema<unknown, T>, value: unknown, what = 'input'): T | Promise<T> {
  return after(schema['~standard'].validate(value), (result) => accept(result, what))
}

/** What the schema makes of the stored payload of job `id`, as `parse` does; INVALID_INPUT names the job. */
export function parseStored<T>(schema: Schema<unknown, T>, payload: string, id: string): T | Promise<T> {
  const value = decodeStored(payload, id)
  return after(schema['~standard'].validate(value), (result) => {
    if (result.issues === undefined || value !== null) return accept(result, 'stored payload', id)
    // JSON has no undefined: a job without input is stored as null.
    return after(schema['~standard'].validate(undefined), (other) =>
      accept(other.issues === undefined ? other : result, 'stored payload', id),
    )
  })
}

const after = <A, B>(value: A | Promise<A>, make: (value: A) => B | Promise<B>): B | Promise<B> =>
  value instanceof Promise ? value.then(make) : make(value)

/** The stored payload of job `id`; INVALID_INPUT when it is no JSON. */
export function decodeStored(payload: string, id: string): unknown {
  try {
    return JSON.parse(payload)
  } catch (error) {
    throw refuse([{ path: '', message: `is not valid JSON (${(error as Error).message})` }], 'stored payload', id)
  }
}

function accept<T>(result: StandardSchemaV1.Result<T>, what: string, id?: string): T {
  if (result.issues === undefined) return result.value
  // Not path.map: arktype's paths are arrays of a subclass that map() builds wrongly.
  const problems = result.issues.map(({ path = [], message }) => ({
    path: Array.from(path, (step) => String(typeof step === 'object' ? step.key : step)).join('.'),
    message,
  }))
  throw refuse(problems, what, id)
}

function refuse(problems: readonly Problem[], what: string, id?: string): ForgeError {
  const message = `${what} does not match its schema: ${tellProblems(problems)}`
  return new ForgeError('INVALID_INPUT', message, id === undefined ? { problems } : { problems, id })
}

/** zod: a part without a JSON form (a date, say) takes anything, instead of the whole schema being refused. */
const libraryOptions = { unrepresentable: 'any' }

/** The JSON Schema of what the schema takes, as JSON text; `null` when its library offers none. */
export function inputJsonSchema(schema: Schema): string | null {
  const { jsonSchema } = schema['~standard'] as Partial<StandardJSONSchemaV1.Props>
  try {
    return jsonSchema === undefined
      ? null
      : JSON.stringify(jsonSchema.input({ target: 'draft-2020-12', libraryOptions }))
  } catch {
    // How a library says that a schema has no JSON form: producers without the definition then go unchecked to the worker.
    return null
  }
}
