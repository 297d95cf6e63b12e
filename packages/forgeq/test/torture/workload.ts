// The jobs of a torture run: a type per behaviour. What a job does follows from its input alone.
import { setTimeout as wait } from 'node:timers/promises'
import { defineJob, ForgeError, typed, type Context, type Handler, type Job, type Policy } from 'forgeq'
import type { Note } from './history.ts'
import type { Holds } from './recorded-store.ts'

export interface Load {
  /** Of the producer; children count on under their parent's number. */
  readonly n: string
  /** How long the handler works, or blocks. */
  readonly ms: number
  /** The first so many tries fail. */
  readonly failures: number
  readonly children: number
  /** Whatever a payload may hold. */
  readonly text: string
}

const policy: Policy = {
  retries: 3,
  backoff: { type: 'fixed', delay: '300ms', jitter: false },
  timeout: '60s',
  keepResult: '1d',
}
const define = (name: string, more: Policy = {}): Job<Load> =>
  defineJob(name, { input: typed<Load>(), ...policy, ...more })

export const jobs = {
  /** Works for a while: delays, levels, keys, expiries and cancels come from how it is enqueued. */
  plain: define('plain'),
  failing: define('failing'),
  parent: define('parent'),
  once: define('once', { delivery: 'at-most-once', retries: 0 }),
  /** Lets nothing else in its thread run, for longer than a lease. */
  blocking: define('blocking'),
  /** Kills its process. */
  poison: define('poison'),
} as const

export type Kind = keyof typeof jobs

/** The handlers, writing the history of every start, effect, abort and end. */
export function handlersOf(note: Note, holds: Holds): readonly Handler[] {
  return (Object.keys(jobs) as Kind[]).map((kind) =>
    jobs[kind].handler(async (context: Context<Load>) => {
      const { input, signal } = context
      const { id: job } = context.job
      const { claim, worker } = holds.get(job)!
      note({ e: 'start', job, claim, worker, payload: JSON.stringify(input) })
      signal.addEventListener('abort', () => {
        const code = ForgeError.is(signal.reason) ? signal.reason.code : 'unknown'
        note({ e: 'abort', job, claim, code })
      })
      try {
        await behave(kind, context)
        note({ e: 'effect', job, claim })
      } finally {
        note({ e: 'end', job, claim })
      }
    }),
  )
}

async function behave(kind: Kind, { input, job, signal, enqueue }: Context<Load>): Promise<void> {
  if (kind === 'poison') process.kill(process.pid, 'SIGKILL')
  if (kind === 'blocking') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, input.ms)
  else if (input.ms > 0) await wait(input.ms, undefined, { signal })
  if (kind === 'failing' && job.attempt <= input.failures)
    throw new Error(`try ${job.attempt} of ${input.failures} fails`)
  for (let i = 1; i <= input.children; i += 1) {
    enqueue(jobs.plain, { ...input, n: `${input.n}.${i}`, children: 0 }, i === 1 ? {} : { delay: 200 * i })
  }
}
