// Handlers to try ForgeQ with, in a folder that has none of its own.
import { setTimeout as wait } from 'node:timers/promises'
import { typed } from '../core/schema.ts'
import { defineJob, type Handler, type Job } from '../job.ts'

interface Hello {
  readonly name?: string
}

/** Says hello. */
export const hello: Job<Hello, Hello, { hello: string }> & Handler = defineJob(
  'hello',
  { input: typed<Hello>() },
  ({ input, log }) => {
    log.info(`hello to ${input.name ?? 'you'}`)
    return { hello: input.name ?? 'you' }
  },
)

/** Fails twice, to show retries. */
export const flaky: Job<unknown, unknown, { attempts: number }> & Handler = defineJob(
  'flaky',
  { input: typed<unknown>(), retries: 3 },
  ({ job }) => {
    if (job.attempt < 3) throw new Error(`attempt ${job.attempt} fails on purpose`)
    return { attempts: job.attempt }
  },
)

/** Takes ten seconds, to show progress, cancelling and what happens to running jobs. */
export const slow: Job<unknown, unknown, void> & Handler = defineJob(
  'slow',
  { input: typed<unknown>() },
  async ({ progress, signal }) => {
    for (let second = 1; second <= 10; second++) {
      await wait(1000, undefined, { signal })
      progress(second, 10)
    }
  },
)
