// Handlers that do not stop, and handlers that take their process with them, each in a thread and in a process.
import { execSync } from 'node:child_process'
import { threadId } from 'node:worker_threads'
import { defineJob, typed, type Handler, type Job } from 'forgeq'

export const kinds = ['thread', 'process'] as const

/** A rejection that nobody handles. */
const rejectUnheard = (): void => {
  Promise.reject(new RangeError('nobody is there')).catch((error: unknown) => {
    throw error
  })
}

interface Where {
  /** A file for the id of a process that the handler starts. */
  readonly file: string
}

/** Each says `in` before it never ends. */
const endless: Readonly<Record<string, (input: Where) => unknown>> = {
  loops: () => {
    for (;;);
  },
  waits: () => new Promise(() => {}),
  sleeps: ({ file }) => execSync(`echo $$ > ${file}; exec sleep 60`),
  matches: () => /^(a+)+$/.test(`${'a'.repeat(60)}b`),
}

const deaths: Readonly<Record<string, () => unknown>> = {
  'exits-3': () => process.exit(3),
  'exits-0': () => process.exit(0),
  'is-killed': () => {
    process.kill(process.pid, 'SIGKILL')
    return new Promise(() => {})
  },
  faults: () => {
    process.kill(process.pid, 'SIGSEGV')
    return new Promise(() => {})
  },
  aborts: () => process.abort(),
  throws: () => {
    setImmediate(() => {
      throw new RangeError('nobody is there')
    })
    return new Promise(() => {})
  },
  rejects: () => {
    rejectUnheard()
    return new Promise(() => {})
  },
  'fills-its-heap': () => {
    const kept: unknown[] = []
    for (;;) kept.push(Array.from({ length: 1000 }, (_, i) => ({ i })))
  },
}

const make = (
  acts: Readonly<Record<string, (input: Where) => unknown>>,
  policy: { readonly timeout: '2s' | '1h' },
): (Handler & Job)[] =>
  kinds.flatMap((isolation) =>
    Object.entries(acts).map(([name, act]) =>
      defineJob(
        `${isolation}:${name}`,
        { input: typed<Where>(), retries: 0, isolation, ...policy },
        ({ input, log }) => {
          log.info('in')
          return act(input)
        },
      ),
    ),
  )

export const stubborn: readonly (Handler & Job)[] = make(endless, { timeout: '2s' })
export const deadly: readonly (Handler & Job)[] = make(deaths, { timeout: '1h' })

/** One and the same child says the same. */
export const where: readonly (Handler & Job)[] = [...kinds, 'inline' as const].map((isolation) =>
  defineJob(`${isolation}:where`, { input: typed<unknown>(), isolation }, () => `${process.pid}:${threadId}`),
)

/** Ends, and leaves something behind that kills its thread or process. */
export const messy: readonly (Handler & Job)[] = kinds.map((isolation) =>
  defineJob(`${isolation}:messy`, { input: typed<unknown>(), isolation }, () => {
    rejectUnheard()
    return 'fine'
  }),
)

/** Says why it was aborted, and how it ended. */
export const polite: readonly (Handler & Job)[] = kinds.map((isolation) =>
  defineJob(
    `${isolation}:polite`,
    { input: typed<unknown>(), isolation, timeout: '2s', retries: 0 },
    async ({ log, signal }) => {
      const aborted = new Promise((resolve) => signal.addEventListener('abort', resolve))
      log.info('in')
      await aborted
      const { name, code } = signal.reason as { name: string; code: string }
      log.info(`${name} ${code}`)
    },
  ),
)
