// Handlers whose effects outlive their process: each line is appended in one write, so a kill loses none.
import { setTimeout as wait } from 'node:timers/promises'
import { defineJob, typed } from 'forgeq'
import { note } from './note.ts'

/** Works for `ms`. */
export const work = defineJob('work', { input: typed<{ ms: number }>() }, async ({ input, job }) => {
  note('start', job.id)
  if (input.ms > 0) await wait(input.ms)
  note('end', job.id)
})

/** Works for `ms`, in vain the first time. */
export const failsOnce = defineJob(
  'fails-once',
  { input: typed<{ ms: number }>(), backoff: { type: 'fixed', delay: '60ms', jitter: false } },
  async ({ input, job }) => {
    note('start', job.id)
    await wait(input.ms)
    if (job.attempt === 1) throw new Error('the first time')
    note('end', job.id)
  },
)

/** Goes on until it is told to stop. */
export const hold = defineJob('hold', { input: typed<unknown>(), timeout: '1h' }, async ({ job, signal }) => {
  note('start', job.id)
  await new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
})

/** Does not hear that it is to stop. */
export const deaf = defineJob('deaf', { input: typed<unknown>(), timeout: '1h' }, async ({ job }) => {
  note('start', job.id)
  await new Promise(() => {})
})

/** Lets nothing else in its process run. */
export const block = defineJob('block', { input: typed<unknown>(), timeout: '1h' }, ({ job }) => {
  note('start', job.id)
  for (;;);
})

/** Ends its process. */
export const exit = defineJob('exit', { input: typed<number>() }, ({ input }) => process.exit(input))
