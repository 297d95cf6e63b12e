// `forgeq queues limit` and `forgeq queues show`: sets the limits of a queue and shows them.
import { InvalidArgumentError, type Command } from 'commander'
import { caps } from '../core/caps.ts'
import { unknownQueue } from '../core/errors.ts'
import type { QueueSettings, Rate } from '../core/limit.ts'
import { readLimits, readRate } from '../core/limit-text.ts'
import { checkName } from '../core/name.ts'
import type { ForgeQ } from '../forge.ts'
import { queueJson } from '../server/view.ts'
import { findQueue } from '../store/queue-record.ts'
import { withStored } from './connect.ts'
import { lookOptions, storeOf, wholeNumber } from './options.ts'
import { say } from './output.ts'
import { printQueue } from './queue-page.ts'

/** What takes a limit away; the parser of options has no `null`. */
type OrNone<T> = T | 'none'

interface LimitFlags {
  readonly store?: string
  readonly json?: true
  readonly rate?: OrNone<Rate>
  readonly rateHigh?: OrNone<Rate>
  readonly rateNormal?: OrNone<Rate>
  readonly rateLow?: OrNone<Rate>
  readonly concurrency?: OrNone<number>
  readonly keyRate?: OrNone<Rate>
  readonly keyConcurrency?: OrNone<number>
  readonly ordered?: boolean
  readonly maxDepth?: OrNone<number>
  readonly accepting?: boolean
}

export function defineLimits(command: Command): void {
  lookOptions(command.command('show').description('everything about a queue: depths, limits, what is left of them'))
    .argument('<queue>')
    .action((name: string, flags: LimitFlags) => withStored(storeOf(flags), (forge) => show(forge, name, flags)))
  lookOptions(
    command.command('limit').description('limit a queue, at once and for all workers; without options, show it'),
  )
    .argument('<queue>')
    .option('--rate <rate>', 'starts in any window of time: 100/m, 10/s, 5/30s', rate)
    .option('--rate-high <rate>', 'of its jobs of priority high', rate)
    .option('--rate-normal <rate>', 'of its jobs of priority normal', rate)
    .option('--rate-low <rate>', 'of its jobs of priority low', rate)
    .option('--concurrency <n>', 'jobs that run at a time, on all workers together', countUpTo(caps.queueConcurrency))
    .option('--key-rate <rate>', 'starts of each key', rate)
    .option('--key-concurrency <n>', 'jobs of each key that run at a time', countUpTo(caps.keyConcurrency))
    .option('--ordered', 'the next job of a key starts only when the one before it has ended, retries included')
    .option('--no-ordered', 'it may start while that one waits for a retry')
    .option('--max-depth <n>', 'jobs that may wait; more are refused', countUpTo(caps.queueDepth))
    .option('--accepting', 'take new jobs again')
    .option('--no-accepting', 'refuse new jobs')
    .addHelpText(
      'after',
      '\n`none` instead of a rate or a number takes that limit away; what is not named stays as it is.',
    )
    .action((name: string, flags: LimitFlags) => withStored(storeOf(flags), (forge) => limit(forge, name, flags)))
}

async function limit(forge: ForgeQ, name: string, flags: LimitFlags): Promise<void> {
  checkName(name, 'queue')
  const known = await findQueue(forge.store, name)
  const settings = settingsOf(flags)
  if (Object.keys(settings).length > 0) {
    await forge.store.setQueue(name, settings)
    if (known === undefined) say(`Queue ${name} has never had a job: is its name right?`)
  }
  await show(forge, name, flags)
}

async function show(forge: ForgeQ, name: string, { json }: LimitFlags): Promise<void> {
  const queue = await findQueue(forge.store, name)
  if (queue === undefined) throw unknownQueue(name)
  if (json) console.log(queueJson(queue))
  else printQueue(queue, (await forge.ready()).now)
}

function settingsOf(flags: LimitFlags): QueueSettings {
  const { accepting, concurrency, rate: ofQueue, maxDepth } = flags
  const { rateHigh: high, rateNormal: normal, rateLow: low, keyConcurrency, keyRate, ordered } = flags
  const ofPriorities = { high, normal, low }
  const ofKeys = { concurrency: limitOf(keyConcurrency), rate: keyRate, ordered }
  const limits = {
    accepting,
    concurrency: limitOf(concurrency),
    rate: ofQueue,
    ...(saysAny(ofPriorities) && { ratePerPriority: ofPriorities }),
    ...(saysAny(ofKeys) && { perKey: ofKeys }),
    maxDepth: limitOf(maxDepth),
  }
  return readLimits(limits, 'perMs')
}

const saysAny = (flags: object): boolean => Object.values(flags).some((flag) => flag !== undefined)

const limitOf = <T>(flag: OrNone<T>): T | null => (flag === 'none' ? null : flag)

function rate(text: string): OrNone<Rate> {
  try {
    return readRate(text, 'It') ?? 'none'
  } catch (error) {
    throw new InvalidArgumentError(`${(error as Error).message}.`)
  }
}

const countUpTo = (most: number) => {
  const read = wholeNumber(1, most)
  return (text: string): OrNone<number> => (text === 'none' ? text : read(text))
}
