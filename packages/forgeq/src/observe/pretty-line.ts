// One log line for people: time, level, what happened, then what it happened to.
import { harmless, oneLine } from './printable.ts'

const styles: Record<string, number> = { debug: 2, info: 32, warn: 33, error: 31, fatal: 31 }

interface Line {
  readonly level: string
  readonly time: string
  readonly msg?: string
  readonly type?: string
  readonly jobId?: string
  readonly queue?: string
  readonly attempt?: number
  readonly durationMs?: number
  readonly delayMs?: number
  readonly err?: { readonly name?: string; readonly message?: string; readonly stack?: string }
}

/** `json` is what pino wrote. */
export function prettyLine(json: string, colours: boolean): string {
  const { level, time, msg = '', err, ...rest } = JSON.parse(json) as Line & Record<string, unknown>
  const paint = (style: number, text: string): string => (colours ? `\u001B[${style}m${text}\u001B[0m` : text)
  const { type, jobId, attempt, durationMs, delayMs, queue, worker, ...others } = rest
  const facts = [
    type,
    jobId === undefined ? worker : jobId,
    attempt !== undefined && attempt > 1 ? `attempt ${attempt}` : undefined,
    durationMs === undefined ? undefined : `${durationMs} ms`,
    delayMs === undefined ? undefined : `again in ${delayMs} ms`,
    ...Object.entries(others).map(([key, value]) => `${key} ${typeof value === 'string' ? value : JSON.stringify(value)}`),
  ]
  const words = facts.filter((fact) => fact !== undefined).join(' · ')
  const clock = new Date(time).toTimeString().slice(0, 8)
  const failure = err === undefined ? '' : `\n               ${oneLine(`${err.name ?? 'Error'}: ${err.message ?? ''}`)}`
  const head = `${paint(2, clock)} ${paint(styles[level] ?? 0, level.padEnd(5))} ${harmless(msg)}`
  const line = `${head}${words === '' ? '' : ` ${paint(2, words)}`}${paint(31, failure)}`
  // What is left of a countdown that stood on this line is wiped out.
  return colours ? `${line}\u001B[K` : line
}
