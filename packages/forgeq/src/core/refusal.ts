// What follows from the refusal of a job that does not stand alone.
import type { Refusal } from '../store/records.ts'
import { ForgeError } from './errors.ts'

/** A follow-up that is refused takes back the completion of `job`, which brings it: this try has failed. */
export const followUpRefused = (job: string, { code, message, holder }: Refusal): ForgeError =>
  new ForgeError(code === 'BATCH_REFUSED' ? 'INTERNAL' : code, `a follow-up of ${job} was refused: ${message}`, {
    id: job,
    ...(holder !== undefined && { holder }),
  })
