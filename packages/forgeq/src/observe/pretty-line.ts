// One log line for people: time, level, what happened, then what it happened to.
import { harmless, oneLine } from './printable.ts'

const styles: Record<string, number> = { debug: 2, info: 32, warn: 33, error: 31 }

/** Said first and in their own words; every other field follows with its name, these are left out. */
const known = ['type', 'jobId', 'queue', 'attempt', 'worker', 'durationMs', 'delayMs']

interface Line {
  readonly level: string
  readonly time: string
  readonly msg?: string
  readonly err?: { readonly name?: string; readonly message?: string }
  readonly type?: string
  readonly jobId?: string
  readonly attempt?: number
  readonly worker?: string
  readonly durationMs?: number
  readonly delayMs?: number
}

/** `json` is what pino wrote. */
export function prettyLine(json: string, colours: boolean): string {
  const { level, time, msg = '', err, ...fields } = JSON.parse(json) as Line
  const paint = (style: number, text: string): string => (colours ? `\u001B[${style}m${text}\u001B[0m` : text)
  const clock = new Date(time).toTimeString().slice(0, 8)
  const facts = factsOf(fields)
  const parts = [
    paint(2, clock),
    paint(styles[level] ?? 0, level.padEnd(5)),
    harmless(msg),
    ...(facts === '' ? [] : [paint(2, ` ${facts}`)]),
    ...(err === undefined ? [] : [paint(31, oneLine(`${err.name ?? 'Error'}: ${err.message ?? ''}`))]),
  ]
  // What is left of a countdown that stood on this line is wiped out.
  return `${parts.join(' ')}${colours ? '\u001B[K' : ''}`
}

function factsOf(fields: Omit<Line, 'level' | 'time'>): string {
  const { type, jobId, attempt = 1, worker, durationMs, delayMs } = fields
  const facts: string[] = []
  if (type !== undefined) facts.push(type)
  if (jobId !== undefined) facts.push(jobId)
  else if (worker !== undefined) facts.push(worker)
  if (attempt > 1) facts.push(`attempt ${attempt}`)
  if (durationMs !== undefined) facts.push(`${durationMs} ms`)
  if (delayMs !== undefined) facts.push(`again in ${delayMs} ms`)
  for (const [name, value] of Object.entries(fields)) {
    if (!known.includes(name)) facts.push(`${name} ${typeof value === 'string' ? value : JSON.stringify(value)}`)
  }
  return oneLine(facts.join(' · '))
}
