// Handlers that the tests of the command line run.
import { defineJob, typed } from 'forgeq'
import * as z from 'zod'

export const greet = defineJob(
  'greet',
  { input: z.object({ name: z.string() }), queue: 'greetings', retries: 1, timeout: '7s' },
  ({ input, log, progress }) => {
    log.info(`greeting ${input.name}`)
    progress(1, 2, 'half')
    return { greeting: `hello ${input.name}` }
  },
)

export const fail = defineJob('fail', { input: typed<{ message: string }>(), retries: 0 }, ({ input }) => {
  throw new Error(input.message)
})
