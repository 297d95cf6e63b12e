// A job as a value: the contract (name, schemas, policy) that producers share, and the function that makes it a handler.
// Nothing here touches a store; forge.ts enqueues jobs and worker/ runs handlers.
import type { StandardSchemaV1 } from '@standard-schema/spec'
import { invalidOption } from './core/errors.ts'
import { checkName } from './core/name.ts'
import { resolvePolicy, type EnqueueOptions, type Policy } from './core/policy.ts'
import type { Schema, TakesJson } from './core/schema.ts'

declare const out: unique symbol

/**
 * A contract: `In` is what is enqueued, `Arg` what the handler gets of it, `Returned` what the handler returns, `Out` what
 * is stored of that.
 */
export interface Job<In = any, Arg = any, Out = any, Returned = any> {
  readonly name: string
  readonly policy: Readonly<Policy>
  readonly input: Schema<In, Arg>
  /** What the handler returns goes through it before it is stored. */
  readonly output: Schema | undefined
  readonly [out]?: Out
  /** This job with its input, for `enqueueMany`. */
  with(input: In, options?: EnqueueOptions): Call
  /** This job with the function that runs it, for `forge.worker`. */
  handler(fn: (context: Context<Arg>) => Returned | Promise<Returned>): Handler
}

/** One job to enqueue. */
export interface Call {
  readonly job: Job
  readonly input: unknown
  readonly options: EnqueueOptions
}

/** A job that a worker can run. */
export interface Handler {
  readonly job: Job
  readonly fn: (context: Context<any>) => unknown
}

export type InputOf<J> = J extends Job<infer In, any, any> ? In : never
export type OutputOf<J> = J extends Job<any, any, infer Out> ? Out : never

/** Writes a line about the job, which is kept with it. Takes what `console` takes. */
type Write = (...parts: readonly unknown[]) => void

export interface JobLog {
  readonly debug: Write
  readonly info: Write
  readonly warn: Write
  readonly error: Write
}

/** What a handler gets. Its functions work when taken out of it: `({ input, log, progress }) => ...`. */
export interface Context<Arg> {
  readonly input: Arg
  /**
   * `attempt` counts from 1: failures and timeouts so far plus one. `claim` counts handings-out and never falls: whoever
   * takes effects of this job outside of the store can refuse those of an older claim.
   */
  readonly job: { readonly id: string; readonly attempt: number; readonly claim: number; readonly enqueuedAt: Date }
  /** Aborts at the timeout, on cancel, at the end of the shutdown grace, and when the lease is lost. */
  readonly signal: AbortSignal
  readonly log: JobLog
  readonly progress: (done: number, total?: number, label?: string) => void
  /**
   * Enqueues in the name of this job: committed with its completion, never without it. Gives the id that the new job will
   * have; with `unique`, no job will have it when another one holds the key by then. Where that is to be an error, this try
   * fails with UNIQUE_CONFLICT.
   */
  readonly enqueue: <In>(job: Job<In, any, any>, input: NoInfer<In>, options?: EnqueueOptions) => string
}

type In<S extends Schema> = StandardSchemaV1.InferInput<S>
type Out<S extends Schema> = StandardSchemaV1.InferOutput<S>
interface Contract<S extends Schema> extends Policy {
  input: S & TakesJson<S>
}

/**
 * Defines a job. With `output` or without a function it is a contract that producers can import alone; with a function
 * it is a handler as well. INVALID_OPTION when the name or the policy is out of range.
 */
export function defineJob<S extends Schema, O extends Schema>(
  name: string,
  spec: Contract<S> & { output: O },
): Job<In<S>, Out<S>, Out<O>, In<O>>
export function defineJob<S extends Schema>(
  name: string,
  spec: Contract<S> & { output?: undefined },
): Job<In<S>, Out<S>, unknown, unknown>
export function defineJob<S extends Schema, R>(
  name: string,
  spec: Contract<S> & { output?: undefined },
  fn: (context: Context<Out<S>>) => R | Promise<R>,
): Job<In<S>, Out<S>, R, R> & Handler
export function defineJob<S extends Schema, O extends Schema>(
  name: string,
  spec: Contract<S> & { output: O },
  fn: (context: Context<Out<S>>) => In<O> | Promise<In<O>>,
): Job<In<S>, Out<S>, Out<O>, In<O>> & Handler
export function defineJob(
  name: string,
  spec: Policy & { input: Schema; output?: Schema | undefined },
  fn?: Handler['fn'],
): Job {
  checkName(name, 'job type')
  const { input, output, ...policy } = spec
  if ((input as Partial<Schema> | undefined)?.['~standard'] === undefined) {
    throw invalidOption('input', 'must be a schema (zod, valibot, arktype, ...), or typed<T>() to check nothing')
  }
  resolvePolicy(policy)
  const job: Job & Partial<Handler> = {
    name,
    policy: Object.freeze(policy),
    input,
    output,
    with: (value, options = {}) => ({ job, input: value, options }),
    handler: (run) => ({ job, fn: run }),
  }
  return Object.freeze(fn === undefined ? job : Object.assign(job, { job, fn }))
}
