// Starts the thread or process in which isolated handlers run, and makes the two look alike: orders in, reports out, one
// end. A process leads a process group, so that what a handler started is killed with it.
import { fork, type ChildProcess } from 'node:child_process'
import type { Socket } from 'node:net'
import { Worker } from 'node:worker_threads'
import type { Isolation } from '../core/policy.ts'
import type { ProcessEnd } from '../store/worker-record.ts'
import { lookWord, watchPipe, type ChildOrder, type ChildReport } from './child-talk.ts'
import { lookAtThread } from './look.ts'
import { readLines } from './read-lines.ts'

export interface ChildEnd extends ProcessEnd {
  /** In words, or why it never came up. */
  readonly how: string
}

export interface ChildListener {
  readonly heard: (report: ChildReport) => void
  /** Once. Everything it said was heard before. */
  readonly ended: (end: ChildEnd) => void
}

export interface Child {
  /** Of a process. */
  readonly pid: number | undefined
  send(order: ChildOrder): void
  /** Answered by a report, unless it is stopped or has ended. */
  look(): void
  /** Ends it by force. A thread inside a call that is not JavaScript ends when that returns. */
  kill(): void
  /** This process need not wait for it any more. */
  unref(): void
}

export type SpawnChild = (kind: Exclude<Isolation, 'inline'>, listener: ChildListener) => Child

/** A thread that runs JavaScript answers in a few milliseconds. */
const answerWithinMs = 300

const entry = new URL('./child.js', import.meta.url)

/** Throws, or ends at once, when the system gives no thread or process. */
export const spawnChild: SpawnChild = (kind, listener) =>
  kind === 'thread' ? spawnThread(listener) : spawnProcess(listener)

function spawnThread({ heard, ended }: ChildListener): Child {
  const thread = new Worker(entry)
  let problem: NodeJS.ErrnoException | undefined
  thread.on('message', heard)
  thread.on('error', (error: Error) => (problem = error))
  thread.once('exit', (exitCode) => ended({ how: describe(problem, exitCode), exitCode, signal: null }))
  return {
    pid: undefined,
    send: (order) => thread.postMessage(order),
    look: () => {
      const looking = lookAtThread(thread.threadId, { withinMs: answerWithinMs, stack: true })
      looking.then(
        (look) => heard({ report: 'look', look }),
        (error: unknown) => {
          throw error
        },
      )
    },
    kill: () => {
      thread.terminate().catch((error: unknown) => {
        throw error
      })
    },
    unref: () => thread.unref(),
  }
}

/** What it threw has been reported; what Node says about its heap has not. */
const describe = (problem: NodeJS.ErrnoException | undefined, code: number): string =>
  problem?.code?.startsWith('ERR_WORKER_') ? `${problem.code}: ${problem.message}` : `exit code ${code}`

function spawnProcess({ heard, ended }: ChildListener): Child {
  const child = fork(entry, {
    detached: process.platform !== 'win32',
    stdio: ['ignore', 'inherit', 'inherit', 'ipc', 'pipe'],
  })
  child.on('message', heard)
  // Whatever else fails about a process shows in its end.
  child.on('error', (error) => {
    if (child.pid === undefined) ended({ how: error.message, exitCode: null, signal: null })
  })
  // Not `exit`: what it said last may still be in the channel then.
  child.once('close', (exitCode, signal) => {
    if (child.pid !== undefined) ended({ how: signal ?? `exit code ${exitCode}`, exitCode, signal })
  })
  // Without a process there is no pipe either.
  const pipe = child.stdio?.[watchPipe] as Socket | undefined
  if (pipe !== undefined) listen(pipe, heard)
  return {
    pid: child.pid,
    send: (order) => {
      // A broken channel means that the process is ending, which its end tells.
      if (child.connected) child.send(order, () => {})
    },
    look: () => {
      if (pipe?.writable) pipe.write(`${lookWord}\n`)
    },
    kill: () => killGroup(child),
    unref: () => {
      child.unref()
      child.channel?.unref()
      pipe?.unref()
    },
  }
}

function listen(pipe: Socket, heard: ChildListener['heard']): void {
  readLines(pipe, (line) => {
    try {
      heard(JSON.parse(line) as ChildReport)
    } catch (error) {
      // What a handler writes to a file descriptor that is not its own.
      if (!(error instanceof SyntaxError)) throw error
    }
  })
}

function killGroup(child: ChildProcess): void {
  // Its number may belong to others by now.
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  try {
    if (process.platform !== 'win32') process.kill(-child.pid, 'SIGKILL')
  } catch {
    // There is no such group any more.
  }
  child.kill('SIGKILL')
}
