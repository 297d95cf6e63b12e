// Does to processes and to the store what the plan says, when it says so, and writes it down.
import { readFileSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import type { Ground } from './ground.ts'
import { monotonicMs, pidsOf, type Note } from './history.ts'
import type { FaultOp } from './plan.ts'

export interface Victims {
  readonly folder: string
  readonly ground: Ground
  readonly note: Note
}

const roles = {
  'kill worker': 'worker',
  'kill child': 'child',
  'stop worker': 'worker',
  'kill crew': 'crew',
  'kill producer': 'producer',
} as const

/** Processes of this run that live: a number that was given to another program since is none of them. */
export function alive(folder: string, role: string): number[] {
  return pidsOf(folder, role).filter((pid) => {
    try {
      // Children for isolated handlers name themselves.
      return /torture|forgeq isolated/.test(readFileSync(`/proc/${pid}/cmdline`, 'utf8'))
    } catch {
      return false
    }
  })
}

export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch (error) {
    // It died by itself meanwhile.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

/** Resolves when the last fault is over. */
export async function driveFaults(faults: readonly FaultOp[], startedAt: number, victims: Victims): Promise<void> {
  const running: Promise<void>[] = []
  for (const fault of faults) {
    await wait(Math.max(0, fault.at - (monotonicMs() - startedAt)))
    running.push(commit(fault, victims))
  }
  await Promise.all(running)
}

async function commit({ kind, which, ms }: FaultOp, { folder, ground, note }: Victims): Promise<void> {
  if (kind === 'disturb store') {
    note({ e: 'fault', kind, pid: 0, ms })
    return ground.disturb(ms, which)
  }
  const pids = alive(folder, roles[kind])
  const pid = pids[which % pids.length]
  if (pid === undefined) return
  note({ e: 'fault', kind, pid, ms })
  signal(pid, kind === 'stop worker' ? 'SIGSTOP' : 'SIGKILL')
  if (kind !== 'stop worker') return
  await wait(ms)
  signal(pid, 'SIGCONT')
}
