// What a worker shows when it is up: where it works, on what, with which handlers.
import type { StoreInfo } from '../store/store.ts'
import { maskUrl } from '../store/url.ts'
import { version } from '../version.ts'
import type { Config } from './config.ts'
import { demoFile } from './demo-file.ts'
import type { Paint } from './paint.ts'
import type { WorkerDetails } from './worker-process.ts'

/** Lines for a terminal. */
export function banner(config: Config, info: StoreInfo, details: WorkerDetails, paint: Paint): string[] {
  const { queues, concurrency, handlers, notes } = details
  const crew =
    config.processes === 1
      ? `1 process, ${concurrency} jobs at a time`
      : `${config.processes} processes, each ${concurrency} jobs at a time`
  const slots = Object.entries(queues).map(([queue, n]) => (n === concurrency ? queue : `${queue} (${n})`))
  const longest = Math.max(...handlers.map(({ type }) => type.length))
  const rows: (readonly [string, string])[] = [
    ['store', maskUrl(config.store)],
    ['', paint('dim', `${info.kind} ${info.version}, ${info.durability}`)],
    ['workers', crew],
    ['queues', slots.join(', ')],
    ...handlers.map(({ type, file }, i): [string, string] => [
      i === 0 ? 'handlers' : '',
      `${type.padEnd(longest)}  ${paint('dim', file === demoFile ? 'built in' : file)}`,
    ]),
  ]
  return [
    `\n${paint('bold', 'ForgeQ')} ${version}\n`,
    ...rows.map(([name, value]) => `  ${paint('dim', name.padEnd(10))}${value}`),
    ...[...info.problems, ...notes].map((note) => `  ${paint('yellow', '!')} ${note}`),
  ]
}
