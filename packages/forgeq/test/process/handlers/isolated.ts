// Isolated handlers whose effects outlive their process. The process id of a `worker` line is that of the worker around.
import { execSync } from 'node:child_process'
import { appendFileSync, closeSync, existsSync, openSync, readFileSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import { defineJob, typed } from 'forgeq'

const file = process.env['EFFECTS']!
const note = (what: string, id: string, pid = process.pid): void => appendFileSync(file, `${what} ${id} ${pid}\n`)
const policy = { input: typed<unknown>(), timeout: '1h' } as const

/** Ends when it runs for the second time. */
export const second = defineJob('second', { ...policy, isolation: 'process' }, async ({ job }) => {
  const isFirst = !readFileSync(file, { encoding: 'utf8', flag: 'a+' }).includes(job.id)
  note('worker', job.id, process.ppid)
  note('start', job.id)
  if (isFirst) await new Promise(() => {})
  note('end', job.id)
})

/** Lets nothing else in its process run. */
export const loop = defineJob('loop', { ...policy, isolation: 'process' }, function spinInProcess({ job }) {
  note('worker', job.id, process.ppid)
  note('start', job.id)
  for (;;);
})

/** Lets nothing else in its thread run. */
export const loopThread = defineJob('loop-thread', { ...policy, isolation: 'thread' }, function spinInThread({ job }) {
  note('start', job.id)
  for (;;);
})

const waits = async ({ job, signal }: { job: { id: string }; signal: AbortSignal }): Promise<void> => {
  note('start', job.id)
  await new Promise((resolve) => signal.addEventListener('abort', resolve))
}
export const waitThread = defineJob('wait-thread', { ...policy, isolation: 'thread' }, waits)
export const waitProcess = defineJob('wait-process', { ...policy, isolation: 'process' }, waits)

const fill = (): never => {
  const kept: unknown[] = []
  for (;;) kept.push(Array.from({ length: 1000 }, (_, i) => ({ i })))
}
export const fillThread = defineJob('fill-thread', { ...policy, isolation: 'thread' }, fill)
export const fillProcess = defineJob('fill-process', { ...policy, isolation: 'process' }, fill)

/** Takes every file descriptor that its process may have but three, until there is a file `enough`. */
export const hog = defineJob('hog', policy, async ({ job }) => {
  note('start', job.id)
  const taken: number[] = []
  const take = (): void => {
    try {
      for (;;) taken.push(openSync('/dev/null', 'r'))
    } catch {
      // The store goes on with them; a process needs more.
      for (const fd of taken.splice(-3)) closeSync(fd)
    }
  }
  try {
    // Again and again, for what others had open then.
    for (; !existsSync('enough'); await wait(20)) take()
  } finally {
    for (const fd of taken) closeSync(fd)
  }
})
export const apart = defineJob('apart', { ...policy, isolation: 'process' }, () => 'fine')

export const plain = defineJob('plain', policy, () => 'fine')

/** In native code, where nothing ends a thread. */
export const native = defineJob(
  'native',
  { ...policy, timeout: '3s', retries: 0, isolation: 'thread' },
  ({ job, log }) => {
    log.info('in')
    note('start', job.id)
    execSync('sleep 30')
  },
)
