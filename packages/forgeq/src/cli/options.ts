// Options that several commands share, so that they read and mean the same everywhere.
import { InvalidArgumentError, type Command } from 'commander'
import { toMs, type Duration } from '../core/duration.ts'
import type { Flags } from './config.ts'

export interface LookFlags extends Flags {
  readonly json?: true
}

/** Of commands that look at a store or act on it once. */
export const lookOptions = (command: Command): Command =>
  storeOption(command).option('--json', 'JSON for programs, with the field names of the HTTP API')

/** Of commands that run worker processes. */
export const crewOptions = (command: Command): Command =>
  storeOption(command)
    .option('-q, --queues <list>', 'queues to serve, with slots: emails,default:5 (default: those of the handlers)')
    .option('-c, --concurrency <n>', 'jobs that one process runs at a time (default: 10)')
    .option('-p, --processes <n>', 'worker processes (default: 1)')
    .option('--max-jobs <n>', 'replace a process by a fresh one after so many jobs (default: never)')
    .option('--max-rss <size>', 'replace a process when it uses more memory: 512MB (default: never)')
    .option('--rate-limit-high <rate>', 'starts of priority high in each queue served: 100/m, none (default: as it is)')
    .option('--rate-limit-normal <rate>', 'the same of priority normal')
    .option('--rate-limit-low <rate>', 'the same of priority low')
    .option('--log-level <level>', 'debug, info, warn, error or silent (default: info)')
    .option('--log-format <format>', 'auto, json or pretty (default: auto)')
    .option('--shutdown-timeout <duration>', 'how long stopping may take (default: 25s)')

/** Of commands that serve HTTP. */
export const serveOptions = (command: Command): Command =>
  command
    .option('--host <address>', 'address to listen on (default: 127.0.0.1)')
    .option('--port <n>', 'port to listen on, 0 = a free one (default: 7788)')

/** For commands whose `--queue` or `--concurrency` is of one queue or job: it is no setting there. */
export const storeOf = ({ store }: Pick<Flags, 'store'>): Flags => (store === undefined ? {} : { store })

export const storeOption = (command: Command): Command =>
  command.option('--store <url>', 'where jobs live (default: FORGEQ_STORE, else sqlite:.forgeq/forgeq.db)')

/** For `option(flags, about, parse)`. */
export const wholeNumber =
  (least: number, most: number) =>
  (text: string): number => {
    const number = Number(text)
    if (/^\d+$/.test(text) && number >= least && number <= most) return number
    throw new InvalidArgumentError(`It must be a whole number from ${least} to ${most}.`)
  }

/** Whole milliseconds. */
export function duration(text: string): number {
  try {
    return toMs(text as Duration, 'It')
  } catch (error) {
    throw new InvalidArgumentError(`${(error as Error).message}.`)
  }
}

export const oneOf =
  <const T extends string>(allowed: readonly T[]) =>
  (text: string): T => {
    const found = allowed.find((one) => one === text)
    if (found === undefined) throw new InvalidArgumentError(`It must be one of ${allowed.join(', ')}.`)
    return found
  }

/** For options that may be given again and again. */
export const collect = (text: string, before: readonly string[] = []): readonly string[] => [...before, text]
