// Handlers that go beyond their limits, each in its own way.
import { execSync } from 'node:child_process'
import { defineJob, typed } from 'forgeq'
import { note } from './note.ts'

const input = typed<unknown>()
const rule = { input, timeout: '1s', backoff: { type: 'fixed', delay: '1h' } } as const

/** Never lets go of the event loop. */
export const spin = defineJob('spin', rule, ({ job }) => {
  note('start', job.id)
  spinForEver()
})

function spinForEver(): void {
  for (;;);
}

/** Blocks in native code. */
export const sleep = defineJob('sleep', rule, ({ job }) => {
  note('start', job.id)
  execSync('sleep 60')
})

/** Blocks for longer than its timeout, but not beyond its limits. */
export const late = defineJob('late', rule, ({ job }) => {
  note('start', job.id)
  const endsAt = performance.now() + 3_000
  while (performance.now() < endsAt);
  note('end', job.id)
})

/** Leaves the event loop free and does not hear its abort. */
export const ignore = defineJob('ignore', rule, async ({ job }) => {
  note('start', job.id)
  await new Promise(() => {})
})

/** Waits for its abort, however long that takes. */
export const patient = defineJob('patient', { input, timeout: '1h' }, async ({ job, signal }) => {
  note('start', job.id)
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
  note('abort', job.id)
  throw signal.reason
})

const kept: Buffer[] = []

/** Never gives its memory back. */
export const grow = defineJob('grow', { input: typed<{ bytes: number }>() }, ({ input: { bytes } }) => {
  kept.push(Buffer.alloc(bytes, 1))
})

/** As `spin`, with an hour to go. */
export const endless = defineJob('endless', { input, timeout: '1h' }, ({ job }) => {
  note('start', job.id)
  spinForEver()
})
