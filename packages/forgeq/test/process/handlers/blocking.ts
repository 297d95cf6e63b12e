// Handlers that hold the event loop, and some that only wait beside them.
import { execSync } from 'node:child_process'
import { setTimeout as wait } from 'node:timers/promises'
import { defineJob, typed } from 'forgeq'
import { note } from './note.ts'

const rule = { timeout: '3s', backoff: { type: 'fixed', delay: '1h' } } as const

/** Waits for less than its timeout. */
export const nap = defineJob(
  'nap',
  { ...rule, input: typed<{ ms: number }>(), timeout: '2s' },
  async ({ job, input: { ms } }) => {
    note('start', job.id)
    await wait(ms)
    return 'awake'
  },
)

export interface How {
  /** Waits for something before it blocks. */
  readonly waits: boolean
  /** In native code, not in JavaScript. */
  readonly native?: boolean
  /** Listens to the signal that ends a stuck process, which does not end by it then. */
  readonly catches?: boolean
  /** For ever without. */
  readonly ms?: number
}

const sleepLong = 'sleep 60'

/** Holds the event loop of its process. */
export const block = defineJob(
  'block',
  { ...rule, input: typed<How>() },
  async ({ job, input: { waits, native, catches, ms = Infinity } }) => {
    if (catches) process.on('SIGVTALRM', () => {})
    if (waits) await wait(10)
    note('start', job.id)
    if (native) execSync(sleepLong)
    const endsAt = performance.now() + ms
    while (performance.now() < endsAt);
    return 'done'
  },
)

/** Ends at once. */
export const plain = defineJob('plain', { input: typed<unknown>() }, () => 'fine')
