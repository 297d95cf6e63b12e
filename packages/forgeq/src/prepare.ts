// From a job and its input to the record that is stored: the input is checked by the schema and stored as it came, the
// policy is resolved. Nothing is sent from here.
import { caps } from './core/caps.ts'
import { encodeJson } from './core/json.ts'
import { newJob } from './core/new-job.ts'
import { resolvePolicy, type EnqueueOptions, type Policy } from './core/policy.ts'
import { inputJsonSchema, parse } from './core/schema.ts'
import type { Job } from './job.ts'
import type { NewJob, StoredPolicy, TypeRecord } from './store/records.ts'

export class Preparer {
  readonly #base: StoredPolicy
  readonly #newId: () => string
  /** Jobs of one type share one policy object, so that it crosses threads once per call. */
  readonly #policies = new WeakMap<Job, StoredPolicy>()

  /** `defaults` stand behind the policy of every job. */
  constructor(defaults: Policy, newId: () => string) {
    this.#base = resolvePolicy(defaults)
    this.#newId = newId
  }

  policyOf(job: Job, options?: EnqueueOptions): StoredPolicy {
    let policy = this.#policies.get(job)
    if (policy === undefined) {
      policy = resolvePolicy(job.policy, undefined, this.#base)
      this.#policies.set(job, policy)
    }
    return options === undefined ? policy : resolvePolicy({}, options, policy)
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

  /** What a worker announces about a type. */
  describe(job: Job): TypeRecord {
    return { type: job.name, policy: this.policyOf(job), inputSchema: inputJsonSchema(job.input) }
  }
}
