// What can be set about ForgeQ's processes, once: its variable, how its value is read, its default. Where values come
// from and which one counts: config.ts.
import { defaults } from '../core/caps.ts'
import { formatMs, toMs, type Duration } from '../core/duration.ts'
import type { Rate } from '../core/limit.ts'
import { formatRate, readRate } from '../core/limit-text.ts'
import { checkName } from '../core/name.ts'
import { maskUrl } from '../store/url.ts'
import { defaultUrl } from '../store/open.ts'
import { logLevels, type LogLevel } from '../observe/log-level.ts'

/** Queue -> its slots in one process, `null` = as many as the process has. */
export type QueueSlots = Readonly<Record<string, number | null>>

/** What a starting worker says of a rate; `null`: nothing, `none`: that there is no limit. */
export type RateSetting = Rate | 'none' | null

export interface Settings {
  readonly store: string
  /** `null`: the queues of the handlers' jobs. */
  readonly queues: QueueSlots | null
  /** Slots of one process; `null`: the sum of what the queues name, else 10. */
  readonly concurrency: number | null
  readonly processes: number
  /** `null`: never. */
  readonly maxJobs: number | null
  /** In bytes; `null`: never. */
  readonly maxRss: number | null
  /** Of each queue that is served, by priority. */
  readonly rateLimitHigh: RateSetting
  readonly rateLimitNormal: RateSetting
  readonly rateLimitLow: RateSetting
  readonly host: string
  readonly port: number
  readonly logLevel: LogLevel
  /** `auto`: pretty on a terminal, JSON elsewhere. */
  readonly logFormat: 'auto' | 'json' | 'pretty'
  readonly shutdownTimeoutMs: number
}

export type SettingName = keyof Settings

interface Setting<T> {
  readonly variable: `FORGEQ_${string}`
  /** Its name in a configuration file, and that of its flag. */
  readonly key: string
  readonly about: string
  /** As written in `.env.example`. */
  readonly example: string
  readonly default: T
  /** From a text (variable, flag) or a value (configuration file); throws an Error that says what it must be. */
  readonly read: (given: unknown) => T
  /** For people; never with a secret in it. */
  readonly show: (value: T) => string
}

const most = { slots: 10_000, processes: 256, port: 65_535 }

export const settings: { readonly [K in SettingName]: Setting<Settings[K]> } = {
  store: {
    variable: 'FORGEQ_STORE',
    key: 'store',
    about:
      'Where jobs live: sqlite:path.db, with ?durability=relaxed faster and less safe at power loss, or postgres://user@host/database',
    example: defaultUrl,
    default: defaultUrl,
    read: text,
    show: maskUrl,
  },
  queues: {
    variable: 'FORGEQ_QUEUES',
    key: 'queues',
    about: 'Queues that a worker serves, with slots: emails,default:5 (default: the queues of its handlers)',
    example: 'emails,default:5',
    default: null,
    read: readQueues,
    show: (value) => (value === null ? 'those of the handlers' : writeQueues(value)),
  },
  concurrency: {
    variable: 'FORGEQ_CONCURRENCY',
    key: 'concurrency',
    about: 'Jobs that one worker process runs at a time',
    example: String(defaults.concurrency),
    default: null,
    read: (given) => wholeNumber(given, 1, most.slots),
    show: (value) => (value === null ? String(defaults.concurrency) : String(value)),
  },
  processes: {
    variable: 'FORGEQ_PROCESSES',
    key: 'processes',
    about: 'Worker processes',
    example: '1',
    default: 1,
    read: (given) => wholeNumber(given, 1, most.processes),
    show: String,
  },
  maxJobs: {
    variable: 'FORGEQ_MAX_JOBS',
    key: 'maxJobs',
    about: 'Replace a worker process by a fresh one after so many jobs',
    example: '10000',
    default: null,
    read: (given) => wholeNumber(given, 1, Number.MAX_SAFE_INTEGER),
    show: (value) => (value === null ? 'never' : String(value)),
  },
  maxRss: {
    variable: 'FORGEQ_MAX_RSS',
    key: 'maxRss',
    about: 'Replace a worker process by a fresh one when its memory (RSS) is beyond this: 512MB, 1.5GB',
    example: '512MB',
    default: null,
    read: readSize,
    show: (value) => (value === null ? 'never' : `${Math.round(value / 1e5) / 10} MB`),
  },
  rateLimitHigh: {
    variable: 'FORGEQ_RATE_LIMIT_HIGH',
    key: 'rateLimitHigh',
    ...rateOf('high', '1000/m'),
  },
  rateLimitNormal: {
    variable: 'FORGEQ_RATE_LIMIT_NORMAL',
    key: 'rateLimitNormal',
    ...rateOf('normal', '100/10s'),
  },
  rateLimitLow: {
    variable: 'FORGEQ_RATE_LIMIT_LOW',
    key: 'rateLimitLow',
    ...rateOf('low', '2000/h'),
  },
  host: {
    variable: 'FORGEQ_HOST',
    key: 'host',
    about: 'Address the HTTP API listens on',
    example: '127.0.0.1',
    default: '127.0.0.1',
    read: text,
    show: String,
  },
  port: {
    variable: 'FORGEQ_PORT',
    key: 'port',
    about: 'Port of the HTTP API; 0 takes a free one',
    example: '7788',
    default: 7788,
    read: (given) => wholeNumber(given, 0, most.port),
    show: String,
  },
  logLevel: {
    variable: 'FORGEQ_LOG_LEVEL',
    key: 'logLevel',
    about: `What is logged: ${logLevels.join(', ')}`,
    example: 'info',
    default: 'info',
    read: (given) => oneOf(given, logLevels),
    show: String,
  },
  logFormat: {
    variable: 'FORGEQ_LOG_FORMAT',
    key: 'logFormat',
    about: 'auto (pretty on a terminal, JSON elsewhere), json or pretty',
    example: 'auto',
    default: 'auto',
    read: (given) => oneOf(given, ['auto', 'json', 'pretty']),
    show: String,
  },
  shutdownTimeoutMs: {
    variable: 'FORGEQ_SHUTDOWN_TIMEOUT',
    key: 'shutdownTimeout',
    about: 'How long a worker that is told to stop may take; running jobs get all of it but the last 2 s',
    example: '25s',
    default: defaults.graceMs,
    read: (given) => readTimeout(given),
    show: formatMs,
  },
}

function rateOf(priority: string, example: string): Omit<Setting<RateSetting>, 'variable' | 'key'> {
  return {
    about: `Starts of jobs of priority ${priority} in each queue that a worker serves, set when it starts; none: no limit`,
    example,
    default: null,
    read: (given) => readRate(given, 'it') ?? 'none',
    show: (value) => (value === null ? 'as it is' : value === 'none' ? value : formatRate(value)),
  }
}

function text(given: unknown): string {
  if (typeof given === 'string' && given !== '') return given
  throw new Error('must be a text')
}

function wholeNumber(given: unknown, least: number, largest: number): number {
  const number = typeof given === 'string' && /^\d+$/.test(given) ? Number(given) : given
  if (typeof number === 'number' && Number.isInteger(number) && number >= least && number <= largest) return number
  throw new Error(`must be a whole number from ${least} to ${largest}`)
}

function oneOf<const T extends string>(given: unknown, allowed: readonly T[]): T {
  const found = allowed.find((one) => one === given)
  if (found === undefined) throw new Error(`must be one of ${allowed.join(', ')}`)
  return found
}

const sizes = { kb: 1e3, mb: 1e6, gb: 1e9 }
/** Less than a process needs to start would be too much at once. */
const leastRss = 100e6

/** `512MB`, `1.5GB` or a number of bytes. */
function readSize(given: unknown): number {
  const [, count, unit] = /^(\d+(?:\.\d+)?) ?(kb|mb|gb)?$/i.exec(String(given)) ?? []
  const bytes = Math.round(Number(count) * (unit === undefined ? 1 : sizes[unit.toLowerCase() as keyof typeof sizes]))
  if (bytes >= leastRss) return bytes
  throw new Error('must be a size of 100MB or more, such as 512MB or 1.5GB')
}

function readTimeout(given: unknown): number {
  // Variables have no numbers: '5000' is milliseconds, as 5000 is.
  const ms = toMs((typeof given === 'string' && /^\d+$/.test(given) ? Number(given) : given) as Duration, 'it')
  if (ms >= defaults.handBackMs) return ms
  throw new Error('must be 2s or more: aborting handlers and handing their jobs back takes that long')
}

/** `emails,default:5`, `['emails', 'default']` or `{ default: 5 }`. */
function readQueues(given: unknown): QueueSlots {
  const entries =
    typeof given === 'string'
      ? given.split(',').map((part) => readQueue(part.trim()))
      : Array.isArray(given)
        ? given.map((name): [unknown, null] => [name, null])
        : Object.entries(given ?? {})
  if (entries.length === 0) throw new Error('must name at least one queue')
  const queues: Record<string, number | null> = {}
  for (const [name, slots] of entries) {
    checkName(name, 'queue')
    if (name in queues) throw new Error(`names ${name} twice`)
    queues[name] = slots === null ? null : wholeNumber(slots, 1, most.slots)
  }
  return queues
}

function readQueue(part: string): [string, string | null] {
  // Names may hold colons themselves: only a number at the end is a number of slots.
  const match = /^(.+):(\d+)$/.exec(part)
  return match === null ? [part, null] : [match[1]!, match[2]!]
}

const writeQueues = (queues: QueueSlots): string =>
  Object.entries(queues)
    .map(([name, slots]) => (slots === null ? name : `${name}:${slots}`))
    .join(',')
