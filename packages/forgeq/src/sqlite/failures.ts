// The one list of SQLite's errors: which are passing, and what to tell people about the others.
import { ForgeError } from '../core/errors.ts'
import { isDriverError } from './connect.ts'

const reasons: Readonly<Record<number, string>> = {
  5: 'another process holds the write lock for too long; a transaction was left open on this file, or it is overloaded',
  6: 'another process holds the write lock for too long; a transaction was left open on this file, or it is overloaded',
  7: 'it ran out of memory; run fewer jobs at a time or smaller ones',
  8: 'the file is read-only; check its owner and mode, and those of its folder',
  9: 'a call was interrupted; it is repeated',
  10: 'the disk reports an input/output error',
  11: 'the file is damaged; stop all processes, keep a copy, and restore a backup',
  13: 'the disk is full; free some space',
  14: 'the file cannot be opened; check that its folder exists and may be written',
  15: 'its lock protocol failed; another process is using the file in a way that SQLite does not expect',
  26: 'the file is not an SQLite database; is the path right?',
}

/** A driver's error as STORE_UNAVAILABLE with the next step; everything else as it is. */
export const explainFailure = (error: unknown): unknown => {
  if (!isDriverError(error)) return error
  const reason = reasons[error.errcode & 255]
  return reason === undefined
    ? new ForgeError('INTERNAL', `SQLite: ${error.message}`, { cause: error })
    : new ForgeError('STORE_UNAVAILABLE', `SQLite: ${reason}`, { cause: error })
}
