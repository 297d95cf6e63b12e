// A folder with worker processes on one store, seen from the test's own process: its jobs, and what its handlers did.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { ForgeQ } from 'forgeq'
import { startCommand, temporaryFolder, type Running } from '../cli/command.ts'
import { storeIn } from './stage-store.ts'

export interface Effect {
  readonly what: string
  readonly id: string
  readonly pid: number
}

export interface Scene {
  readonly folder: string
  /** URL of the store that commands in the folder use. */
  readonly store: string
  readonly forge: ForgeQ
  /** In the order they happened. */
  readonly effects: (what?: string) => Effect[]
  /** `through`: a program that runs what follows it. */
  readonly start: (
    args: readonly string[],
    env?: Readonly<Record<string, string>>,
    through?: readonly string[],
  ) => Running
}

/** A shell that runs a command after `first`. */
export const preparedBy = (first: string): readonly string[] => ['sh', '-c', `${first} && exec "$@"`, 'sh']

export const handlersFile = (name: string): string => fileURLToPath(new URL(`handlers/${name}.js`, import.meta.url))

export function scene(t: TestContext): Scene {
  const folder = temporaryFolder(t)
  const file = join(folder, 'effects')
  const store = storeIn(folder)
  const forge = new ForgeQ({ store })
  t.after(() => forge.close())
  return {
    folder,
    store,
    forge,
    effects(what) {
      const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n') : []
      return lines
        .map((line) => line.split(' '))
        .filter((parts) => parts.length === 3 && (what === undefined || parts[0] === what))
        .map(([name, id, pid]) => ({ what: name!, id: id!, pid: Number(pid) }))
    },
    start: (args, env, through) =>
      startCommand(t, folder, args, { EFFECTS: file, FORGEQ_SHUTDOWN_TIMEOUT: '3s', ...env }, through),
  }
}

/** Looks until it gives something that is true; a minute is far more than most things here take. */
export async function until<T>(
  look: () => T | Promise<T>,
  what: string,
  minutes = 1,
): Promise<Exclude<T, undefined | false>> {
  const endsAt = performance.now() + minutes * 60_000
  for (;;) {
    const seen = await look()
    if (seen !== undefined && seen !== false) return seen as Exclude<T, undefined | false>
    if (performance.now() > endsAt) throw new Error(`waited ${minutes} min for ${what}`)
    await wait(20)
  }
}

/** One that has ended counts as such even when nobody has asked for its exit code yet. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return !existsSync('/proc/self') || !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return false
  }
}

/** A process that stands still inside a transaction keeps everybody from writing: another matter. */
export async function stopOutsideWrites(pid: number, forge: ForgeQ): Promise<void> {
  for (;;) {
    process.kill(pid, 'SIGSTOP')
    try {
      return await forge.admin.resume('default')
    } catch {
      process.kill(pid, 'SIGCONT')
    }
  }
}
