// Takes jobs from producers that write JSON and do not have the definition, over HTTP or on the command line: finds the
// policy and the schema of the type, checks, and stores the payload as the text it came as.
import { caps, defaults } from '../core/caps.ts'
import { ForgeError } from '../core/errors.ts'
import { idSource } from '../core/id.ts'
import { checkJson } from '../core/json.ts'
import { checkName } from '../core/name.ts'
import { newJob } from '../core/new-job.ts'
import { resolvePolicy, type EnqueueOptions } from '../core/policy.ts'
import { parse, typed } from '../core/schema.ts'
import { Enqueuer, type Accepted } from '../enqueue.ts'
import type { ForgeQ } from '../forge.ts'
import { defineJob, type Job } from '../job.ts'
import type { StoredPolicy } from '../store/records.ts'
import type { StoreTime } from '../store-time.ts'
import { realTimers } from '../timers.ts'
import { Announced } from './announced.ts'

/** Its policy is that of every job whose type nobody knows: the defaults of the forge. */
const unknown = defineJob('unknown', { input: typed<unknown>() })

export class Intake {
  readonly #forge: ForgeQ
  readonly #time: StoreTime
  readonly #known: ReadonlyMap<string, Job>
  readonly #announced: Announced
  readonly #enqueuer: Enqueuer
  readonly #base: StoredPolicy
  readonly #newId: () => string

  /** `jobs`: definitions at hand; they go before what workers announced. */
  constructor(forge: ForgeQ, time: StoreTime, jobs: readonly Job[]) {
    this.#forge = forge
    this.#time = time
    this.#known = new Map(jobs.map((job) => [job.name, job]))
    this.#announced = new Announced(forge.store, realTimers)
    this.#enqueuer = new Enqueuer(forge.store, realTimers, Math.random, defaults.enqueueDeadlineMs)
    this.#base = resolvePolicy(forge.explain(unknown))
    this.#newId = idSource(
      () => time.now(),
      (bytes) => crypto.getRandomValues(bytes),
    )
  }

  /** Announced schemas that cannot be used, in words. */
  get problems(): readonly string[] {
    return this.#announced.problems
  }

  /** Errors as those of `ForgeQ.enqueue`; where the payload is at fault, the paths of the problems begin with `payload`. */
  async enqueue(type: string, payload: string | undefined, options: EnqueueOptions): Promise<Accepted> {
    checkName(type, 'type')
    const base = await this.#admit(type, payload)
    const policy = resolvePolicy({}, options, base)
    if (!this.#time.isFresh) this.#time.hear((await this.#forge.ready()).now)
    return this.#enqueuer.enqueue(newJob(type, payload ?? 'null', policy, options, this.#newId))
  }

  /** Checks a new payload for a job that is stored already. */
  async check(type: string, payload: string): Promise<void> {
    await this.#admit(type, payload)
  }

  /** Gives the policy of the type to a payload that it takes. */
  async #admit(type: string, payload: string | undefined): Promise<StoredPolicy> {
    try {
      const value = payload === undefined ? undefined : checkJson(payload, 'payload', caps.payloadBytes)
      const job = this.#known.get(type)
      if (job !== undefined) {
        await parse(job.input, value, 'payload')
        return resolvePolicy(job.policy, undefined, this.#base)
      }
      const announced = await this.#announced.find(type)
      announced?.check(value ?? null, payload?.length ?? 0)
      return announced?.policy ?? this.#base
    } catch (error) {
      throw ForgeError.is(error) && error.problems !== undefined ? inPayload(error) : error
    }
  }
}

const inPayload = ({ code, message, problems = [] }: ForgeError): ForgeError =>
  new ForgeError(code, message, {
    problems: problems.map(({ path, message: what }) => ({
      path: path === '' ? 'payload' : `payload.${path}`,
      message: what,
    })),
  })
