// What somebody at a terminal reads when a command fails: what, why, what to do. The exit code says it to programs.
import { errorCodes, ForgeError } from '../core/errors.ts'
import { harmless } from '../observe/printable.ts'
import { paintFor } from './paint.ts'

/** Prints to standard error and gives the exit code. */
export function report(error: unknown): number {
  const paint = paintFor(process.stderr)
  const head = paint('red', 'error:')
  if (!ForgeError.is(error)) {
    console.error(`${head} ${harmless(error instanceof Error ? (error.stack ?? error.message) : String(error))}`)
    return 1
  }
  console.error(`${head} ${harmless(error.message)}`)
  for (const { path, message } of error.problems ?? []) {
    console.error(`  ${path === '' ? '' : `${paint('bold', harmless(path))}: `}${harmless(message)}`)
  }
  return errorCodes[error.code].exit
}
