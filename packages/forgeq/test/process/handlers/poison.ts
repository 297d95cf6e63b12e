// Handlers that take their process along, and innocent ones beside them.
import { setTimeout as wait } from 'node:timers/promises'
import { defineJob, typed } from 'forgeq'

/** How its process ends; a job that is harmless takes a few milliseconds. */
export type Harm = 'none' | 'exit' | 'kill'

export const risky = defineJob('risky', { input: typed<{ harm: Harm }>() }, async ({ input: { harm } }) => {
  if (harm === 'exit') process.exit(7)
  if (harm === 'kill') process.kill(process.pid, 'SIGKILL')
  await wait(5)
})
