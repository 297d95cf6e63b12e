// Acting on jobs by their ids: what was done goes to standard output, what was not to standard error, and the exit code
// tells all, some and none apart.
import { errorCodes, ForgeError } from '../core/errors.ts'
import { actedJson, listJson } from '../server/view.ts'
import { takeVerdict } from '../server/verdict.ts'
import type { ActRequest, ActVerdict } from '../store/records.ts'
import { paint } from './output.ts'
import { paintState } from './paint.ts'
import { report } from './report.ts'

/** Some were done and some were not. */
export const partly = 8

/** Prints what became of each job and gives the exit code. */
export function printVerdicts(verdicts: readonly ActVerdict[], action: ActRequest['action'], asJson: boolean): number {
  const refused: ForgeError[] = []
  const entries = verdicts.map((verdict) => {
    try {
      const done = takeVerdict(verdict, action)
      if (!asJson) console.log(`${done.id} ${done.state === 'gone' ? 'deleted' : paintState(paint, done.state)}`)
      return actedJson(done)
    } catch (error) {
      if (!ForgeError.is(error)) throw error
      refused.push(error)
      return JSON.stringify({ id: verdict.id, code: error.code, message: error.message })
    }
  })
  if (asJson) console.log(listJson(entries))
  for (const error of refused) report(error)
  const [first] = refused
  if (first === undefined) return 0
  const isSame = refused.every(({ code }) => code === first.code)
  return refused.length === verdicts.length && isSame ? errorCodes[first.code].exit : partly
}
