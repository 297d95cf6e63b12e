// The jobs of a torture run: a type per behaviour and place where it runs. What they do: handlers.ts.
import type { Scope } from '#src/core/limit.js'
import { defineJob, typed, type Job, type Policy } from 'forgeq'

export interface Load {
  /** Of the producer; children count on under their parent's number. */
  readonly n: string
  /** How long the handler works, or blocks. */
  readonly ms: number
  /** The first so many tries fail, or claims do not do their work. */
  readonly failures: number
  readonly children: number
  /** Whatever a payload may hold. */
  readonly text: string
  readonly holdBack?: { readonly scope: Scope; readonly ms: number }
}

const base: Policy = {
  retries: 3,
  backoff: { type: 'fixed', delay: '300ms', jitter: false },
  timeout: '60s',
  keepResult: '1d',
}
const define = (name: string, more: Policy = {}): Job<Load> =>
  defineJob(name, { input: typed<Load>(), ...base, ...more })

const thread: Policy = { isolation: 'thread' }
const process: Policy = { isolation: 'process' }
const once: Policy = { delivery: 'at-most-once', retries: 0 }
/** With the grace after its abort, a try takes six seconds. */
const endless: Policy = { timeout: '1s', retries: 1 }

export const jobs = {
  /** Works for a while: delays, levels, keys, expiries and cancels come from how it is enqueued. */
  plain: define('plain'),
  'plain-thread': define('plain-thread', thread),
  'plain-process': define('plain-process', process),
  failing: define('failing'),
  'failing-thread': define('failing-thread', thread),
  'failing-process': define('failing-process', process),
  /** Comes again later without using up a try. */
  snoozing: define('snoozing'),
  /** Was told that it asks too often. */
  limiting: define('limiting'),
  parent: define('parent'),
  'parent-thread': define('parent-thread', thread),
  'parent-process': define('parent-process', process),
  once: define('once', once),
  'once-process': define('once-process', { ...once, ...process }),
  /** Lets nothing else in its thread run, for longer than a lease. */
  blocking: define('blocking'),
  'blocking-thread': define('blocking-thread', thread),
  /** Never lets go of its thread. */
  endless: define('endless', endless),
  'endless-thread': define('endless-thread', { ...endless, ...thread }),
  'endless-process': define('endless-process', { ...endless, ...process }),
  /** Kills its process, which from a thread is that of the worker. */
  poison: define('poison'),
  'poison-thread': define('poison-thread', thread),
  'poison-process': define('poison-process', process),
} as const

export type Kind = keyof typeof jobs

export type Behaviour =
  | 'plain'
  | 'failing'
  | 'snoozing'
  | 'limiting'
  | 'parent'
  | 'once'
  | 'blocking'
  | 'endless'
  | 'poison'

export const behaviourOf = (type: string): Behaviour => type.split('-')[0] as Behaviour
