// `forgeq enqueue`: sends one job, or those of a file, and waits for its result where that is wanted.
import { InvalidArgumentError, type Command } from 'commander'
import { ForgeError } from '../core/errors.ts'
import { enqueueOptions } from '../core/new-job.ts'
import type { EnqueueOptions, Priority } from '../core/policy.ts'
import { uniqueConflicts, uniqueEnds, type UniqueRule } from '../core/unique.ts'
import type { Accepted } from '../enqueue.ts'
import type { ForgeQ } from '../forge.ts'
import { awaitJob } from './await-job.ts'
import { flagOf } from './config.ts'
import { configOf, withForge } from './connect.ts'
import { nearest } from './nearest.ts'
import { collect, duration, lookOptions, oneOf, storeOf, wholeNumber, type LookFlags } from './options.ts'
import { say } from './output.ts'
import { readPayload } from './payload.ts'

interface JobFlags {
  readonly queue?: string
  readonly priority?: Priority
  readonly in?: number
  readonly at?: Date
  readonly id?: string
  readonly unique?: string
  readonly uniqueUntil?: (typeof uniqueEnds)[number]
  readonly uniqueFor?: number
  readonly onConflict?: (typeof uniqueConflicts)[number]
  readonly key?: string
  readonly tag?: readonly string[]
  readonly retries?: number
  readonly timeout?: number
  readonly expire?: number
}

interface EnqueueFlags extends LookFlags, JobFlags {
  readonly type?: string
  readonly payload?: string
  /** In milliseconds, Infinity = without a limit. */
  readonly wait?: number
  readonly batch?: string
}

const jobFlags: readonly (keyof JobFlags)[] = [
  'queue',
  'priority',
  'in',
  'at',
  'id',
  'unique',
  'uniqueUntil',
  'uniqueFor',
  'onConflict',
  'key',
  'tag',
  'retries',
  'timeout',
  'expire',
]

export function define(command: Command): void {
  lookOptions(command)
    .argument('[type]', 'its job type')
    .argument('[payload]', 'JSON, @file, or - for standard input (default: null)')
    .option('--type <type>', 'as the argument')
    .option('--payload <json>', 'as the argument')
    .option('-q, --queue <name>', 'queue (default: what the job type says)')
    .option('-p, --priority <level>', 'high, normal, low, or 0 (first) to 9', readPriority)
    .option('--in <duration>', 'not before this time from now: 30s, 10m, 2h', duration)
    .option('--at <instant>', 'not before this instant: 2027-01-31T08:00:00Z', readInstant)
    .option('--id <uuid>', 'UUIDv7 of the job: the same again answers with the stored job')
    .option('--unique <key>', 'at most one job of the type with this key that has not ended')
    .option('--unique-until <end>', 'the key is held until done, or start (default: done)', oneOf(uniqueEnds))
    .option('--unique-for <duration>', 'the key is held for this time, whatever becomes of the job', duration)
    .option('--on-conflict <how>', 'when the key is held: keep, replace, error (default: keep)', oneOf(uniqueConflicts))
    .option('--key <key>', 'partition of its queue for limits, order and fairness: a tenant, an order, an account')
    .option('--tag <tag>', 'to find it by; may be repeated', collect)
    .option('--retries <n>', 'tries after the first one', wholeNumber(0, 10_000))
    .option('--timeout <duration>', 'how long one try may take', duration)
    .option('--expire <duration>', 'cancelled when it has not started within this time', duration)
    .option('--wait [duration]', 'wait until it has ended, or at most 30s, 5m, and print its result', readWait)
    .option('--batch <file>', 'many jobs: a JSON object with type, payload, ... on each line, - for standard input')
    .action(async (type: string | undefined, payload: string | undefined, flags: EnqueueFlags) => {
      if (flags.batch !== undefined) return sendBatch(flags.batch, type, flags)
      const name = one('type', type, flags.type)
      if (name === undefined) throw new ForgeError('USAGE', 'no job type is named: forgeq enqueue <type> [payload]')
      const text = await readPayload(one('payload', payload, flags.payload))
      // What is wrong with it is said before a store is made.
      const options = optionsOf(flags)
      const config = await configOf(storeOf(flags))
      await withForge(config, async (forge) => {
        const { intakeOf } = await import('./intake-of.ts')
        const accepted = await (await intakeOf(forge)).enqueue(name, text, options)
        await answer(forge, name, accepted, flags)
      })
    })
}

async function answer(forge: ForgeQ, type: string, accepted: Accepted, flags: EnqueueFlags): Promise<void> {
  const { acceptedJson } = await import('../server/view.ts')
  const { id, duplicate, replaced } = accepted
  if (replaced) say(`${id} was still waiting: it does this now instead.`)
  else if (duplicate) say(`${id} was there already: nothing new was stored.`)
  await sayIfUnknown(forge, type)
  const asJson = flags.json === true
  if (flags.wait === undefined) return console.log(asJson ? acceptedJson(accepted) : id)
  if (!asJson) say(`enqueued ${id}, waiting for it`)
  await awaitJob(forge, id, flags.wait, asJson)
}

async function sendBatch(file: string, type: string | undefined, flags: EnqueueFlags): Promise<void> {
  const extra = [...jobFlags, 'type', 'payload', 'wait'].find((name) => flags[name as keyof EnqueueFlags] !== undefined)
  if (type !== undefined || extra !== undefined) {
    throw new ForgeError(
      'USAGE',
      `with --batch each line says everything about its job; leave out ${extra === undefined ? type : `--${flagOf(extra)}`}`,
    )
  }
  const { enqueueBatch } = await import('./batch.ts')
  const config = await configOf(storeOf(flags))
  process.exitCode = await withForge(config, (forge) => enqueueBatch(forge, file, flags.json === true))
}

function one(what: string, argument: string | undefined, flag: string | undefined): string | undefined {
  if (argument === undefined || flag === undefined) return argument ?? flag
  throw new ForgeError('USAGE', `the ${what} is given twice, as an argument and as --${what}; leave out one of them`)
}

function optionsOf(flags: JobFlags): EnqueueOptions {
  const { in: delay, tag: tags, ...same } = flags
  const options: Readonly<Record<string, unknown>> = { delay, tags, ...same, unique: uniqueOf(flags) }
  return Object.fromEntries(
    enqueueOptions.flatMap((name) => (options[name] === undefined ? [] : [[name, options[name]]])),
  )
}

function uniqueOf({ unique: key, uniqueUntil, uniqueFor, onConflict }: JobFlags): UniqueRule | undefined {
  if (key !== undefined) {
    const rule = { key, ...(onConflict && { onConflict }) }
    if (uniqueFor === undefined) return { ...rule, ...(uniqueUntil && { until: uniqueUntil }) }
    if (uniqueUntil === undefined) return { ...rule, for: uniqueFor }
    throw new ForgeError('USAGE', '--unique-until and --unique-for exclude each other: leave out one of them')
  }
  const extra = uniqueUntil ? 'unique-until' : uniqueFor === undefined ? onConflict && 'on-conflict' : 'unique-for'
  if (extra === undefined) return undefined
  throw new ForgeError('USAGE', `--${extra} says nothing without a key: add --unique <key>`)
}

/** No fault: the worker may come later. But a mistyped name would wait for ever. */
async function sayIfUnknown(forge: ForgeQ, type: string): Promise<void> {
  const types = (await forge.admin.types()).map((record) => record.type)
  if (types.includes(type)) return
  const near = nearest(type, types)
  say(`No worker has handled ${type} yet: the job waits for one.${near === undefined ? '' : ` Did you mean ${near}?`}`)
}

const readPriority = (text: string): Priority =>
  /^\d$/.test(text) ? (Number(text) as Priority) : oneOf(['high', 'normal', 'low'])(text)

/** Nothing behind `=` is no limit. */
const readWait = (text: string): number => (text === '' ? Infinity : duration(text))

function readInstant(text: string): Date {
  const instant = new Date(text)
  if (!Number.isNaN(instant.getTime())) return instant
  throw new InvalidArgumentError('It must be an instant such as 2027-01-31T08:00:00Z.')
}
