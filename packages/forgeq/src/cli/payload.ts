// A payload on the command line: JSON itself, @file, or - for standard input. Kept as the text it is.
import { readFile } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import { ForgeError } from '../core/errors.ts'

/** `undefined` when none was given. */
export async function readPayload(given: string | undefined): Promise<string | undefined> {
  if (given === undefined) return undefined
  if (given === '-') return (await text(process.stdin)).trim()
  if (!given.startsWith('@')) return given
  try {
    return (await readFile(given.slice(1), 'utf8')).trim()
  } catch (cause) {
    throw new ForgeError('USAGE', `the payload file ${given.slice(1)} cannot be read: ${(cause as Error).message}`, {
      cause,
    })
  }
}
