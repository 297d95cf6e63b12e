// Checks values by JSON Schema texts that workers announced, and says where each fault is.
import { Ajv2020, type ErrorObject, type Options, type ValidateFunction } from 'ajv/dist/2020.js'
import { ForgeError, tellProblems, type Problem } from '../core/errors.ts'

/** INVALID_INPUT with the path of each problem of `value`, which has `length` characters as JSON. */
export type Check = (value: unknown, length: number) => void

/** Listing every problem of a large payload can cost more than the payload: of a larger one only the first is told. */
const thoroughLength = 65_536
const mostProblems = 20

// Formats are left to the worker, which has the schema itself.
const options: Options = { strict: false, validateFormats: false, logger: false }
const quick = new Ajv2020(options)
const thorough = new Ajv2020({ ...options, allErrors: true })

/** Throws what is wrong with the schema. What a `$ref` names elsewhere is never loaded: such a schema does not compile. */
export function inputCheck(schema: string): Check {
  const isValid = compile(quick, schema)
  let explain: ValidateFunction | undefined
  return (value, length) => {
    if (isValid(value)) return
    let { errors } = isValid
    if (length <= thoroughLength) {
      explain ??= compile(thorough, schema)
      explain(value)
      errors = explain.errors
    }
    throw refuse((errors ?? []).slice(0, mostProblems).map(problemOf))
  }
}

function compile(ajv: Ajv2020, text: string): ValidateFunction {
  const schema = JSON.parse(text) as object
  // It would answer with a promise, which counts as valid.
  if ('$async' in schema) throw new Error('it is asynchronous')
  try {
    return ajv.compile(schema)
  } finally {
    // Forgotten at once: another type may announce another schema with the same $id.
    ajv.removeSchema(schema)
  }
}

function problemOf({ instancePath, params, message = 'is not valid' }: ErrorObject): Problem {
  const { missingProperty, additionalProperty } = params as Readonly<Record<string, unknown>>
  // What is missing or too much is at fault, not what should have had it.
  const member = missingProperty ?? additionalProperty
  const steps = instancePath.split('/').slice(1)
  const path = steps.map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'))
  if (typeof member === 'string') path.push(member)
  const what = member === undefined ? message : member === missingProperty ? 'is required' : 'is not known here'
  return { path: path.join('.'), message: what }
}

function refuse(problems: readonly Problem[]): ForgeError {
  return new ForgeError('INVALID_INPUT', `payload does not match its schema: ${tellProblems(problems)}`, { problems })
}
