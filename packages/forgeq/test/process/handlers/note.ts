// What handlers leave behind: each line is appended in one write, so a kill of their process loses none.
import { appendFileSync } from 'node:fs'

export const note = (what: string, id: string): void =>
  appendFileSync(process.env['EFFECTS']!, `${what} ${id} ${process.pid}\n`)
