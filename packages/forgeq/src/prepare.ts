// From a job and its input to the record that is stored: the input is checked by the schema and stored as it came, the
// policy is resolved. Nothing is sent from here.
import { caps } from './core/caps.ts'
import { ForgeError, invalidOption, tellProblems, type Problem } from './core/errors.ts'
import { encodeJson } from './core/json.ts'
import { newJob } from './core/new-job.ts'
import { resolvePolicy, type EnqueueOptions, type PolicyOverrides } from './core/policy.ts'
import { inputJsonSchema, parse } from './core/schema.ts'
import type { Call, Job } from './job.ts'
import type { NewJob, StoredPolicy, TypeRecord } from './store/records.ts'

const mostProblems = 100

export class Preparer {
  readonly defaults: PolicyOverrides
  readonly #base: StoredPolicy
  readonly #newId: () => string

  /** `defaults` stand behind the policy of every job; INVALID_OPTION. */
  constructor(defaults: PolicyOverrides, newId: () => string) {
    this.defaults = defaults
    this.#base = resolvePolicy({}, defaults)
    this.#newId = newId
  }

  policyOf(job: Job, options?: EnqueueOptions): StoredPolicy {
    // From JavaScript a name is tried first.
    if (typeof (job as Partial<Job> | undefined)?.policy !== 'object') {
      throw invalidOption('job', 'must be what defineJob gave, not a name; `forgeq enqueue` and HTTP take names')
    }
    return resolvePolicy(job.policy, options, this.#base)
  }

  /** INVALID_INPUT, INVALID_JSON, TOO_LARGE, INVALID_ID or INVALID_OPTION; a promise when the schema gives one. */
  prepare(
    job: Job,
    input: unknown,
    options: EnqueueOptions = {},
    policy: StoredPolicy = this.policyOf(job, options),
  ): NewJob | Promise<NewJob> {
    const parsed: unknown = parse(job.input, input)
    // Only the verdict counts: what the schema makes of the input is made anew when the job runs.
    const store = (): NewJob => {
      const payload = encodeJson(input, 'input', caps.payloadBytes)
      return newJob(job.name, payload, policy, options, this.#newId)
    }
    return parsed instanceof Promise ? parsed.then(store) : store()
  }

  /**
   * Every input is checked before the first job goes anywhere: INVALID_INPUT names up to 100 problems, `[3].to`; every
   * other fault is thrown at once.
   */
  async prepareAll(calls: readonly Call[]): Promise<readonly NewJob[]> {
    const prepared: NewJob[] = []
    const problems: Problem[] = []
    let last: Call | undefined
    let policy: StoredPolicy | undefined
    for (const [i, call] of calls.entries()) {
      const { job, input, options } = call
      try {
        // The same job with the same options: the same policy, which then crosses threads once.
        if (policy === undefined || job !== last?.job || options !== last.options) policy = this.policyOf(job, options)
        last = call
        const one = this.prepare(job, input, options, policy)
        prepared.push(one instanceof Promise ? await one : one)
      } catch (error) {
        problems.push(...placeProblems(error, i))
        if (problems.length >= mostProblems) break
      }
    }
    if (problems.length === 0) return prepared
    throw new ForgeError('INVALID_INPUT', `nothing was stored: ${tellProblems(problems)}`, { problems })
  }

  /** What a worker announces about a type. */
  describe(job: Job): TypeRecord {
    return { type: job.name, policy: this.policyOf(job), inputSchema: inputJsonSchema(job.input) }
  }
}

/** The problems of the input at `place`; throws what is no problem of an input. */
function placeProblems(error: unknown, place: number): readonly Problem[] {
  if (!ForgeError.is(error)) throw error
  const { code, message, problems = [{ path: '', message }] } = error
  const placed = problems.map((one) => ({ ...one, path: one.path === '' ? `[${place}]` : `[${place}].${one.path}` }))
  if (code === 'INVALID_INPUT') return placed
  throw new ForgeError(code, `[${place}]: ${message}`, { problems: placed })
}
