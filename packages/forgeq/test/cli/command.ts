// Runs the real command in a folder of its own, with an environment that says nothing but what the test says.
import { spawn, type ChildProcessByStdio } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { text } from 'node:stream/consumers'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'

const bin = fileURLToPath(new URL('../../bin/forgeq.js', import.meta.url))

/** The handlers of the tests, built beside them. */
export const handlersFile = fileURLToPath(new URL('handlers/jobs.js', import.meta.url))

export interface Ran {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export interface HowToRun {
  readonly env?: Readonly<Record<string, string>>
  readonly stdin?: string
}

type Child = ChildProcessByStdio<Writable, Readable, Readable>

export function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'forgeq-test-'))
  t.after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }))
  return folder
}

/** A folder, and the command in it. */
export function commandIn(t: TestContext): {
  folder: string
  forgeq: (args: string[], how?: HowToRun) => Promise<Ran>
} {
  const folder = temporaryFolder(t)
  return { folder, forgeq: (args, how) => runCommand(folder, args, how) }
}

export async function runCommand(folder: string, args: readonly string[], how: HowToRun = {}): Promise<Ran> {
  const child = spawnCommand(folder, args, how.env)
  child.stdin.end(how.stdin ?? '')
  const ended = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>
  const [stdout, stderr, [code, signal]] = await Promise.all([text(child.stdout), text(child.stderr), ended])
  return { code, signal, stdout, stderr }
}

export interface Running {
  readonly child: Child
  /** Everything it has printed, on both streams. */
  printed(): string
  /** Resolves when what it printed matches; rejects when it ends before that. */
  prints(pattern: RegExp): Promise<RegExpMatchArray>
  /** Resolves when it has ended, by itself or after `signal`. */
  ends(signal?: NodeJS.Signals): Promise<Pick<Ran, 'code' | 'signal'>>
}

/** Starts a command that goes on; what is left of it after the test is killed. `through`: a program that runs what follows it. */
export function startCommand(
  t: TestContext,
  folder: string,
  args: readonly string[],
  env?: Readonly<Record<string, string>>,
  through?: readonly string[],
): Running {
  const child = spawnCommand(folder, args, env, through)
  let output = ''
  const watchers = new Set<() => void>()
  const look = (): void => {
    for (const watcher of watchers) watcher()
  }
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString()
      look()
    })
  }
  const ended = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>
  const ends: Running['ends'] = async (signal) => {
    if (signal !== undefined) child.kill(signal)
    const [code, by] = await ended
    return { code, signal: by }
  }
  t.after(() => ends('SIGKILL'))
  return {
    child,
    printed: () => output,
    prints: (pattern) =>
      new Promise((resolve, reject) => {
        const watch = (): void => {
          const match = pattern.exec(output)
          if (match === null) return
          watchers.delete(watch)
          resolve(match)
        }
        watchers.add(watch)
        watch()
        child.once('close', () => reject(new Error(`it ended before it printed ${pattern}:\n${output}`)))
      }),
    ends,
  }
}

/** What commands in a folder find in their environment, unless they are given something else. */
export const folderEnvironments: Map<string, Readonly<Record<string, string>>> = new Map()

function spawnCommand(
  folder: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  through: readonly string[] = [],
): Child {
  const { PATH = '', HOME = '' } = process.env
  const command = [...through, process.execPath, bin, ...args]
  return spawn(command[0]!, command.slice(1), {
    cwd: folder,
    env: { PATH, HOME, ...folderEnvironments.get(folder), ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
}
