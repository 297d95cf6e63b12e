// `forgeq enqueue --batch`: a file of jobs, one JSON object a line, sent in chunks. Each line has its own answer.
import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { errorCodes, ForgeError } from '../core/errors.ts'
import type { ForgeQ } from '../forge.ts'
import type { Accepted } from '../enqueue.ts'
import type { Intake } from '../server/intake.ts'
import { readJob } from '../server/job-body.ts'
import { acceptedJson } from '../server/view.ts'
import { batchLimit } from '../store/store.ts'
import { intakeOf } from './intake-of.ts'
import { partly } from './job-acts.ts'
import { say } from './output.ts'
import { progressLine } from './progress-line.ts'

interface Line {
  readonly number: number
  readonly text: string
}

interface Answer {
  readonly line: number
  readonly accepted?: Accepted
  readonly error?: ForgeError
}

/** Prints the ids in order, names refused lines on standard error, and gives the exit code. */
export async function enqueueBatch(forge: ForgeQ, file: string, asJson: boolean): Promise<number> {
  const intake = await intakeOf(forge)
  const progress = progressLine('enqueued')
  const tally = { stored: 0, replaced: 0, duplicates: 0, refused: 0 }
  const results: string[] = []
  let exitCode = 0
  for await (const lines of chunksOf(file)) {
    const answers = await Promise.all(lines.map((line) => send(intake, line)))
    for (const { line, accepted, error } of answers) {
      if (accepted !== undefined) {
        tally[accepted.replaced ? 'replaced' : accepted.duplicate ? 'duplicates' : 'stored'] += 1
        if (asJson) results.push(`{"line":${line},${acceptedJson(accepted).slice(1)}`)
        else console.log(accepted.id)
      } else if (error !== undefined) {
        const { code, message, holder } = error
        tally.refused += 1
        exitCode ||= errorCodes[code].exit
        say(`line ${line}: ${message}`)
        results.push(JSON.stringify({ line, code, message, holder }))
      }
    }
    const outage = answers.find(({ error }) => error !== undefined && errorCodes[error.code].status === 503)
    if (outage?.error !== undefined) throw stopped(outage.error, lines, tally)
    progress.show(acceptedOf(tally))
  }
  progress.end()
  if (asJson) console.log(`{"results":[${results.join(',')}]}`)
  say(inWords(tally))
  return tally.refused > 0 && acceptedOf(tally) > 0 ? partly : exitCode
}

/** The answers of one chunk are asked for in one turn, and so travel together. */
async function send(intake: Intake, { number, text }: Line): Promise<Answer> {
  try {
    const { type, payload, options } = readJob(text, 'line')
    return { line: number, accepted: await intake.enqueue(type, payload, options) }
  } catch (error) {
    if (!ForgeError.is(error)) throw error
    return { line: number, error }
  }
}

async function* chunksOf(file: string): AsyncGenerator<Line[]> {
  const input = file === '-' ? process.stdin : createReadStream(file)
  let number = 0
  let chunk: Line[] = []
  try {
    for await (const text of createInterface({ input, crlfDelay: Infinity })) {
      number += 1
      if (text.trim() !== '') chunk.push({ number, text })
      if (chunk.length < batchLimit) continue
      yield chunk
      chunk = []
    }
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).syscall === undefined) throw cause
    throw new ForgeError('USAGE', `the batch file ${file} cannot be read: ${(cause as Error).message}`, { cause })
  }
  if (chunk.length > 0) yield chunk
}

interface Tally {
  readonly stored: number
  /** Taken over by a job that was still waiting. */
  readonly replaced: number
  readonly duplicates: number
  readonly refused: number
}

const acceptedOf = ({ stored, replaced, duplicates }: Tally): number => stored + replaced + duplicates

const stopped = (error: ForgeError, lines: readonly Line[], tally: Tally): ForgeError => {
  const where = `lines ${lines[0]!.number} to ${lines.at(-1)!.number}`
  const stored = `${acceptedOf(tally)} jobs are stored`
  const what =
    error.code === 'OUTCOME_UNKNOWN'
      ? `the store did not answer: whether the jobs of ${where} are stored is not known, where that is not said of a line; ${stored}`
      : `${error.message}; stopped in ${where}, ${stored}`
  const advice = 'lines that carry an id of their own can be sent again without making a second job'
  return new ForgeError(error.code, `${what}; ${advice}`, { cause: error })
}

function inWords({ stored, replaced, duplicates, refused }: Tally): string {
  const parts = [`${stored.toLocaleString('en')} enqueued`]
  if (replaced > 0) parts.push(`${replaced.toLocaleString('en')} taken over by jobs that still waited`)
  if (duplicates > 0) parts.push(`${duplicates.toLocaleString('en')} there already`)
  if (refused > 0) parts.push(`${refused.toLocaleString('en')} refused`)
  return parts.join(', ')
}
